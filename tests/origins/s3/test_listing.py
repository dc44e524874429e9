from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from proxy.errors import OriginFault
from proxy.origins.base import Entry, Page
from proxy.origins.s3.listing import page_of, query_of


def document(inner: str, *, truncated: bool = False, encoded: bool = True) -> bytes:
    encoding = "<EncodingType>url</EncodingType>" if encoded else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>media</Name><IsTruncated>{str(truncated).lower()}</IsTruncated>"
        f"{encoding}{inner}</ListBucketResult>"
    ).encode()


def contents(key: str, size: int = 1, modified: str = "2026-11-23T10:00:00.000Z") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified>"
        f"<Size>{size}</Size><Owner><ID>x</ID></Owner></Contents>"
    )


def prefix(text: str) -> str:
    return f"<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>"


def test_objects_and_folders_in_the_order_of_their_names() -> None:
    inner = contents("p%2Fb", 7) + contents("p%2F", 0) + prefix("p%2Fa%2F") + contents("p%2Fa-")
    at = 1795428000
    assert page_of(document(inner), "p/") == Page(
        (Entry("a-", 1, at), Entry("a/"), Entry("b", 7, at))
    )


@pytest.mark.parametrize(
    ("text", "encoded", "name"),
    [
        ("a+b", True, "a b"),
        ("a%2Bb", True, "a+b"),
        ("a%2520b", True, "a%20b"),
        ("%C3%A9%F0%9F%98%80", True, "é😀"),
        ("a%00b%0A", True, "a\0b\n"),
        ("%FF", True, "\ufffd"),
        ("a+b%20", False, "a+b%20"),
        ("&lt;&amp;&#233;", False, "<&é"),
    ],
)
def test_names(text: str, encoded: bool, name: str) -> None:
    page = page_of(document(contents(text), encoded=encoded), "")
    assert [entry.name for entry in page.entries] == [name]


def test_a_date_that_can_not_be_read_is_none() -> None:
    page = page_of(document(contents("k", modified="yesterday")), "")
    assert page.entries == (Entry("k", 1, None),)


def test_what_lies_elsewhere_is_left_out() -> None:
    page = page_of(document(contents("other") + contents("p/x", 1)), "p/")
    assert [entry.name for entry in page.entries] == ["x"]


def test_the_stores_token_is_the_cursor() -> None:
    inner = contents("a") + "<NextContinuationToken>t/+=</NextContinuationToken>"
    after = page_of(document(inner, truncated=True), "").after
    assert parse_qs(query_of("p/", after, 5))["continuation-token"] == ["t/+="]
    assert page_of(document(inner), "").after is None


@pytest.mark.parametrize(
    ("inner", "start_after"),
    [
        (contents("a") + contents("b"), "b"),
        (contents("a") + prefix("b/"), "b/\U0010ffff"),
        (prefix("a/") + contents("b"), "b"),
    ],
)
def test_or_the_last_name_where_there_is_none(inner: str, start_after: str) -> None:
    after = page_of(document(inner, truncated=True), "").after
    assert parse_qs(query_of("", after, 5))["start-after"] == [start_after]


def test_a_truncated_page_with_nothing_ends_the_listing() -> None:
    assert page_of(document("", truncated=True), "") == Page(())


@pytest.mark.parametrize(("limit", "keys"), [(0, "1"), (7, "7"), (1000, "1000"), (10**9, "1000")])
def test_limit(limit: int, keys: str) -> None:
    assert parse_qs(query_of("", None, limit))["max-keys"] == [keys]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ListBucketResult>&b;'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<html/>",
        document("")[:-5],
        document("<Contents><Size>1</Size></Contents>"),
        document("<Contents><Key>k</Key></Contents>"),
        document("<Contents><Key>k</Key><Size>x</Size></Contents>"),
        document("<CommonPrefixes/>"),
        BOMB + b"</ListBucketResult>",
        (BOMB + b"</ListBucketResult>").decode().encode("utf-16"),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><ListBucketResult/>',
        b"<a>" * 100_000,
    ],
)
def test_what_is_no_listing(body: bytes) -> None:
    with pytest.raises(OriginFault):
        page_of(body, "")

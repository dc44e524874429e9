from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import OriginFault
from proxy.origins.s3.answers import (
    MAX_TAG_LENGTH,
    MAX_TAGS,
    body_length,
    checksums_of,
    is_directory,
    is_out_of_reach,
    is_same_version,
    part_size_of,
    parts_of,
    range_to_send,
    representation_of,
    span_of,
    tags_of,
)
from proxy.semantics.etags import EntityTag, parse_etag
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, Representation, Span

MD5 = "0123456789abcdef0123456789ABCDEF"
FAR = 2**63


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (None, None),
        (ByteRange(0, None), "bytes=0-"),
        (ByteRange(5, 9), "bytes=5-9"),
        (ByteRange(None, 7), "bytes=-7"),
        (ByteRange(5, FAR), "bytes=5-"),
        (ByteRange(None, FAR), None),
    ],
)
def test_range_to_send(first: ByteRange | None, field: str | None) -> None:
    assert range_to_send(first) == field


def test_what_no_object_reaches() -> None:
    assert is_out_of_reach(ByteRange(FAR, None))
    assert not is_out_of_reach(ByteRange(FAR - 1, None))
    assert not is_out_of_reach(ByteRange(None, FAR))
    assert not is_out_of_reach(None)


ASKED = ByteRange(10, 19)


@pytest.mark.parametrize(
    ("status", "length", "content_range", "asked", "span"),
    [
        (200, 100, None, None, Span(0, 100)),
        (200, 0, None, None, Span(0, 0)),
        (200, 100, None, ASKED, Span(0, 100)),  # ignores ranges
        (206, 10, "bytes 10-19/100", ASKED, Span(10, 20)),
        (206, 10, " bytes 10-19/100 ", ASKED, Span(10, 20)),
        (206, 5, "bytes 10-14/15", ASKED, Span(10, 15)),
        (206, 10, "bytes 90-99/100", ByteRange(None, 10), Span(90, 100)),
        (206, 90, "bytes 10-99/100", ByteRange(10, None), Span(10, 100)),
        (200, 10, "bytes 10-19/100", ASKED, Span(10, 20)),  # rclone's way
        (200, 100, "bytes 0-99/100", ASKED, Span(0, 100)),
    ],
)
def test_a_span_that_can_be_trusted(
    status: int, length: int, content_range: str | None, asked: ByteRange | None, span: Span
) -> None:
    headers = {"content-length": str(length)}
    if content_range is not None:
        headers["content-range"] = content_range
    assert span_of(status, headers, asked)[0] == span


@pytest.mark.parametrize(
    ("status", "length", "content_range", "asked"),
    [
        (206, 10, "bytes 10-19/100", None),  # nobody asked
        (206, 10, None, ASKED),
        (206, 10, "bytes 11-20/100", ASKED),  # shifted
        (206, 9, "bytes 10-18/100", ASKED),  # short
        (206, 11, "bytes 10-20/100", ASKED),  # long
        (206, 9, "bytes 10-19/100", ASKED),  # contradicts itself
        (206, 10, "bytes 10-19/*", ASKED),  # of unknown size
        (206, 10, "items 10-19/100", ASKED),
        (206, 10, "bytes 10-19/100, bytes 10-19/100", ASKED),  # twice
        (206, 10, "bytes */100", ASKED),
        (206, 100, "bytes 0-99/100", ASKED),
        (206, 10, "bytes 10-19/15", ASKED),
        (206, 10, "bytes ١٠-١٩/100", ASKED),
        (200, 10, "bytes 10-19/100", None),
        (200, 10, "bytes 11-20/100", ASKED),
        (206, 300, "multipart", ASKED),
    ],
)
def test_a_span_that_can_not(
    status: int, length: int, content_range: str | None, asked: ByteRange | None
) -> None:
    headers = {"content-length": str(length)}
    if content_range is not None:
        headers["content-range"] = content_range
    with pytest.raises(OriginFault):
        span_of(status, headers, asked)


@given(
    first=st.integers(0, 50), last=st.integers(0, 50), size=st.integers(0, 40), shift=st.integers()
)
def test_only_the_very_span_passes(first: int, last: int, size: int, shift: int) -> None:
    asked = ByteRange(first, max(first, last))
    span = asked.meet(size)
    if span is None:
        return

    def answered(start: int, stop: int) -> Span:
        headers = {
            "content-length": str(stop - start),
            "content-range": f"bytes {start}-{stop - 1}/{size}",
        }
        return span_of(206, headers, asked)[0]

    assert answered(span.start, span.stop) == span
    if shift:
        with pytest.raises(OriginFault):
            answered(span.start + shift, span.stop + shift)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-length": ""},
        {"content-length": "-1"},
        {"content-length": "10, 10"},
        {"content-length": "1_0"},
        {"content-length": "٣"},
        {"content-length": "9" * 20},
        {"content-length": "10", "transfer-encoding": "chunked"},
        {"transfer-encoding": "chunked"},
    ],
)
def test_no_usable_length(headers: dict[str, str]) -> None:
    with pytest.raises(OriginFault):
        body_length(headers)


def test_a_representation_keeps_what_the_store_says() -> None:
    headers = {
        "etag": f'"{MD5}-3"',
        "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT",
        "content-type": "text/html; charset=utf-8",
        "content-encoding": "gzip",
        "content-language": "de",
        "content-disposition": 'attachment; filename="\xfc"',
        "cache-control": "max-age=1",
        "expires": "0",
        "x-amz-version-id": "v1",
        "x-amz-meta-cdn-cache-control": " max-age=60",
        "x-amz-meta-cache-tag": "news, front",
    }
    assert representation_of("k", 7, headers) == Representation(
        size=7,
        etag=EntityTag(f"{MD5}-3"),
        last_modified=1795428000,
        media_type="text/html; charset=utf-8",
        content_encoding="gzip",
        content_language="de",
        content_disposition='attachment; filename="\xfc"',
        cache_control="max-age=1",
        expires="0",
        checksums=(Checksum("md5", bytes.fromhex(MD5), True, 3),),
        version="v1",
        cdn_cache_control=" max-age=60",
        tags=("news", "front"),
    )


@pytest.mark.parametrize(
    ("stored", "key", "media_type"),
    [
        ("text/x-own", "a.png", "text/x-own"),
        (None, "a.png", "image/png"),
        ("binary/octet-stream", "a.png", "image/png"),
        ("Binary/Octet-Stream", "a.png", "image/png"),
        ("", "a.png", "image/png"),
        ("application/octet-stream", "a.png", "application/octet-stream"),
        ("binary/octet-stream", "a", None),
    ],
)
def test_media_type(stored: str | None, key: str, media_type: str | None) -> None:
    headers = {} if stored is None else {"content-type": stored}
    assert representation_of(key, 1, headers).media_type == media_type


@pytest.mark.parametrize(
    ("stored", "coding"),
    [
        (None, None),
        ("gzip", "gzip"),
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, AWS-chunked ,br", "gzip, br"),
        ("identity", "identity"),
    ],
)
def test_content_encoding(stored: str | None, coding: str | None) -> None:
    headers = {} if stored is None else {"content-encoding": stored}
    assert representation_of("k", 1, headers).content_encoding == coding


def test_no_version_is_null() -> None:
    assert representation_of("k", 1, {"x-amz-version-id": "null"}).version is None


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ({}, None),
        ({"cdn-cache-control": "max-age=1"}, "max-age=1"),
        ({"x-amz-meta-cdn-cache-control": "max-age=2"}, "max-age=2"),
        (
            {"cdn-cache-control": "max-age=1", "x-amz-meta-cdn-cache-control": "max-age=2"},
            "max-age=1",
        ),
        ({"cdn-cache-control": "", "x-amz-meta-cdn-cache-control": "no-store"}, "no-store"),
        ({"x-amz-meta-cdn-cache-control": ""}, None),
        ({"x-amz-meta-cdn-cache-control": "\x00 malformed"}, "\x00 malformed"),
        ({"cdn-cache-control-x": "max-age=1", "x-amz-meta-cache-control": "max-age=1"}, None),
    ],
)
def test_the_field_for_caches(headers: dict[str, str], value: str | None) -> None:
    assert representation_of("k", 1, headers).cdn_cache_control == value


LONGEST = "t" * MAX_TAG_LENGTH
MANY = [str(number) for number in range(MAX_TAGS)]


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("", ()),
        (" \t", ()),
        (",, ,\t,", ()),
        ("a", ("a",)),
        (" b ,\ta\t,, b", ("b", "a")),
        ("two words, A, a", ("two words", "A", "a")),
        ("a\x00b, c\r\nd, e\x7f, f\tg, h", ("h",)),
        ("\xc3\x80, \xff", ("\xc3\x80", "\xff")),
        ('"a, b"', ('"a', 'b"')),
        (LONGEST, (LONGEST,)),
        (f"{LONGEST}t, a", ("a",)),
        (",".join(MANY), tuple(MANY)),
        (",".join(["0", *MANY, "one more"]), tuple(MANY)),
    ],
)
def test_tags(value: str, tags: tuple[str, ...]) -> None:
    assert tags_of({"x-amz-meta-cache-tag": value}) == tags
    assert tags_of({"cache-tag": value, "x-amz-meta-cache-tag": ""}) == tags
    assert representation_of("k", 1, {"cache-tag": value}).tags == tags


def test_the_field_goes_before_metadata() -> None:
    assert tags_of({"cache-tag": "a", "x-amz-meta-cache-tag": "b"}) == ("a",)
    assert tags_of({}) == ()


@given(st.text(st.sampled_from("ab,\t \0\x7f\xff"), max_size=400))
def test_tags_are_bounded(value: str) -> None:
    tags = tags_of({"cache-tag": value})
    assert len(tags) == len(set(tags)) <= MAX_TAGS
    assert all(tag == tag.strip(" \t") and 0 < len(tag) <= MAX_TAG_LENGTH for tag in tags)
    assert tags_of({"cache-tag": ", ".join(tags)}) == tags


def b64(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


TAG_OF_TWO = Checksum("md5", bytes.fromhex(MD5), True, 2)


@pytest.mark.parametrize(
    ("headers", "etag", "found"),
    [
        ({}, None, ()),
        ({}, f'"{MD5}"', (Checksum("md5", bytes.fromhex(MD5)),)),
        ({}, f'W/"{MD5}"', ()),
        ({}, f'"{MD5}-2"', (TAG_OF_TWO,)),
        ({}, f'"{MD5}-0"', ()),
        ({}, f'W/"{MD5}-2"', ()),
        ({"x-amz-server-side-encryption": "aws:kms"}, f'"{MD5}-2"', ()),
        ({}, '"abc"', ()),
        ({"x-amz-server-side-encryption": "aws:kms"}, f'"{MD5}"', ()),
        ({"x-amz-server-side-encryption": "aws:kms:dsse"}, f'"{MD5}"', ()),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, f'"{MD5}"', ()),
        (
            {"x-amz-server-side-encryption": "AES256"},
            f'"{MD5}"',
            (Checksum("md5", bytes.fromhex(MD5)),),
        ),
        ({"x-amz-checksum-crc32c": b64(4)}, None, (Checksum("crc32c", bytes(4)),)),
        ({"x-amz-checksum-crc32": b64(5)}, None, ()),
        ({"x-amz-checksum-crc32": "%%%%"}, None, ()),
        ({"x-amz-checksum-crc32": "\xff"}, None, ()),
        (
            {"x-amz-checksum-sha256": b64(32) + "-12", "x-amz-checksum-type": "COMPOSITE"},
            None,
            (Checksum("sha256", bytes(32), True, 12),),
        ),
        (
            {"x-amz-checksum-sha1": b64(20) + "-2"},
            None,
            (Checksum("sha1", bytes(20), True, 2),),
        ),
        # To some ranges AWS sends a composite value without its count.
        (
            {"x-amz-checksum-crc32": b64(4), "x-amz-checksum-type": "COMPOSITE"},
            None,
            (Checksum("crc32", bytes(4), True),),
        ),
        (
            {"x-amz-checksum-crc32": b64(4)},
            f'"{MD5}-2"',
            (Checksum("crc32", bytes(4), True), TAG_OF_TWO),
        ),
        (
            {"x-amz-checksum-crc32": b64(4), "x-amz-checksum-type": "FULL_OBJECT"},
            f'"{MD5}-2"',
            (Checksum("crc32", bytes(4)), TAG_OF_TWO),
        ),
        (
            {"x-amz-checksum-crc64nvme": b64(8)},
            f'"{MD5}-2"',
            (Checksum("crc64nvme", bytes(8)), TAG_OF_TWO),
        ),
        (
            {"x-amz-checksum-crc32": b64(4), "x-amz-checksum-type": "NEWKIND"},
            None,
            (Checksum("crc32", bytes(4), True),),
        ),
    ],
)
def test_checksums(headers: dict[str, str], etag: str | None, found: tuple[Checksum, ...]) -> None:
    assert checksums_of(headers, parse_etag(etag) if etag else None) == found


@pytest.mark.parametrize(
    ("content_range", "parts", "count", "kept"),
    [
        ("bytes 0-9/30", 3, "", False),  # S3's answer to a range that is just a part
        ("bytes 10-19/30", 3, "", False),
        ("bytes 10-19/30", 3, "-3", True),
        ("bytes 0-29/30", 3, "", True),  # S3's to all of it, asked for as a range
        ("bytes 0-29/30", 1, "", False),  # of one part: either of the two
        ("bytes 0-29/30", 1, "-1", True),
    ],
)
def test_the_checksum_of_a_part_is_not_taken_for_that_of_the_whole(
    content_range: str, parts: int, count: str, kept: bool
) -> None:
    headers = {
        "content-range": content_range,
        "x-amz-checksum-sha256": b64(32) + count,
        "x-amz-checksum-type": "COMPOSITE",
    }
    found = checksums_of(headers, parse_etag(f'"{MD5}-{parts}"'))
    assert [one.algorithm for one in found] == (["sha256", "md5"] if kept else ["md5"])


LATER = {"etag": '"a"', "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT"}


@pytest.mark.parametrize(
    ("etag", "count"),
    [
        (None, None),
        (f'"{MD5}"', None),
        (f'"{MD5}-3"', 3),
        (f'"{MD5}-10000"', 10000),
        (f'"{MD5}-03"', None),
        (f'"{MD5}-123456"', None),
        ('"abc-3"', None),
    ],
)
def test_how_many_parts(etag: str | None, count: int | None) -> None:
    assert parts_of(parse_etag(etag) if etag else None) == count


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"x-amz-mp-parts-count": "3", "content-length": "5"}, 5),
        ({"x-amz-mp-parts-count": "2", "content-length": "5"}, None),
        ({"content-length": "5"}, None),
        ({"x-amz-mp-parts-count": "3"}, None),
        ({"x-amz-mp-parts-count": "3", "content-length": "+5"}, None),
    ],
)
def test_the_size_of_one_part(headers: dict[str, str], size: int | None) -> None:
    assert part_size_of(headers, 3) == size


@pytest.mark.parametrize(
    ("first", "size", "later", "same"),
    [
        ('"a"', 9, {}, True),
        ('"a"', 8, {}, False),
        ('"b"', 9, {}, False),
        ('W/"a"', 9, {}, False),
        ('W/"a"', 9, {"etag": 'W/"a"'}, True),
        ('W/"a"', 9, {"etag": 'W/"a"', "last-modified": "Mon, 23 Nov 2026 10:00:01 GMT"}, False),
        ("", 9, {"etag": ""}, True),
        ("", 9, {}, False),
        ("", 9, {"etag": "", "x-amz-version-id": "2"}, False),
    ],
)
def test_same_version(first: str, size: int, later: dict[str, str], same: bool) -> None:
    opened = representation_of("k", 9, {**LATER, "etag": first})
    assert is_same_version(opened, size, {**LATER, **later}) is same


@pytest.mark.parametrize(
    ("key", "size", "media_type", "is_one"),
    [
        ("dir/", 0, "application/x-directory", True),
        ("", 0, "application/x-directory", True),
        ("dir/", 0, "text/plain", False),
        ("dir/", 1, "application/x-directory", False),
        ("dir", 0, "application/x-directory", False),
    ],
)
def test_directory(key: str, size: int, media_type: str, is_one: bool) -> None:
    assert is_directory(key, size, {"content-type": media_type}) is is_one

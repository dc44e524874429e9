"""Whole answers: the oracle's bytes against the plan's, and what each status carries."""

from __future__ import annotations

import email.parser
import email.policy
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.etags import parse_etag
from proxy.semantics.plan import (
    UNKNOWN_MEDIA_TYPE,
    Plan,
    Policy,
    length_of,
    make_plan,
    plan_error_page,
)
from proxy.semantics.representation import Representation, Span
from tests.semantics import oracle
from tests.semantics.strategies import date_fields, etag_fields, etags, range_fields
from tests.semantics.test_disposition import saved_name

T = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
ANY_BYTES = bytes(range(256)) + b"\r\n--headgate\r\n\r\n--headgate--\r\n"
BODY = ANY_BYTES[:100]
STORED = oracle.Stored(BODY, '"a"', T)
FULL = Representation(
    100,
    parse_etag('"a"'),
    T,
    media_type="video/mp4",
    content_encoding="gzip",
    content_language="en",
    content_disposition='inline; filename="a.txt"',
    cache_control="max-age=60",
    expires=DATE,
)
PLAIN = Policy()
RICH = Policy(cache_control="no-cache", content_security_policy="sandbox", varies_by_coding=True)


def representation_of(stored: oracle.Stored) -> Representation:
    etag = None if stored.etag is None else parse_etag(stored.etag)
    return Representation(len(stored.body), etag, stored.last_modified, media_type="text/plain")


def fields_of(plan: Plan) -> dict[str, str]:
    """As a dictionary, since no name may come twice; and none that a line could end in."""
    fields = {}
    for name, value in plan.fields:
        assert name == name.lower()
        assert name.decode() not in fields
        assert not {0, 10, 13} & {*name, *value}
        fields[name.decode()] = value.decode("latin-1")
    return fields


def body_of(plan: Plan, body: bytes) -> bytes:
    content = b""
    for part in plan.parts:
        if isinstance(part, Span):
            assert 0 <= part.start < part.stop <= len(body)
            content += body[part.start : part.stop]
        else:
            content += part
    return content


def get(
    fields: Mapping[str, str] | None = None,
    representation: Representation = FULL,
    policy: Policy = PLAIN,
    method: str = "GET",
) -> Plan:
    return make_plan(method, fields or {}, representation, policy)


# --- against the oracle -------------------------------------------------------------------------

NEAR_T = st.integers(T - 1, T + 1)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "if-match": etag_fields(),
        "if-unmodified-since": date_fields(NEAR_T),
        "if-none-match": etag_fields(),
        "if-modified-since": date_fields(NEAR_T),
    },
)
RANGES = st.fixed_dictionaries(
    {"range": range_fields()},
    optional={
        "if-range": st.sampled_from(['"a"', 'W/"a"', '"b"', DATE, "x"]) | date_fields(NEAR_T)
    },
)
REQUESTS = st.one_of(
    RANGES,
    RANGES,
    st.tuples(CONDITIONS, RANGES).map(lambda pair: pair[0] | pair[1]),
    CONDITIONS,
)
SIZES = st.integers(0, 12) | st.integers(0, 300)
VALIDATED = st.builds(
    lambda size, etag, when: oracle.Stored((ANY_BYTES * 2)[:size], etag, when),
    SIZES,
    st.sampled_from(['"a"', 'W/"a"', None]) | etags(),
    st.none() | NEAR_T,
)
LIMITS = st.tuples(st.sampled_from([0, 1, 2, 3, 16]), st.integers(0, 3))
BOUNDARY = "b" * 40


@given(st.sampled_from(["GET", "GET", "HEAD"]), REQUESTS, VALIDATED, LIMITS)
def test_agrees_with_the_oracle(
    method: str, request: dict[str, str], stored: oracle.Stored, limits: tuple[int, int]
) -> None:
    most, overlapping = limits
    policy = Policy(max_ranges=most, max_overlapping=overlapping, boundary=BOUNDARY)
    plan = make_plan(method, request, representation_of(stored), policy)
    expected = oracle.answer(method, request, stored, max_ranges=most, max_overlapping=overlapping)
    fields, content = fields_of(plan), body_of(plan, stored.body)
    assert plan.status == expected.status
    assert fields.get("content-range") == expected.content_range
    assert plan.length == len(content)
    if method == "HEAD" or plan.status in (304, 412, 416):
        assert plan.parts == ()
    if method == "HEAD":
        return
    if plan.status in (200, 206):
        assert fields["content-length"] == str(len(content))
    if expected.parts:
        check_multipart(fields["content-type"], content, expected.parts)
    else:
        assert content == expected.body


def check_multipart(content_type: str, content: bytes, expected: list[tuple[str, bytes]]) -> None:
    """Read twice: by lengths and to the letter, and by a mail program's parser."""
    assert content_type == f"multipart/byteranges; boundary={BOUNDARY}"
    parts = list(oracle.read_multipart(content, BOUNDARY.encode()))
    heads = [(head[b"content-range"].decode(), data) for head, data in parts]
    assert heads == expected
    assert all(head[b"content-type"] == b"text/plain" for head, _ in parts)
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + content)
    assert not message.defects
    found = [
        (str(part["Content-Range"]), part.get_payload(decode=True)) for part in message.iter_parts()
    ]
    assert found == expected


@given(REQUESTS, VALIDATED)
def test_head_says_what_get_without_range_says(
    request: dict[str, str], stored: oracle.Stored
) -> None:
    representation = representation_of(stored)
    head = make_plan("HEAD", request, representation, RICH)
    without = {name: value for name, value in request.items() if name != "range"}
    whole = make_plan("GET", without, representation, RICH)
    assert (head.status, head.fields, head.parts) == (whole.status, whole.fields, ())


@given(st.integers(2, 16), st.integers(1, 300), st.data())
def test_no_answer_costs_more_than_the_whole_and_its_heads(
    count: int, size: int, data: st.DataObject
) -> None:
    """A client that asks for the same bytes many times is not sent them many times."""
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, size), st.integers(0, size)).map(sorted),
            min_size=count,
            max_size=count,
        )
    )
    field = "bytes=" + ",".join(f"{a}-{b}" for a, b in spans)
    plan = get({"range": field}, Representation(size))
    sent = sum(part.length for part in plan.parts if isinstance(part, Span))
    assert sent <= size


# --- ranges, by hand ----------------------------------------------------------------------------

WHOLE, PARTS = 200, 206


@pytest.mark.parametrize(
    ("field", "size", "status", "content_range"),
    [
        ("bytes=0-0", 10, PARTS, "bytes 0-0/10"),
        ("bytes=0-9", 10, PARTS, "bytes 0-9/10"),
        ("bytes=0-", 10, PARTS, "bytes 0-9/10"),
        ("bytes=-3", 10, PARTS, "bytes 7-9/10"),
        ("bytes=-30", 10, PARTS, "bytes 0-9/10"),
        ("bytes=5-500", 10, PARTS, "bytes 5-9/10"),
        ("bytes=10-", 10, 416, "bytes */10"),
        ("bytes=-0", 10, 416, "bytes */10"),
        ("bytes=10-,-0,20-30", 10, 416, "bytes */10"),
        ("bytes=0-0", 0, 416, "bytes */0"),
        ("bytes=0-", 0, 416, "bytes */0"),
        ("bytes=-0", 0, 416, "bytes */0"),
        ("bytes=-1", 0, WHOLE, None),
        ("bytes=0-0,-1", 0, WHOLE, None),
        ("bytes=2-1", 10, WHOLE, None),
        ("bytes=", 10, WHOLE, None),
        ("items=0-1", 10, WHOLE, None),
        ("items=0-1", 0, WHOLE, None),
        ("bytes=0-1, bytes=3-4", 10, WHOLE, None),
        ("bytes=0-1,20-", 10, PARTS, "bytes 0-1/10"),  # one is left: no multipart (§15.3.7.2)
        ("bytes=0-1,3-4", 10, PARTS, None),
        ("bytes=3-4,0-1", 10, PARTS, None),
        ("bytes=0-1,1-2,2-3", 100, PARTS, None),  # two share a byte with an earlier one
        ("bytes=0-1,1-2,2-3,3-4", 100, WHOLE, None),
        ("bytes=0-99,10-20,30-40,50-60", 200, WHOLE, None),  # three within the first
        ("bytes=0-9,0-9", 19, WHOLE, None),
        ("bytes=0-9,0-9", 20, PARTS, None),
        ("bytes=0-,0-", 10, WHOLE, None),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 32, 2)), 100, PARTS, None),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 34, 2)), 100, WHOLE, None),
        ("bytes=" + "0-," * 1300, 10**12, WHOLE, None),
        ("bytes=" + "900-," * 17, 100, WHOLE, None),  # too many: not even looked at
        ("bytes=-17208,-9223372036854758792", 612, WHOLE, None),
        ("bytes=0-18446744073709551615", 10, PARTS, "bytes 0-9/10"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_ranges(field: str, size: int, status: int, content_range: str | None) -> None:
    plan = get({"range": field}, Representation(size))
    assert (plan.status, fields_of(plan).get("content-range")) == (status, content_range)
    if status == WHOLE:
        assert plan.parts == ((Span(0, size),) if size else ())


def test_a_huge_object_is_only_arithmetic() -> None:
    size = 5 * 2**40
    plan = get({"range": f"bytes=-1,0-0,{size - 9}-{size - 5}"}, Representation(size))
    spans = [part for part in plan.parts if isinstance(part, Span)]
    assert spans == [Span(size - 1, size), Span(0, 1), Span(size - 9, size - 4)]
    assert fields_of(plan)["content-length"] == str(plan.length) == str(length_of(plan.parts))


def test_multipart_has_no_range_of_its_own_and_the_types_in_its_parts() -> None:
    plan = get({"range": "bytes=0-1,5-6"})
    assert "content-range" not in fields_of(plan)  # §15.3.7.2
    heads = [part for part in plan.parts if isinstance(part, bytes)]
    assert all(b"content-type: video/mp4\r\n" in head for head in heads[:-1])
    assert heads[-1] == b"\r\n--headgate--\r\n"


def test_a_hostile_media_type_stays_out_of_part_heads() -> None:
    stored = Representation(100, media_type="text/html\r\n\r\n<script>")
    plan = get({"range": "bytes=0-1,5-6"}, stored)
    assert b"<script>" not in b"".join(part for part in plan.parts if isinstance(part, bytes))
    assert fields_of(get(representation=stored))["content-type"] == UNKNOWN_MEDIA_TYPE.decode()


@pytest.mark.parametrize(
    ("if_range", "status"),
    [('"a"', 206), ('W/"a"', 200), ('"b"', 200), (DATE, 206), ("Sun Nov  6 08:49:36 1994", 200)],
)
def test_if_range(if_range: str, status: int) -> None:
    assert get({"range": "bytes=0-1", "if-range": if_range}).status == status


def test_if_range_also_decides_over_416() -> None:
    """A client that holds another version is told of the new one, not of its length."""
    assert get({"range": "bytes=500-", "if-range": '"b"'}).status == 200
    assert get({"range": "bytes=500-", "if-range": '"a"'}).status == 416


def test_preconditions_come_before_ranges() -> None:
    assert get({"range": "bytes=500-", "if-none-match": '"a"'}).status == 304
    assert get({"range": "bytes=0-1", "if-match": '"b"'}).status == 412
    assert get({"range": "bytes=0-1", "if-match": '"a"'}).status == 206


# --- fields -------------------------------------------------------------------------------------

FRESHNESS = {"cache-control": "max-age=60", "expires": DATE}
COMMON = {
    "accept-ranges": "bytes",
    "vary": "accept-encoding",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
    "etag": '"a"',
}
CONTENT = {
    "content-type": "video/mp4",
    "content-encoding": "gzip",
    "content-language": "en",
    "content-disposition": 'inline; filename="a.txt"',
    "last-modified": DATE,
}


@pytest.mark.parametrize(
    ("request_fields", "status", "expected"),
    [
        ({}, 200, COMMON | CONTENT | FRESHNESS | {"content-length": "100"}),
        (
            {"range": "bytes=0-1"},
            206,
            COMMON
            | CONTENT
            | FRESHNESS
            | {"content-length": "2", "content-range": "bytes 0-1/100"},
        ),
        ({"if-none-match": '"a"'}, 304, COMMON | FRESHNESS),
        ({"if-match": '"b"'}, 412, COMMON),
        ({"range": "bytes=100-"}, 416, COMMON | {"content-range": "bytes */100"}),
    ],
)
def test_fields(request_fields: dict[str, str], status: int, expected: dict[str, str]) -> None:
    plan = get(request_fields, FULL, RICH)
    assert plan.status == status
    assert fields_of(plan) == expected


def test_304_says_the_date_where_no_tag_does() -> None:
    """§15.4.5: it guides the update of a stored response that has nothing else."""
    stored = Representation(100, None, T)
    plan = get({"if-modified-since": DATE}, stored)
    assert plan.status == 304
    assert fields_of(plan)["last-modified"] == DATE


REQUIRED_OF_304 = ("cache-control", "content-location", "etag", "expires", "vary")


@given(VALIDATED, st.sampled_from([PLAIN, RICH]))
def test_304_carries_what_200_would_for_caches(stored: oracle.Stored, policy: Policy) -> None:
    representation = representation_of(stored)
    plan = make_plan("GET", {"if-none-match": "*"}, representation, policy)
    whole = fields_of(make_plan("GET", {}, representation, policy))
    fields = fields_of(plan)
    assert plan.status == 304
    for name in REQUIRED_OF_304:
        assert fields.get(name) == whole.get(name)
    assert not {"content-length", "content-type", "content-encoding", "content-range"} & set(fields)


@given(VALIDATED)
def test_206_carries_what_200_would_for_caches(stored: oracle.Stored) -> None:
    representation = representation_of(stored)
    for field in ("bytes=0-0", "bytes=0-0,2-2"):
        plan = make_plan("GET", {"range": field}, representation, RICH)
        whole, fields = fields_of(make_plan("GET", {}, representation, RICH)), fields_of(plan)
        changes = {"content-length", "content-range", "content-type"}
        if plan.status == 206:
            assert {n: v for n, v in fields.items() if n not in changes} == {
                n: v for n, v in whole.items() if n not in changes
            }


def test_an_object_that_says_nothing() -> None:
    assert fields_of(get(representation=Representation(0))) == {
        "content-length": "0",
        "content-type": "application/octet-stream",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize(
    ("own", "of_policy", "expected"),
    [
        ("max-age=1", "no-cache", "max-age=1"),
        (None, "no-cache", "no-cache"),
        ("", "no-cache", "no-cache"),
        (" ", "no-cache", "no-cache"),
        ("public\r\nX: 1", "no-cache", "no-cache"),
        ("☃", "no-cache", "no-cache"),
        (None, None, None),
        ("☃", None, None),
    ],
)
def test_cache_control(own: str | None, of_policy: str | None, expected: str | None) -> None:
    """A value that can't be sent is none: else caches would guess where the operator said."""
    plan = get(representation=Representation(1, cache_control=own), policy=Policy(of_policy))
    assert fields_of(plan).get("cache-control") == expected


HOSTILE = "x\r\nSet-Cookie: a=b"


def test_hostile_metadata_is_left_out() -> None:
    stored = Representation(
        1,
        media_type=HOSTILE,
        content_encoding=HOSTILE,
        content_language="\0",
        content_disposition=HOSTILE,
        cache_control="a\x0bb",
        expires="a" * 8192,
    )
    for policy in (PLAIN, Policy(download=""), Policy(download=HOSTILE)):
        assert set(fields_of(get(representation=stored, policy=policy))) <= {
            "content-length",
            "content-type",
            "content-disposition",
            "accept-ranges",
            "x-content-type-options",
        }


# --- downloads ----------------------------------------------------------------------------------


def disposition(stored: str | None, download: str | None, name: str = "url.txt") -> str | None:
    representation = Representation(1, content_disposition=stored)
    plan = get(representation=representation, policy=Policy(download=download, name=name))
    return fields_of(plan).get("content-disposition")


@pytest.mark.parametrize(
    ("stored", "download", "saved"),
    [
        (None, "", "url.txt"),
        ("", "", "url.txt"),
        ('inline; filename="own.txt"', "", "own.txt"),
        ('inline; filename="own.txt"', "asked.txt", "asked.txt"),
        (None, "../asked.txt", "asked.txt"),
        (None, "日本.txt", "日本.txt"),
        ("nonsense filename=x", "", "url.txt"),
        # What can't be sent is no reason to show the body instead of saving it.
        ("inline; filename=\u2603", "", "url.txt"),
        ("inline\r\n", "", "url.txt"),
        ('inline; filename="a\r\nX: 1"', "", "url.txt"),
        ("inline; x=\0", "", "url.txt"),
        ("inline; filename=" + "a" * 5000, "", "url.txt"),
        ("inline; filename=" + "a" * 4078, "", "url.txt"),
    ],
)
def test_download(stored: str | None, download: str, saved: str) -> None:
    value = disposition(stored, download)
    assert value is not None
    assert saved_name(value) == saved


def test_without_download_the_stored_value_is_kept() -> None:
    assert disposition(None, None) is None
    assert disposition('inline; filename="own.txt"', None) == 'inline; filename="own.txt"'
    assert disposition("inline", "") == "attachment"
    assert saved_name(disposition(None, "", name="") or "") == "download"


# --- error pages --------------------------------------------------------------------------------


def test_error_page() -> None:
    page = Representation(
        9,
        parse_etag('"a"'),
        T,
        media_type="text/html",
        content_encoding="br",
        content_language="de",
        cache_control="max-age=1",
    )
    plan = plan_error_page("GET", 404, page, RICH)
    assert (plan.status, plan.parts, plan.length) == (404, (Span(0, 9),), 9)
    assert fields_of(plan) == {
        "content-length": "9",
        "content-type": "text/html",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-encoding": "br",
        "content-language": "de",
        "content-security-policy": "sandbox",
    }
    head = plan_error_page("HEAD", 404, page, RICH)
    assert (head.status, head.fields, head.parts) == (404, plan.fields, ())
    assert plan_error_page("GET", 404, Representation(0), PLAIN).parts == ()

"""Opening: one request, each head checked, each refusal told as the right fault."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from proxy.errors import (
    Fault,
    Forbidden,
    NotFound,
    OriginFault,
    OriginRefused,
    OriginUnavailable,
    RequestFault,
    StartError,
)
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Want
from proxy.origins.s3 import S3Options, S3Origin
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span
from tests.origins.s3.fault_origin import (
    BODY,
    CLOSE,
    Request,
    answer,
    error,
    fault_origin,
    good,
    s3_origin,
)
from tests.origins.s3.reading import read

SIZE = len(BODY)


@pytest.mark.parametrize(
    ("want", "asked"),
    [
        (WHOLE, None),
        (Want(first=ByteRange(0, None)), "bytes=0-"),
        (Want(first=ByteRange(7, 99)), "bytes=7-99"),
    ],
)
async def test_open_and_read_are_one_request(want: Want, asked: str | None) -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a b", want)
        span = (want.first or ByteRange(0, None)).meet(SIZE)
        assert span is not None
        assert await read(opened, span) == BODY[span.start : span.stop]
        await opened.aclose()
    [request] = store.requests
    assert (request.method, request.target) == ("GET", "/media/a%20b")
    assert request.headers.get("range") == asked
    assert request.headers["x-amz-checksum-mode"] == "ENABLED"
    assert request.headers["accept-encoding"] == "identity"
    assert "Credential=AKTEST/" in request.headers["authorization"]
    assert "cookie" not in request.headers


async def test_head_asks_for_no_body() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", NO_BODY)
        assert opened.representation.size == SIZE
        await opened.aclose()
    assert [request.method for request in store.requests] == ["HEAD"]


async def test_unsigned_requests_bear_no_credentials() -> None:
    async with (
        fault_origin() as store,
        s3_origin(
            store.endpoint, unsigned=True, access_key_id=None, secret_access_key=None
        ) as origin,
    ):
        await (await origin.open("a")).aclose()
    headers = store.requests[0].headers
    assert not [n for n in headers if n == "authorization" or n.startswith("x-amz-date")]


async def test_the_prefix_goes_before_the_key_as_it_is() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint, prefix="p+q/") as origin:
        await (await origin.open("/x")).aclose()
    assert store.requests[0].target == "/media/p%2Bq//x"


@pytest.mark.parametrize("key", ["..", "../x", "a/../b", "a/..", "./a", "a/.", "..\\x", "a\\.\\b"])
async def test_dot_segments_never_reach_a_store(key: str) -> None:
    async with fault_origin() as store, s3_origin(store.endpoint, prefix="p/") as origin:
        with pytest.raises(RequestFault):
            await origin.open(key)
    assert store.requests == []


async def test_the_bucket_itself_is_no_object() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        with pytest.raises(NotFound):
            await origin.open("")
    assert store.requests == []


async def test_a_key_that_is_no_text_is_refused() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        with pytest.raises(RequestFault):
            await origin.open("\ud800")
        with pytest.raises(RequestFault):
            await origin.list("\ud800/")


async def test_an_unsatisfiable_range_still_opens() -> None:
    def respond(request: Request) -> list[bytes]:
        ranged = request.headers.get("range") is not None
        return [error(416, "InvalidRange") if ranged else good(request)]

    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", Want(first=ByteRange(SIZE, None)))
        assert opened.representation.size == SIZE
        assert await read(opened, Span(0, 0)) == b""
        await opened.aclose()
    assert [request.method for request in store.requests] == ["GET", "HEAD"]


async def test_what_no_object_reaches_is_not_asked_for() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        await (await origin.open("a", Want(first=ByteRange(2**70, None)))).aclose()
    assert [request.method for request in store.requests] == ["HEAD"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(404, "NoSuchKey"), NotFound),
        (error(404, "NoSuchBucket"), OriginFault),
        (error(403, "AccessDenied"), OriginRefused),
        (error(503, "SlowDown", {"Retry-After": "5"}), OriginUnavailable),
        (error(400, "InvalidArgument"), OriginFault),
        (answer(404, {}, b"<Error>" + b"<Code>x" * 200_000), NotFound),
        (answer(404, {}, b"cut", length=5000), NotFound),
        (answer(204), OriginFault),
        (answer(304), OriginFault),
        (answer(200, {"Transfer-Encoding": "chunked"}, b"1\r\nx\r\n0\r\n\r\n", length=None), None),
        (answer(200, {}, b"close-delimited", length=None), None),
        (answer(206, {"Content-Range": f"bytes 1-{SIZE - 1}/{SIZE}"}, BODY[1:]), OriginFault),
        (answer(206, {"Content-Type": "multipart/byteranges; boundary=x"}, BODY), OriginFault),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx", OriginFault),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Range: x\r\n\r\nxxxxx", OriginFault),
        (b"SSH-2.0-OpenSSH\r\n\r\n", OriginFault),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", OriginFault),
    ],
)
async def test_each_wrong_answer_is_its_fault(reply: bytes, kind: type[Fault] | None) -> None:
    async with (
        fault_origin(lambda _: [reply, CLOSE]) as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        for _ in range(2):  # the one slot came back
            with pytest.raises(Fault) as raised:
                await origin.open("a")
            assert type(raised.value) is (kind or OriginFault)
            assert "very-secret" not in str(raised.value)


async def test_forbidden_is_the_clients_only_without_credentials() -> None:
    async with (
        fault_origin(lambda _: [error(403, "AccessDenied")]) as store,
        s3_origin(
            store.endpoint, unsigned=True, access_key_id=None, secret_access_key=None
        ) as origin,
    ):
        with pytest.raises(Forbidden):
            await origin.open("a")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with fault_origin() as canary:
        place = {"Location": f"{canary.endpoint}/media/a"}
        async with (
            fault_origin(lambda _: [answer(status, place)]) as store,
            s3_origin(store.endpoint) as origin,
        ):
            for want in (WHOLE, NO_BODY):
                with pytest.raises(OriginFault, match="redirect"):
                    await origin.open("a", want)
    assert canary.connections == 0


async def test_cookies_are_not_kept() -> None:
    async with (
        fault_origin(lambda request: [good(request, {"Set-Cookie": "a=b; Path=/"})]) as store,
        s3_origin(store.endpoint) as origin,
    ):
        for _ in range(2):
            await (await origin.open("a")).aclose()
    assert all("cookie" not in request.headers for request in store.requests)


async def test_stored_codings_are_passed_untouched() -> None:
    packed = gzip.compress(BODY)

    def respond(request: Request) -> list[bytes]:
        return [good(request, {"Content-Encoding": "gzip"}, packed)]

    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a")
        assert await read(opened, Span(0, len(packed))) == packed
        assert opened.representation.content_encoding == "gzip"
        await opened.aclose()


async def test_any_octet_in_a_header_value_is_kept() -> None:
    value = "caf\xe9 \xff"
    async with (
        fault_origin(lambda r: [good(r, {"Content-Disposition": value})]) as store,
        s3_origin(store.endpoint) as origin,
    ):
        opened: OpenObject = await origin.open("a")
        assert opened.representation.content_disposition == value
        await opened.aclose()


async def test_it_must_be_started_and_may_be_closed_twice() -> None:
    origin = S3Origin(S3Options(bucket="media", endpoint="http://127.0.0.1:1"))
    with pytest.raises(OriginUnavailable):
        await origin.open("a")
    await origin.aclose()
    await origin.aclose()


UNUSABLE = S3Options(bucket="media", endpoint="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "options",
    [
        replace(UNUSABLE, access_key_id="AK"),
        replace(UNUSABLE, secret_access_key="very-secret"),
        replace(UNUSABLE, endpoint="http://user:very-secret@127.0.0.1:1"),
        replace(UNUSABLE, endpoint="127.0.0.1:1"),
        replace(UNUSABLE, endpoint="https://127.0.0.1:1", unsigned=True, ca_bundle="/no/file"),
        replace(UNUSABLE, bucket="a b"),
        replace(UNUSABLE, bucket="x--use1-az4--x-s3", endpoint=None),
        replace(UNUSABLE, profile="no-such-profile"),
    ],
)
async def test_options_that_can_not_be_used(options: S3Options) -> None:
    origin = S3Origin(options)
    with pytest.raises(StartError) as raised:
        await origin.start()
    assert "\n" not in str(raised.value)
    assert "very-secret" not in str(raised.value)
    assert "very-secret" not in repr(S3Options(bucket="b", secret_access_key="very-secret"))
    await origin.aclose()


LIST = (
    "<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated>"
    "<Contents><Key>p/d/x</Key><Size>3</Size></Contents></ListBucketResult>"
)


async def test_list_asks_below_the_prefix() -> None:
    async with (
        fault_origin(lambda _: [answer(200, {}, LIST.encode())]) as store,
        s3_origin(store.endpoint, prefix="p/") as origin,
    ):
        page = await origin.list("d/", None, 7)
    assert [(entry.name, entry.size) for entry in page.entries] == [("x", 3)]
    assert store.requests[0].target == (
        "/media/?delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=p%2Fd%2F"
    )


async def test_a_long_listing() -> None:
    row = "<Contents><Key>k{:05}</Key><Size>3</Size></Contents>"
    rows = "".join(row.format(number) for number in range(2000))
    body = f"<ListBucketResult>{rows}</ListBucketResult>".encode()
    async with (
        fault_origin(lambda _: [answer(200, {}, body)]) as store,
        s3_origin(store.endpoint) as origin,
    ):
        page = await origin.list("")
    assert [page.entries[0].name, page.entries[-1].name] == ["k00000", "k01999"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(404, "NoSuchBucket"), OriginFault),
        (error(403, "AccessDenied"), OriginRefused),
        (answer(200, {}, b"<html></html>"), OriginFault),
        (answer(200, {}, LIST.encode()[:-30]), OriginFault),
        (answer(200, {}, b"<a>" * 2_000_000), OriginFault),
        (answer(301, {"Location": "http://127.0.0.1:1/"}), OriginFault),
    ],
)
async def test_a_listing_that_fails(reply: bytes, kind: type[Fault]) -> None:
    async with fault_origin(lambda _: [reply, CLOSE]) as store, s3_origin(store.endpoint) as origin:
        with pytest.raises(Fault) as raised:
            await origin.list("")
        assert type(raised.value) is kind


async def test_a_missing_folder_is_an_empty_page() -> None:
    async with (
        fault_origin(lambda _: [error(404, "NoSuchKey")]) as store,
        s3_origin(store.endpoint) as origin,
    ):
        assert (await origin.list("d/")).entries == ()

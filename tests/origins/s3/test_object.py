"""Reading: exactly the span's bytes of the version that was opened, or a fault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from proxy.errors import (
    Fault,
    ObjectChanged,
    OriginBroke,
    OriginFault,
    OriginTimeout,
    OriginUnavailable,
)
from proxy.origins.base import NO_BODY, Want
from proxy.origins.s3 import S3Origin
from proxy.origins.s3.client import Client
from proxy.origins.s3.credentials import Credentials
from proxy.origins.s3.object import S3Object, Stream
from proxy.origins.s3.signing import Signer
from proxy.origins.s3.transport import Limits, Transport
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Representation, Span
from tests.origins.s3.fault_origin import (
    BODY,
    CLOSE,
    HANG,
    MD5,
    MODIFIED,
    RESET,
    Request,
    Step,
    answer,
    error,
    fault_origin,
    good,
    s3_origin,
)
from tests.origins.s3.reading import read

SIZE = len(BODY)
WHOLE_SPAN = Span(0, SIZE)


def by_turns(*replies: Callable[[Request], bytes]) -> Callable[[Request], list[Step]]:
    """Answers the first request by the first reply and so on; the last one serves for the rest."""
    left = list(replies)
    return lambda request: [(left.pop(0) if len(left) > 1 else left[0])(request)]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("span", [Span(0, 1), Span(100, 200), Span(SIZE - 1, SIZE), WHOLE_SPAN])
async def test_later_spans_are_pinned_requests(span: Span) -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", NO_BODY)
        assert await read(opened, span) == BODY[span.start : span.stop]
        await opened.aclose()
    headers = store.requests[1].headers
    assert headers["range"] == f"bytes={span.start}-{span.stop - 1}"
    assert headers["if-match"] == MD5


async def test_an_empty_span_asks_for_nothing() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", NO_BODY)
        assert await read(opened, Span(5, 5)) == b""
    assert len(store.requests) == 1


async def test_the_opening_stream_serves_a_span_at_its_start() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a")
        assert await read(opened, Span(0, 10)) == BODY[:10]
        assert await read(opened, Span(0, 10)) == BODY[:10]
        await opened.aclose()
    assert len(store.requests) == 2


async def test_a_stream_that_does_not_fit_is_closed_first() -> None:
    async with (
        fault_origin() as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        opened = await origin.open("a")
        assert await read(opened, Span(5, 10)) == BODY[5:10]
        await opened.aclose()
        await opened.aclose()


def cut_at(count: int, last: Step) -> Callable[[Request], list[Step]]:
    def respond(request: Request) -> list[Step]:
        whole = good(request)
        head = len(whole) - SIZE
        return [whole[: head + count], last]

    return respond


@pytest.mark.parametrize("last", [CLOSE, RESET])
@pytest.mark.parametrize("count", [0, 1, SIZE // 2, SIZE - 1])
async def test_a_body_that_breaks_off(count: int, last: Step) -> None:
    async with (
        fault_origin(cut_at(count, last)) as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        for _ in range(2):
            with pytest.raises((OriginBroke, OriginFault)) as raised:
                await _read_whole(origin)
            # A reset may overtake the head on its way; it is a fault of the origin in any case.
            assert last == RESET or type(raised.value) is OriginBroke


async def test_a_body_shorter_than_its_head_said_is_never_complete() -> None:
    """aiohttp notices first; this is for the day it does not."""
    limits = Limits(connect=5, first_byte=5, stall=5, slot=5, connections=1)
    async with fault_origin() as store:
        client = Client(
            Transport(f"{store.endpoint}/media/", Signer("r"), limits), Credentials(None)
        )
        stream = Stream(await client.ask("GET", "a", {}), Span(0, SIZE + 1))
        opened = S3Object(client, "a", Representation(SIZE + 1), stream)
        with pytest.raises(OriginBroke, match="1 bytes too early"):
            await read(opened, Span(0, SIZE + 1))
        await client.aclose()


async def test_a_store_that_falls_silent() -> None:
    async with (
        fault_origin(cut_at(100, HANG)) as store,
        s3_origin(store.endpoint, stall_timeout=0.2) as origin,
    ):
        opened = await origin.open("a")
        with pytest.raises(OriginTimeout):
            await read(opened, WHOLE_SPAN)
        await until(lambda: store.open_connections == 1)  # the probe's; the silent one is closed


async def test_a_slow_reader_is_no_stalled_store() -> None:
    body = bytes(8_000_000)
    async with (
        fault_origin(lambda r: [good(r, body=body)]) as store,
        s3_origin(store.endpoint, stall_timeout=1.0) as origin,
    ):
        opened = await origin.open("a")
        size = 0
        async with contextlib.aclosing(opened.read(Span(0, len(body)))) as pieces:
            async for piece in pieces:
                if not size:
                    await asyncio.sleep(1.5)
                size += len(piece)
        assert size == len(body)


def changed(**headers: str) -> Callable[[Request], bytes]:
    return lambda request: good(request, headers)


def other_size(request: Request) -> bytes:
    start, stop = request.asked or (0, SIZE)
    place = {"ETag": MD5, "Content-Range": f"bytes {start}-{stop - 1}/{SIZE + 1}"}
    return answer(206, place, BODY[start:stop])


@pytest.mark.parametrize(
    ("first", "later", "kind"),
    [
        (good, changed(ETag='"other"'), ObjectChanged),
        (good, other_size, ObjectChanged),
        (good, lambda r: good(r, body=BODY + b"x"), ObjectChanged),
        (good, lambda _: error(412, "PreconditionFailed"), ObjectChanged),
        (good, lambda _: error(404, "NoSuchKey"), ObjectChanged),
        (good, lambda _: error(405, "MethodNotAllowed"), ObjectChanged),
        (good, lambda _: error(416, "InvalidRange"), ObjectChanged),
        (good, lambda _: error(404, "NoSuchBucket"), OriginFault),
        (good, lambda _: error(503, "SlowDown"), OriginUnavailable),
        (good, lambda _: error(400, "KeyTooLongError"), OriginFault),
        (good, lambda _: answer(200, {"ETag": '"other"'}, b"other"), ObjectChanged),
        (good, lambda _: answer(206, {"ETag": MD5}, BODY[100:200]), OriginFault),
        (
            good,
            lambda _: answer(
                206, {"ETag": MD5, "Content-Range": f"bytes 101-200/{SIZE}"}, BODY[101:201]
            ),
            OriginFault,
        ),
        (
            changed(ETag='W/"a"'),
            changed(ETag='W/"a"', **{"Last-Modified": "Mon, 23 Nov 2026 10:00:01 GMT"}),
            ObjectChanged,
        ),
        (changed(ETag=""), changed(ETag='"a"'), ObjectChanged),
    ],
)
async def test_versions_are_never_mixed(
    first: Callable[[Request], bytes], later: Callable[[Request], bytes], kind: type[Fault]
) -> None:
    async with (
        fault_origin(by_turns(first, later)) as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        opened = await origin.open("a", NO_BODY)
        for _ in range(2):
            with pytest.raises(Fault) as raised:
                await read(opened, Span(100, 200))
            assert type(raised.value) is kind


@pytest.mark.parametrize("etag", ['W/"a"', "", '"caf\xe9"', "no tag"])
async def test_without_a_strong_tag_nothing_is_sent_but_all_is_compared(etag: str) -> None:
    async with fault_origin(lambda r: [good(r, {"ETag": etag})]) as store:
        async with s3_origin(store.endpoint) as origin:
            opened = await origin.open("a", NO_BODY)
            assert await read(opened, Span(3, 9)) == BODY[3:9]
        assert "if-match" not in store.requests[1].headers


async def test_without_a_strong_tag_the_version_is_pinned() -> None:
    more = {"ETag": "", "x-amz-version-id": "v/1+"}
    async with fault_origin(lambda r: [good(r, more)]) as store:
        async with s3_origin(store.endpoint) as origin:
            opened = await origin.open("a", NO_BODY)
            assert await read(opened, Span(3, 9)) == BODY[3:9]
        assert store.requests[1].target == "/media/a?versionId=v%2F1%2B"


def ignores_ranges(body: bytes) -> Callable[[Request], list[Step]]:
    def respond(request: Request) -> list[Step]:
        if request.method == "HEAD":
            return [good(request, body=body)]
        return [answer(200, {"ETag": '"a"', "Last-Modified": MODIFIED}, body)]

    return respond


async def test_a_store_that_ignores_ranges() -> None:
    respond = ignores_ranges(BODY)
    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", Want(first=ByteRange(100, 199)))
        assert opened.representation.size == SIZE
        assert await read(opened, Span(100, 200)) == BODY[100:200]  # out of the opening stream
        assert len(store.requests) == 1
        assert await read(opened, Span(SIZE - 1, SIZE)) == BODY[-1:]
        await opened.aclose()


async def test_but_not_when_too_much_would_be_read_in_vain() -> None:
    body = bytes(8 * 1024 * 1024) + b"12"
    respond = ignores_ranges(body)
    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a", Want(first=ByteRange(0, 1)))
        span = Span(len(body) - 2, len(body) - 1)
        assert await read(opened, span) == b"1"
        with pytest.raises(OriginFault):
            await read(opened, Span(span.start + 1, span.stop + 1))


async def test_leaving_early_closes_a_long_body() -> None:
    body = bytes(30_000_000)

    def respond(request: Request) -> list[Step]:
        return [good(request, body=body)]

    async with (
        fault_origin(respond) as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        for _ in range(3):
            opened = await origin.open("a")
            async with contextlib.aclosing(opened.read(Span(0, len(body)))) as pieces:
                async for _ in pieces:
                    break
            await opened.aclose()
        await until(lambda: store.open_connections == 0)


async def test_a_whole_short_body_keeps_its_connection() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        for _ in range(5):
            opened = await origin.open("a")
            assert await read(opened, WHOLE_SPAN) == BODY
            await opened.aclose()
        assert store.connections == 1


@pytest.mark.parametrize("steps", [[HANG], [answer(200, {}, b"x", length=9), HANG]])
async def test_cancelled_at_any_wait_nothing_stays_taken(steps: list[Step]) -> None:
    def respond(request: Request) -> list[Step]:
        return [good(request)] if request.target.endswith("/good") else steps

    async with (
        fault_origin(respond) as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=30) as origin,
    ):
        for _ in range(3):
            seen = len(store.requests)
            task = asyncio.create_task(_read_whole(origin, "bad"))
            while len(store.requests) == seen:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await (await origin.open("good")).aclose()
        await until(lambda: store.open_connections <= 1)


async def _read_whole(origin: S3Origin, key: str = "a") -> None:
    opened = await origin.open(key)
    try:
        await read(opened, Span(0, opened.representation.size))
    finally:
        await opened.aclose()


async def test_a_request_that_finds_no_free_connection() -> None:
    async with (
        fault_origin() as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=0.1) as origin,
    ):
        holding = await origin.open("a")
        told = origin.waiting()
        assert (told.used, told.most, told.waits) == (1, 1, 0)
        with pytest.raises(OriginUnavailable):
            await origin.open("b")
        told = origin.waiting()
        assert (told.used, told.queued, told.waits, told.late, told.full) == (1, 0, 1, 1, 0)
        assert told.seconds >= 0.1
        await holding.aclose()
        assert origin.waiting().used == 0
        await (await origin.open("b")).aclose()
        assert origin.waiting().used == 0


async def test_too_many_waiting_are_refused_at_once() -> None:
    async with (
        fault_origin() as store,
        s3_origin(store.endpoint, max_connections=1, slot_timeout=60) as origin,
    ):
        holding = await origin.open("a")
        waiting = [asyncio.create_task(origin.open("b")) for _ in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(OriginUnavailable, match="too many"):
            await origin.open("c")
        await holding.aclose()
        for task in waiting:
            await (await task).aclose()

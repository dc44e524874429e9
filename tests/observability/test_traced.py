"""The layers that make spans of what an origin is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import pytest

from proxy.errors import Fault, NotFound, OriginBroke, OriginTimeout
from proxy.observability.spans import CURRENT, Span, Tracer, new_trace_id
from proxy.observability.traced import Fetching, Traced
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Origin, SummedInParts, Unmodified, Want
from proxy.origins.carried import CARRIED
from proxy.origins.lending import Lending, Piece, Stretch
from proxy.origins.memory import MemoryObject, MemoryOrigin, StoredObject
from proxy.origins.resuming import Resuming
from proxy.origins.retrying import RetryOptions
from proxy.semantics.etags import EntityTag
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Representation
from proxy.semantics.representation import Span as Stretched

BODY = b"x" * 1000
STRONG = Representation(len(BODY), etag=EntityTag("v1"))


class Breaking(MemoryOrigin):
    """Fails as it is told, and notes what its requests carry."""

    def __init__(self) -> None:
        super().__init__({"a": StoredObject(BODY, STRONG)}, buffer_size=300)
        self.opens: list[BaseException | None] = []
        self.reads: list[Fault | None] = []
        self.carried: list[str] = []

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        self.carried.append(CARRIED.get().get("traceparent", ""))
        fault = self.opens.pop(0) if self.opens else None
        if fault is not None:
            raise fault
        return _Object(await super().open(key, want), self)


class _Object(MemoryObject):
    def __init__(self, opened: MemoryObject, origin: Breaking) -> None:
        self._below, self._breaking = opened, origin

    @property
    def representation(self) -> Representation:
        return self._below.representation

    async def read(self, span: Stretched) -> AsyncGenerator[bytes, None]:
        self._breaking.carried.append(CARRIED.get().get("traceparent", ""))
        fault = self._breaking.reads.pop(0) if self._breaking.reads else None
        async with aclosing(self._below.read(span)) as buffers:
            async for buffer in buffers:
                yield buffer
                if fault is not None:
                    raise fault

    async def aclose(self) -> None:
        await self._below.aclose()


class Rig:
    """A store that breaks, with both layers and the retries between them."""

    def __init__(self, *, retries: int = 3) -> None:
        self.ended: list[Span] = []
        self.store = Breaking()
        tracer = Tracer(self.ended.append)
        options = RetryOptions(max_retries=retries, first_pause=0.0)
        self.store_only: Origin = Traced(self.store, "media", tracer, "client")
        self.origin: Origin = Fetching(Resuming(self.store_only, options), "media", tracer)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.ended if span.name == name]


@pytest.fixture
def within() -> Span:
    return Span(new_trace_id(), "", "GET /", "server")


async def read_all(opened: OpenObject, span: Stretched | None = None) -> bytes:
    async with aclosing(opened.read(span or Stretched(0, len(BODY)))) as buffers:
        return b"".join([one async for one in buffers])


async def test_what_is_not_traced_has_no_layer_and_no_span() -> None:
    rig = Rig()
    opened = await rig.store_only.open("a")
    assert type(opened) is _Object
    assert await read_all(opened) == BODY
    await opened.aclose()
    assert rig.ended == []
    assert rig.store.carried == ["", ""]


async def test_each_request_is_a_span_within_what_asked_for_it(within: Span) -> None:
    rig = Rig()
    CURRENT.set(within)
    opened = await rig.origin.open("a", Want(first=ByteRange(0, 999)))
    assert await read_all(opened) == BODY
    await opened.aclose()
    await opened.aclose()
    [fetch], [asked], [read] = map(rig.named, ("cache fetch", "open media", "read media"))
    assert (fetch.parent_id, asked.parent_id, read.parent_id) == (within.id, fetch.id, fetch.id)
    assert {span.trace_id for span in rig.ended} == {within.trace_id}
    assert (fetch.kind, asked.kind, read.kind) == ("internal", "client", "client")
    assert fetch.attributes == {
        "headgate.origin": "media",
        "headgate.range": "0-999",
        "headgate.bytes": 1000,
    }
    assert read.attributes == {
        "headgate.origin": "media",
        "headgate.attempt": 1,
        "headgate.bytes": 1000,
    }
    assert rig.store.carried == [one.fields["traceparent"] for one in (asked, read)]
    assert CURRENT.get() is within
    assert CARRIED.get() == {}


async def test_each_try_is_a_span_with_its_number(within: Span) -> None:
    rig = Rig()
    rig.store.opens = [OriginTimeout("slow"), OriginTimeout("slow"), None]
    rig.store.reads = [OriginBroke("password=hunter2"), None]
    CURRENT.set(within)
    opened = await rig.origin.open("a")
    assert await read_all(opened) == BODY
    await opened.aclose()
    opens, reads = rig.named("open media"), rig.named("read media")
    assert [one.attributes["headgate.attempt"] for one in opens] == [1, 2, 3]
    assert [one.error for one in opens] == [True, True, False]
    assert opens[0].attributes["error.type"] == "timeout"
    assert [one.attributes["headgate.attempt"] for one in reads] == [1, 2]
    assert [one.attributes["headgate.bytes"] for one in reads] == [300, 700]
    assert reads[0].attributes["error.type"] == "broke"
    assert reads[0].said == "password=********"
    [fetch] = rig.named("cache fetch")
    assert not fetch.error, "in the end it was good"
    opened = await rig.origin.open("a")
    await opened.aclose()
    assert rig.named("open media")[-1].attributes["headgate.attempt"] == 1


@pytest.mark.parametrize(
    ("error", "answer", "is_error"),
    [
        (NotFound("none"), "NotFound", False),
        (Unmodified(1), "not modified", False),
        (asyncio.CancelledError(), "given up", False),
        (RuntimeError("ours"), None, True),
    ],
)
async def test_answers_that_are_no_faults(
    within: Span, error: BaseException, answer: str | None, is_error: bool
) -> None:
    rig = Rig()
    rig.store.opens = [error]
    CURRENT.set(within)
    with pytest.raises(type(error)):
        await rig.origin.open("a", NO_BODY)
    for name in ("open media", "cache validate"):
        [span] = rig.named(name)
        assert (span.attributes.get("headgate.answer"), span.error) == (answer, is_error)
    assert CURRENT.get() is within


async def test_a_fetch_that_fails_says_so(within: Span) -> None:
    rig = Rig(retries=0)
    rig.store.reads = [OriginBroke("cut")]
    CURRENT.set(within)
    opened = await rig.origin.open("a")
    with pytest.raises(OriginBroke):
        await read_all(opened)
    await opened.aclose()
    [fetch] = rig.named("cache fetch")
    assert (fetch.error, fetch.attributes["error.type"]) == (True, "broke")


async def test_who_stops_reading_gives_up_and_who_has_all_does_not(within: Span) -> None:
    rig = Rig()
    CURRENT.set(within)
    opened = await rig.store_only.open("a")
    for span in (Stretched(0, 1000), Stretched(0, 300)):
        async with aclosing(opened.read(span)) as buffers:
            await anext(buffers)
    given_up, had_all = rig.named("read media")
    assert (given_up.attributes["headgate.answer"], given_up.error) == ("given up", False)
    assert "headgate.answer" not in had_all.attributes


async def test_listings_and_parts_are_spans_too(within: Span) -> None:
    class Parted(_Object):
        async def part_sizes(self) -> tuple[int, ...]:
            assert CARRIED.get()
            return (1, 2)

        async def part_sums(self) -> None:
            assert CARRIED.get()

    class Store(Breaking):
        async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
            return Parted(await MemoryOrigin.open(self, key, want), self)

    ended: list[Span] = []
    origin = Traced(Store(), "media", Tracer(ended.append), "client")
    assert (await origin.list("")).entries, "without a trace"
    CURRENT.set(within)
    assert (await origin.list("")).entries
    opened = await origin.open("a")
    assert isinstance(opened, SummedInParts)
    assert await opened.part_sums() is None
    assert await opened.part_sizes() == (1, 2)  # type: ignore[attr-defined]  # this one has it
    names = ["list media", "open media", "parts media", "parts media"]
    assert [span.name for span in ended] == names
    assert all(span.parent_id == within.id for span in ended)


async def test_what_is_lent_counts_as_far_as_it_is_taken(within: Span) -> None:
    class Lends(_Object):
        async def lend(self, span: Stretched) -> AsyncGenerator[Piece, None]:
            async def fetch(offset: int, count: int) -> None:
                pass

            yield Stretch(0, 0, 900, fetch)
            yield b"x" * 100

    class Store(Breaking):
        async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
            return Lends(await MemoryOrigin.open(self, key, want), self)

    ended: list[Span] = []
    CURRENT.set(within)
    opened = await Traced(Store(), "media", Tracer(ended.append), "internal").open("a")
    async with aclosing(cast("Lending", opened).lend(Stretched(0, 1000))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Stretch):
                piece.taken = 900
    assert ended[-1].attributes["headgate.bytes"] == 1000
    assert ended[-1].kind == "internal"


def test_who_can_not_list_below_can_not_above() -> None:
    class Mute:
        pass

    tracer = Tracer(lambda _: None)
    assert not hasattr(Traced(cast("Origin", Mute()), "a", tracer, "client"), "list")
    assert not hasattr(Fetching(cast("Origin", Mute()), "a", tracer), "list")

"""The reader of a body that broke off sees one unbroken body of one version, or a fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    Fault,
    NotFound,
    ObjectChanged,
    OriginBroke,
    OriginFault,
    OriginTimeout,
    OriginUnavailable,
    OriginUnreachable,
)
from proxy.origins.base import Origin
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.origins.resuming import Resuming, Trouble
from proxy.origins.retrying import MOST_TOKENS, TOKENS_PER_SECOND, RetryOptions
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation, Span
from tests.origins.breaking import Break, BreakingOrigin
from tests.origins.cancelling import cancel_everywhere

BODY = random.Random(3).randbytes(10_000)
WHOLE_SPAN = Span(0, len(BODY))
QUICK = RetryOptions(first_pause=0.0001, budget=1.0, enough=1)


def memory(body: bytes = BODY, representation: Representation | None = None) -> MemoryOrigin:
    stored = StoredObject(body) if representation is None else StoredObject(body, representation)
    return MemoryOrigin({"a": stored}, buffer_size=1000)


def resuming(
    below: Origin, told: list[Trouble] | None = None, options: RetryOptions = QUICK
) -> Resuming:
    return Resuming(below, options, (told if told is not None else []).append)


async def read(origin: Origin, *spans: Span) -> bytes:
    """The bytes of the spans, or what is raised; `given_until` has them in either case."""
    opened = await origin.open("a")
    try:
        parts = []
        for span in spans:
            async with aclosing(opened.read(span)) as buffers:
                parts += [buffer async for buffer in buffers]
        assert all(parts), "an empty buffer"
        return b"".join(parts)
    finally:
        await opened.aclose()


@pytest.mark.parametrize("fault", [OriginBroke, OriginTimeout, OriginUnreachable, None])
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 9_999])
async def test_a_break_is_not_seen(count: int, fault: type[Fault] | None) -> None:
    told: list[Trouble] = []
    below = BreakingOrigin(memory(), [(count, fault("broke") if fault else None)])
    assert await read(resuming(below, told), WHOLE_SPAN) == BODY
    assert below.spans == [WHOLE_SPAN, Span(count, len(BODY))]
    [trouble] = told
    assert (trouble.kind, trouble.position) == ("resume" if count else "retry", count)
    assert below.open_reads == 0


async def test_a_break_after_the_last_byte_is_none() -> None:
    below = BreakingOrigin(memory(), [(len(BODY), OriginBroke("reset"))])
    assert await read(resuming(below), WHOLE_SPAN) == BODY
    assert len(below.spans) == 1


async def test_but_another_version_is_told_even_then() -> None:
    below = BreakingOrigin(memory(), [(len(BODY), ObjectChanged("replaced"))])
    with pytest.raises(ObjectChanged):
        await read(resuming(below), WHOLE_SPAN)


async def test_any_number_of_breaks_with_bytes_between() -> None:
    below = BreakingOrigin(memory(), [(100, OriginBroke())] * 50)
    assert await read(resuming(below), WHOLE_SPAN) == BODY
    assert [span.start for span in below.spans] == list(range(0, 5001, 100))


async def test_a_few_bytes_between_do_not_go_on_for_ever() -> None:
    below = BreakingOrigin(memory(), [(3, OriginTimeout())] * 50)
    with pytest.raises(OriginTimeout):
        await read(resuming(below, options=RetryOptions(first_pause=0.0001)), WHOLE_SPAN)
    assert [span.start for span in below.spans] == [0, 3, 6, 9]


async def test_without_a_byte_between_the_count_is_bounded() -> None:
    told: list[Trouble] = []
    below = BreakingOrigin(memory(), [(100, OriginBroke()), *[(0, OriginTimeout("mute"))] * 9])
    with pytest.raises(OriginTimeout, match="mute"):
        await read(resuming(below, told), WHOLE_SPAN)
    assert len(below.spans) == 4
    assert [one.kind for one in told] == ["resume", "resume", "resume", "exhausted"]
    assert "3 retries did not help" in str(told[-1])
    assert "at byte 100" in str(told[-1])


@pytest.mark.parametrize("fault", [ObjectChanged(), OriginFault("nonsense"), NotFound()])
async def test_what_another_try_does_not_help_is_raised_at_once(fault: Fault) -> None:
    told: list[Trouble] = []
    below = BreakingOrigin(memory(), [(100, fault)])
    with pytest.raises(type(fault)):
        await read(resuming(below, told), WHOLE_SPAN)
    assert len(below.spans) == 1
    assert told == []


async def test_a_replaced_object_is_never_joined() -> None:
    store = memory()
    below = BreakingOrigin(store, [(5_000, OriginBroke())])
    below.before_break = lambda: store.put("a", StoredObject(bytes(len(BODY))))
    with pytest.raises(ObjectChanged):
        await read(resuming(below), WHOLE_SPAN)


@pytest.mark.parametrize("etag", [None, EntityTag("a", weak=True)])
async def test_what_has_no_strong_validator_is_not_joined(etag: EntityTag | None) -> None:
    known = Representation(len(BODY), etag=etag, last_modified=1_700_000_000)
    below = BreakingOrigin(memory(representation=known), [(1, OriginBroke())])
    with pytest.raises(OriginBroke):
        await read(resuming(below), WHOLE_SPAN)
    below = BreakingOrigin(memory(representation=known), [(0, OriginBroke())])
    assert await read(resuming(below), WHOLE_SPAN) == BODY  # nothing to join


class TooMuch:
    """An origin that gives more than was asked for."""

    representation = Representation(10, etag=EntityTag("a"))

    async def start(self) -> None: ...

    async def open(self, key: str, want: object = None) -> TooMuch:
        return self

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        yield bytes(span.length + 1)

    async def aclose(self) -> None: ...


async def test_more_than_was_asked_for_is_refused() -> None:
    with pytest.raises(OriginFault, match="more bytes"):
        await read(resuming(TooMuch()), Span(0, 10))


# --- opening and listing --------------------------------------------------------------------------


async def test_opening_is_tried_again() -> None:
    told: list[Trouble] = []
    below = BreakingOrigin(memory(), refusals=[OriginUnavailable("SlowDown"), OriginUnreachable()])
    assert await read(resuming(below, told), WHOLE_SPAN) == BODY
    assert below.opened == 3
    assert [(one.kind, one.position) for one in told] == [("retry", None)] * 2


@pytest.mark.parametrize("fault", [NotFound(), OriginFault()])
async def test_opening_what_is_not_there_is_not(fault: Fault) -> None:
    below = BreakingOrigin(memory(), refusals=[fault])
    with pytest.raises(type(fault)):
        await resuming(below).open("a")
    assert below.opened == 1


async def test_a_long_pause_is_for_the_client_to_make() -> None:
    below = BreakingOrigin(memory(), refusals=[OriginUnavailable(retry_after=60)])
    with pytest.raises(OriginUnavailable) as raised:
        await resuming(below).open("a")
    assert raised.value.retry_after == 60


async def test_listing_is_passed_on_where_there_is_one() -> None:
    page = await resuming(memory()).list("")
    assert [entry.name for entry in page.entries] == ["a"]
    assert not hasattr(resuming(BreakingOrigin(memory())), "list")


# --- bounds -----------------------------------------------------------------------------------


async def test_one_budget_for_all_readers() -> None:
    told: list[Trouble] = []
    below = BreakingOrigin(memory(), refusals=[OriginUnavailable()] * 10_000)
    origin = resuming(below, told, RetryOptions(first_pause=0.0001, budget=0.1))
    begun = monotonic()
    answers = await asyncio.gather(*(origin.open("a") for _ in range(1000)), return_exceptions=True)
    trickle = TOKENS_PER_SECOND * (monotonic() - begun + 1)
    assert all(isinstance(one, OriginUnavailable) for one in answers)
    assert below.opened <= 1000 + MOST_TOKENS + trickle
    assert any("budget" in one.why for one in told)


async def test_no_read_is_open_while_it_waits() -> None:
    below = BreakingOrigin(memory(), [(100, OriginBroke())])
    options = RetryOptions(first_pause=3600.0, longest_pause=3600.0, patience=1e9)
    opened = await resuming(below, options=options).open("a")

    async def read_all() -> None:
        async with aclosing(opened.read(WHOLE_SPAN)) as buffers:
            async for _ in buffers:
                pass

    reading = asyncio.create_task(read_all())
    while not below.spans or below.open_reads:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await opened.aclose()


async def test_cancelled_at_every_await() -> None:
    async def use() -> None:
        refusals = [OriginUnavailable()]
        below = BreakingOrigin(memory(), [(100, OriginBroke()), (0, OriginBroke())], refusals)
        try:
            assert await read(resuming(below), WHOLE_SPAN) == BODY
        finally:
            assert below.open_reads == 0

    assert await cancel_everywhere(use) > 10


# --- for any cuts ---------------------------------------------------------------------------------

FAULTS = st.sampled_from([OriginBroke, OriginTimeout, OriginUnavailable, ObjectChanged, None])


@st.composite
def objects_and_reads(draw: st.DrawFn) -> tuple[bytes, list[Span], list[Break], int]:
    body = draw(st.binary(max_size=60))
    edges = st.integers(0, len(body))
    spans = [Span(*sorted((draw(edges), draw(edges)))) for _ in range(draw(st.integers(0, 4)))]
    kinds = draw(st.lists(st.tuples(edges, FAULTS), max_size=8))
    breaks: list[Break] = [(count, kind() if kind else None) for count, kind in kinds]
    return body, spans, breaks, draw(st.integers(1, 20))


@given(objects_and_reads(), st.integers(0, 12))
async def test_a_body_is_whole_or_broken(
    case: tuple[bytes, list[Span], list[Break], int], replaced_after: int
) -> None:
    """For any object, any split into reads, any cuts, replaced at any moment or not at all."""
    body, spans, breaks, buffer_size = case
    other = bytes(byte ^ 0xFF for byte in body)
    store = MemoryOrigin({"a": StoredObject(body)}, buffer_size=buffer_size)
    below = BreakingOrigin(store, breaks)
    ends = 0

    def count() -> None:
        nonlocal ends
        ends += 1
        if ends == replaced_after:
            store.put("a", StoredObject(other))

    below.before_break = count
    opened = await resuming(below).open("a")
    for span in spans:
        received = bytearray()
        try:
            async with aclosing(opened.read(span)) as buffers:
                async for buffer in buffers:
                    received += buffer
        except Fault:
            assert body[span.start : span.stop].startswith(received)
            break
        assert received == body[span.start : span.stop]
    await opened.aclose()
    assert below.open_reads == 0

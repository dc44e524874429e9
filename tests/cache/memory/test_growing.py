"""All who read a slice get the same bytes, at whatever pace, or are told that they can't."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk.stored import SliceGone
from proxy.cache.memory import growing
from proxy.cache.memory.growing import Slice
from proxy.cache.rules.checking import BLOCK
from proxy.errors import OriginBroke, OriginTimeout
from tests.cache.samples import bytes_of, table_of
from tests.origins.cancelling import cancel_everywhere

BODY = bytes_of(200)


async def read(slice_: Slice, start: int, stop: int, pause: int = 0) -> bytes:
    """The bytes, letting others go on `pause` times after each buffer."""
    got = b""
    async with aclosing(slice_.read(start, stop)) as buffers:
        async for buffer in buffers:
            assert buffer
            got += buffer
            for _ in range(pause):
                await asyncio.sleep(0)
    return got


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def test_what_is_at_hand_is_what_a_read_gives() -> None:
    slice_ = Slice(len(BODY))
    for piece in (BODY[:70], BODY[70:120], BODY[120:]):
        assert slice_.at_hand(0, 10) is None
        slice_.add(piece)
    assert slice_.at_hand(0, 10) is None  # not yet compared with what it has to be
    slice_.complete()
    for start, stop in ((0, 200), (0, 70), (70, 120), (10, 71), (69, 121), (199, 200), (5, 5)):
        assert slice_.at_hand(start, stop) == BODY[start:stop]
    slice_.drop()
    assert slice_.at_hand(0, 10) is None


READERS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 4), st.integers(0, 8)),
    max_size=6,
)
CUTS = st.lists(st.integers(0, 200), max_size=12)


@settings(deadline=None)
@given(READERS, CUTS)
def test_readers_at_any_pace_see_the_same_bytes(
    readers: list[tuple[int, int, int, int]], cuts: list[int]
) -> None:
    async def one(slice_: Slice, start: int, stop: int, pause: int, late: int) -> None:
        for _ in range(late):
            await asyncio.sleep(0)
        start, stop = min(start, stop), max(start, stop)
        assert await read(slice_, start, stop, pause) == BODY[start:stop]

    async def run() -> None:
        slice_ = Slice(len(BODY))
        reading = [asyncio.create_task(one(slice_, *how)) for how in readers]
        for piece in pieces(BODY, cuts):
            await asyncio.sleep(0)
            slice_.add(piece)
        await asyncio.sleep(0)
        slice_.complete()
        await asyncio.gather(*reading)
        assert (slice_.received, slice_.state) == (len(BODY), "whole")
        assert slice_.table == table_of(BODY)
        assert not slice_._waiting

    asyncio.run(run())


@given(CUTS, st.integers(0, 200))
def test_buffers_from_the_end_of_one(cuts: list[int], position: int) -> None:
    slice_ = Slice(len(BODY))
    ends = {0}
    for piece in pieces(BODY, cuts):
        slice_.add(piece)
        ends.add(slice_.received)
    for end in ends:
        assert b"".join(slice_.buffers_from(end)) == BODY[end:]


async def test_whole_buffers_are_not_copied() -> None:
    slice_ = Slice(3 * BLOCK)
    buffers = [bytes_of(BLOCK, seed) for seed in range(3)]
    for buffer in buffers:
        slice_.add(buffer)
    got = [one async for one in slice_.read(0, 3 * BLOCK)]
    assert all(one is buffer for one, buffer in zip(got, buffers, strict=True))


async def test_a_table_is_there_as_soon_as_all_bytes_are() -> None:
    body = bytes_of(BLOCK + 5)
    slice_ = Slice(len(body))
    slice_.add(body[:-1])
    assert slice_.table == b""
    slice_.add(body[-1:])
    assert slice_.table == table_of(body)
    assert slice_.state == "growing"  # it is not yet said to be right


async def test_others_have_a_turn_while_much_is_read() -> None:
    slice_ = Slice(40 * BLOCK)
    for _ in range(40):
        slice_.add(bytes(BLOCK))
    slice_.complete()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await read(slice_, 0, 40 * BLOCK)
    counting.cancel()
    assert turns >= 2


# --- when it does not come to its end -----------------------------------------------------------


async def test_dropping_wakes_all_and_frees_the_bytes_at_once() -> None:
    slice_ = Slice(len(BODY))
    slice_.add(BODY[:50])
    slow, waiting = slice_.read(0, 200), slice_.read(50, 200)
    assert await anext(slow) == BODY[:50]
    next_ = asyncio.ensure_future(anext(waiting))
    await asyncio.sleep(0)
    slice_.add(BODY[50:])
    slice_.complete()
    slice_.drop()
    assert (slice_._buffers, slice_._ends) == ([], [])
    for reading in (next_, anext(slow), anext(slice_.read(0, 1))):
        with pytest.raises(SliceGone):
            await reading
    assert not slice_._waiting


async def test_a_failure_gives_what_there_is_and_then_the_fault() -> None:
    slice_ = Slice(len(BODY))
    slice_.add(BODY[:50])
    slice_.add(BODY[50:80])
    waiting = asyncio.ensure_future(read(slice_, 80, 100))
    settled = asyncio.ensure_future(slice_.settled())
    await asyncio.sleep(0)
    fault = OriginBroke("it ended early")
    slice_.fail(fault)
    reading = slice_.read(10, 200)
    assert [await anext(reading), await anext(reading)] == [BODY[10:50], BODY[50:80]]
    with pytest.raises(OriginBroke) as raised:
        await anext(reading)
    assert raised.value is fault
    for one in (waiting, settled, read(slice_, 0, 200), slice_.settled()):
        with pytest.raises(OriginBroke, match="ended early"):
            await one
    assert await read(slice_, 10, 80) == BODY[10:80]  # who wants no more gets no fault


async def test_what_is_whole_does_not_fail_any_more() -> None:
    slice_ = Slice(1)
    slice_.add(b"x")
    slice_.complete()
    slice_.fail(OriginBroke())
    await slice_.settled()
    assert slice_.state == "whole"
    assert await read(slice_, 0, 1) == b"x"


async def test_settled_waits_until_it_is_known_to_be_right() -> None:
    slice_ = Slice(1)
    settled = asyncio.ensure_future(slice_.settled())
    await asyncio.sleep(0)
    slice_.add(b"x")
    await asyncio.sleep(0)
    assert not settled.done()
    slice_.complete()
    await settled


async def test_more_than_there_will_be_is_gone_and_does_not_wait() -> None:
    slice_ = Slice(1)
    slice_.add(b"x")
    slice_.complete()
    with pytest.raises(SliceGone):
        await read(slice_, 0, 2)


async def test_a_reader_that_nothing_comes_for_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "PATIENCE", 0.01)
    slice_ = Slice(len(BODY))
    slice_.add(BODY[:5])
    got = slice_.read(0, 200)
    assert await anext(got) == BODY[:5]
    with pytest.raises(OriginTimeout):
        await anext(got)
    with pytest.raises(OriginTimeout):
        await slice_.settled()
    assert not slice_._waiting


# --- readers that leave -------------------------------------------------------------------------


async def test_readers_that_leave_leave_nothing() -> None:
    slice_ = Slice(len(BODY))
    slice_.add(BODY[:5])
    readers = [asyncio.create_task(read(slice_, 0, 200)) for _ in range(50)]
    stays = asyncio.create_task(read(slice_, 0, 200))
    await asyncio.sleep(0)
    assert len(slice_._waiting) == 51
    for one in readers:
        one.cancel()
    await asyncio.wait(readers)
    assert all(one.cancelled() for one in readers)
    assert len(slice_._waiting) == 1
    slice_.add(BODY[5:])
    assert await stays == BODY
    assert not slice_._waiting


async def test_who_leaves_when_it_has_just_been_woken_takes_nothing_along() -> None:
    slice_ = Slice(len(BODY))
    leaves, stays = [asyncio.create_task(read(slice_, 0, 200)) for _ in range(2)]
    await asyncio.sleep(0)
    slice_.add(BODY)
    leaves.cancel()
    await asyncio.wait([leaves])
    assert leaves.cancelled()
    assert await stays == BODY


async def test_a_reader_can_be_cancelled_anywhere() -> None:
    made: list[Slice] = []

    async def use() -> None:
        slice_ = Slice(len(BODY))
        made.append(slice_)

        async def fill() -> None:
            for piece in pieces(BODY, list(range(0, 200, 7))):
                slice_.add(piece)
                await asyncio.sleep(0)
            slice_.complete()

        filling = asyncio.create_task(fill())
        try:
            assert await read(slice_, 3, 197) == BODY[3:197]
            await slice_.settled()
        finally:
            filling.cancel()

    assert await cancel_everywhere(use) > 20
    assert not any(one._waiting for one in made)

"""What is fetched before a reader comes to it: how much, how far, and that it is let go."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest

from proxy.cache.filling.entry import Entry
from proxy.cache.options import CacheOptions
from proxy.cache.serving.ahead import Window, last_to_fetch
from proxy.cache.serving.object import CachedObject
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.representation import Span
from tests.cache.stores import KIB, Counting, OwningCached, read

WIDTH = 256 * KIB
MIB = 1024 * KIB
SLICES = 16
BODY = random.Random(8).randbytes((SLICES - 1) * WIDTH + 7)
LAST = SLICES - 1
# Of the spans that are read here.
END = 12


class Rig:
    """An object of sixteen slices of which the first is kept."""

    def __init__(self) -> None:
        self.counting = Counting(MemoryOrigin({"a": StoredObject(BODY)}))
        options = CacheOptions(memory=4 * SLICES * WIDTH, width=WIDTH, read_ahead=6)
        self.cached = OwningCached(self.counting, options)

    async def start(self) -> Entry:
        await self.cached.start()
        opened = await self.cached.open("a")
        assert isinstance(opened, CachedObject)
        await read(opened, Span(0, 1))
        await self.settled()
        self.counting.opened.clear()
        return opened._entry

    async def settled(self) -> None:
        """Waits for all that is being fetched."""
        filler = self.cached.cache.filler
        for _ in range(20):
            await asyncio.sleep(0)
        if tasks := [fill.task for fill in filler._filling.values()]:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)

    @property
    def asked(self) -> list[int]:
        """The slices that the origin was asked for since the last look."""
        ranges = [want.first for _, want in self.counting.opened]
        starts = [one.first for one in ranges if one is not None]
        self.counting.opened.clear()
        return sorted(one // WIDTH for one in starts if one is not None)

    def interest(self, entry: Entry) -> list[int]:
        """How many want each slice that is in memory."""
        found = (self.cached.cache.memory.peek(entry.slice_name(one)) for one in range(SLICES))
        return [one.interest for one in found if one is not None]


@pytest.mark.parametrize(
    ("whole", "index", "taken", "asked"),
    [
        # Who asks for all of it: one more for each 512 KiB it took, and at most six.
        (True, 0, 0, []),
        (True, 1, 512 * KIB - 1, []),
        (True, 1, 512 * KIB, [2]),
        (True, 8, 2 * MIB, [9, 10, 11, 12]),
        (True, 2, 64 * MIB, [3, 4, 5, 6, 7, 8]),
        (True, END - 1, 64 * MIB, [END]),
        (True, END, 64 * MIB, []),
        # Who asks for a range: as much again as it took.
        (False, 0, 512 * KIB - 1, []),
        (False, 3, 512 * KIB, [4, 5, 6]),
        (False, 5, 1 * MIB, [6, 7, 8, 9, 10]),
        (False, 5, 64 * MIB, [6, 7, 8, 9, 10, 11]),
    ],
)
async def test_the_window_opens_as_a_reader_takes_bytes(
    whole: bool, index: int, taken: int, asked: list[int]
) -> None:
    rig = Rig()
    entry = await rig.start()
    window = Window(rig.cached.cache.filler, rig.counting, entry, 6, END, whole)
    window.reach(index, taken)
    await rig.settled()
    assert rig.asked == asked
    window.reach(index, taken)
    await rig.settled()
    assert rig.asked == []  # no slice twice
    assert sum(rig.interest(entry)) == len(asked)
    window.close()
    assert not any(rig.interest(entry))
    await rig.cached.aclose()


async def test_what_a_reader_has_passed_is_let_go() -> None:
    rig = Rig()
    entry = await rig.start()
    window = Window(rig.cached.cache.filler, rig.counting, entry, 6, END, whole=True)
    window.reach(0, 2 * MIB)
    await rig.settled()
    assert sum(rig.interest(entry)) == 4
    window.reach(3, 2 * MIB)
    assert sum(rig.interest(entry)) == 2  # slices 3 and 4
    await rig.settled()
    assert sum(rig.interest(entry)) == 5  # to slice 7
    window.close()
    await rig.cached.aclose()


async def test_whoever_leaves_before_it_comes_wants_nothing_more() -> None:
    rig = Rig()
    entry = await rig.start()
    window = Window(rig.cached.cache.filler, rig.counting, entry, 6, END, whole=True)
    window.reach(0, 2 * MIB)
    window.close()
    await rig.settled()
    assert rig.asked == []
    assert not any(rig.interest(entry))
    await rig.cached.aclose()


@pytest.mark.parametrize(
    ("span", "recent", "last"),
    [
        (Span(0, 10), (), 0),
        (Span(0, 10), (0,), 0),  # a start is no going on
        (Span(10, 20), (), 0),
        (Span(10, 20), (10,), 1),
        (Span(10, WIDTH + 1), (5, 10), 2),
        (Span(10, WIDTH), (10,), 1),
        (Span(10, len(BODY)), (10,), LAST),
    ],
)
async def test_who_goes_on_where_another_read_ended_is_led_one_slice_further(
    span: Span, recent: tuple[int, ...], last: int
) -> None:
    rig = Rig()
    entry = await rig.start()
    entry.recent = deque(recent, maxlen=entry.recent.maxlen)
    assert last_to_fetch(entry, span) == last
    await rig.cached.aclose()

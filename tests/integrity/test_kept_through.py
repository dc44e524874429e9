"""Over a cache, a range of an object of at most two slices is checked by reading it all, once."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from proxy.cache.cache import Cache
from proxy.cache.filling.judging import Checks
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.errors import ChecksumMismatch
from proxy.integrity.checking import Checking
from proxy.integrity.checksums import new_sum
from proxy.integrity.choice import choose
from proxy.integrity.combination import combine, is_combinable
from proxy.integrity.judging import VerifiedObject
from proxy.integrity.rolling import make_pool
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Verified
from proxy.origins.base import WHOLE, Want
from proxy.origins.memory import MemoryObject, MemoryOrigin, StoredObject
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, Span
from tests.cache.stores import KIB, Counting, read
from tests.integrity.objects import PartedOrigin, checksum_of, composite_of, flipped, stored

WIDTH = 256 * KIB
BODY = random.Random(3).randbytes(2 * WIDTH - 1000)
LONG = random.Random(4).randbytes(2 * WIDTH + 1)
PARTS = [BODY[:300_000], BODY[300_000:]]
CHECKS = Checks(choose, new_sum, is_combinable, combine)
POOL = make_pool()


class Reticent(MemoryOrigin):
    """Tells no checksums to ranges, as stores do."""

    def __init__(self, one: StoredObject) -> None:
        super().__init__({"a": one})
        untold = replace(one.representation, checksums=())
        self._to_ranges = MemoryOrigin({"a": StoredObject(one.body, untold)})

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        if want.first is None:
            return await super().open(key, want)
        return await self._to_ranges.open(key, want)


class Rig:
    """The layers as they are served, over one object in memory."""

    def __init__(self, one: StoredObject, memory: int = 8 * WIDTH) -> None:
        self.counting = Counting(Reticent(one))
        self.parted = PartedOrigin(self.counting, tuple(map(len, PARTS)))
        self.cache = Cache(CacheOptions(memory=memory, width=WIDTH), CHECKS)
        self.checking = Checking("when-available", POOL, kept_through=2 * WIDTH)
        self.origin = Verified(Cached(self.parted, "store", self.cache), self.checking)

    async def read(self, start: int, stop: int) -> tuple[bytes, Verdict]:
        opened = await self.origin.open("a", Want(first=ByteRange(start, stop - 1)))
        assert isinstance(opened, VerifiedObject)
        return await read(opened, Span(start, stop)), opened.verdict


@pytest.fixture
async def rigs() -> AsyncIterator[list[Rig]]:
    made: list[Rig] = []
    yield made
    for rig in made:
        await rig.cache.aclose()


def rig_of(rigs: list[Rig], body: bytes, *checksums: Checksum) -> Rig:
    rigs.append(Rig(stored(body, *checksums)))
    return rigs[-1]


SUMS = [
    checksum_of("crc32c", BODY),
    checksum_of("sha256", BODY),
    composite_of("crc32c", PARTS, count=2),
    composite_of("sha256", PARTS, count=2),
]


@pytest.mark.parametrize("start", [5, WIDTH - 3, WIDTH + 3])
@pytest.mark.parametrize("expected", SUMS, ids=lambda one: f"{one.algorithm} {one.composite}")
async def test_a_range_is_checked_and_all_of_it_is_read_once(
    rigs: list[Rig], expected: Checksum, start: int
) -> None:
    rig = rig_of(rigs, BODY, expected)
    for _ in range(3):
        got, verdict = await rig.read(start, start + 9)
        assert got == BODY[start : start + 9]
        assert str(verdict) == f"{expected.algorithm} verified"
    assert rig.counting.bytes == len(BODY)


@pytest.mark.parametrize("start", [5, WIDTH + 3])
@pytest.mark.parametrize("expected", SUMS, ids=lambda one: f"{one.algorithm} {one.composite}")
async def test_a_range_of_a_damaged_object_is_never_complete(
    rigs: list[Rig], expected: Checksum, start: int
) -> None:
    rig = rig_of(rigs, flipped(BODY, 8 * start + 3), expected)
    for _ in range(2):
        with pytest.raises(ChecksumMismatch):
            await rig.read(start, start + 9)


async def test_of_a_small_damaged_object_nothing_is_given(rigs: list[Rig]) -> None:
    """So that it is answered with a status, also where the layer below is the one that checks."""
    small = BODY[:200_000]
    rig = rig_of(rigs, flipped(small, 8 * 199_000), checksum_of("crc32", small))
    opened = await rig.origin.open("a")
    async with aclosing(opened.read(Span(0, len(small)))) as buffers:
        with pytest.raises(ChecksumMismatch):
            await anext(buffers)


async def test_a_range_of_a_larger_object_is_labelled_and_costs_what_it_is(
    rigs: list[Rig],
) -> None:
    rig = rig_of(rigs, LONG, checksum_of("crc32c", LONG))
    got, verdict = await rig.read(WIDTH + 3, WIDTH + 9)
    assert got == LONG[WIDTH + 3 : WIDTH + 9]
    assert str(verdict) == "unverified: range"
    assert rig.counting.bytes <= WIDTH


async def test_without_a_layer_that_keeps_it_a_range_is_labelled(rigs: list[Rig]) -> None:
    rig = rig_of(rigs, BODY, SUMS[0])
    rig.origin = Verified(rig.counting, rig.checking)
    _, verdict = await rig.read(5, 9)
    assert str(verdict) == "unverified: range"
    assert len(rig.counting.opened) == 1


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_there_is_no_room_for_is_checked_on_its_way_past_the_cache(
    rigs: list[Rig], keeps: bool
) -> None:
    """What was checked as a whole is told to be so, whatever became of its slices."""
    rig = rig_of(rigs, BODY, SUMS[0])
    assert (await rig.read(0, len(BODY)))[0] == BODY
    rig.cache.memory.limit = 0
    for name in rig.cache.memory.names():
        rig.cache.memory.discard(name)
    body = BODY if keeps else flipped(BODY, 8 * WIDTH + 800)
    rig.counting.origin = Reticent(stored(body, SUMS[0]))
    span = WIDTH + 50, WIDTH + 200
    if not keeps:
        with pytest.raises(ChecksumMismatch):
            await rig.read(*span)
        return
    got, verdict = await rig.read(*span)
    assert got == BODY[slice(*span)]
    assert str(verdict) == "crc32c verified"
    assert rig.cache.filler.counts.bypassed == 1

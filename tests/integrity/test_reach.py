"""A range is checked by the parts it lies in, where the store tells their checksums."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from proxy.cache.cache import Cache
from proxy.cache.filling.judging import Checks
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.errors import ChecksumMismatch, NotVerifiable, OriginUnavailable
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.checksums import new_sum
from proxy.integrity.choice import choose
from proxy.integrity.combination import combine, is_combinable
from proxy.integrity.judging import HELD_WHOLE, VerifiedObject
from proxy.integrity.rolling import make_pool
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Verified
from proxy.origins.base import OpenObject, Origin, Want
from proxy.origins.memory import MemoryOrigin
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, PartSums, Span
from tests.cache.stores import KIB, Counting, read
from tests.integrity.objects import (
    PartedOrigin,
    checksum_of,
    composite_of,
    flipped,
    part_sums_of,
    stored,
)

WIDTH = 256 * KIB
PART = 200 * KIB
BODY = random.Random(5).randbytes(8 * WIDTH + 1000)
PARTS = [BODY[start : start + PART] for start in range(0, len(BODY), PART)]
SUMS = part_sums_of("sha256", PARTS)
WHOLE_SUM = composite_of("sha256", PARTS, count=len(PARTS))
CHECKS = Checks(choose, new_sum, is_combinable, combine)
POOL = make_pool()


class Rig:
    """The layers as they are served, over one object in memory; without a cache if `keeps` is
    false."""

    def __init__(
        self,
        body: bytes = BODY,
        sums: PartSums | Exception | None = SUMS,
        *,
        promised: tuple[Checksum, ...] = (WHOLE_SUM,),
        policy: Policy = "when-available",
        keeps: bool = True,
        in_vain: int = 2 * WIDTH,
    ) -> None:
        self.memory = MemoryOrigin({"a": stored(body, *promised)}, buffer_size=16 * KIB)
        self.counting = Counting(self.memory)
        self.parted = PartedOrigin(self.counting, tuple(map(len, PARTS)), sums)
        self.cache = Cache(CacheOptions(memory=64 * WIDTH, width=WIDTH), CHECKS)
        checking = Checking(policy, POOL, read_through=in_vain, kept_through=in_vain)
        below: Origin = Cached(self.parted, "store", self.cache) if keeps else self.parted
        self.origin = Verified(below, checking)

    async def open(self, start: int, stop: int) -> VerifiedObject:
        opened: OpenObject = await self.origin.open("a", Want(first=ByteRange(start, stop - 1)))
        assert isinstance(opened, VerifiedObject)
        return opened

    async def read(self, start: int, stop: int) -> tuple[bytes, Verdict]:
        opened = await self.open(start, stop)
        at_hand = opened.at_hand(Span(start, stop))
        if at_hand is not None:
            await opened.aclose()
            return at_hand, opened.verdict
        return await read(opened, Span(start, stop)), opened.verdict

    async def given(self, start: int, stop: int) -> bytes:
        """What is given of a range that is found out to be wrong."""
        opened, got = await self.open(start, stop), bytearray()
        buffers = opened.read(Span(start, stop))
        with pytest.raises(ChecksumMismatch):
            await _take(buffers, got)
        await buffers.aclose()
        await opened.aclose()
        assert opened.verdict.state == "mismatch"
        return bytes(got)


async def _take(buffers: AsyncIterator[bytes], got: bytearray) -> None:
    async for buffer in buffers:
        got += buffer


@pytest.fixture
async def rigs() -> AsyncIterator[list[Rig]]:
    made: list[Rig] = []
    yield made
    for rig in made:
        await rig.cache.aclose()


SPANS = [(0, 1), (5, 900), (PART - 3, PART + 3), (3 * PART, 5 * PART), (700_000, len(BODY))]
ENDS = [(len(BODY) - 9, len(BODY)), (WIDTH, 2 * WIDTH), (3 * WIDTH - 5, 3 * WIDTH + 5)]


@pytest.mark.parametrize("span", [*SPANS, *ENDS])
@pytest.mark.parametrize("policy", ["when-available", "require"])
async def test_a_range_is_checked(rigs: list[Rig], policy: Policy, span: tuple[int, int]) -> None:
    for keeps in (True, False):
        rig = Rig(policy=policy, keeps=keeps)
        rigs.append(rig)
        got, verdict = await rig.read(*span)
        assert got == BODY[slice(*span)]
        checked = keeps or policy == "require"
        assert str(verdict) == ("sha256 verified" if checked else "unverified: range")
        assert rig.parted.asked_for_sums == checked


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("policy", ["when-available", "require"])
async def test_a_bit_that_flips_in_a_part_is_found_before_the_range_ends(
    rigs: list[Rig], policy: Policy, span: tuple[int, int]
) -> None:
    """Anywhere in the range; and in its parts beside it, since nothing tells one from the other."""
    start, stop = span
    for byte in {start, (start + stop) // 2, stop - 1, start // PART * PART}:
        for keeps in {True, policy == "when-available"}:
            body = flipped(BODY, 8 * byte + 3)
            rig = Rig(body, policy=policy, keeps=keeps)
            rigs.append(rig)
            given = await rig.given(start, stop)
            assert len(given) < stop - start
            assert stop - start > HELD_WHOLE or not given
            assert body[start:].startswith(given)


async def test_what_was_proven_is_read_once_and_asked_once(rigs: list[Rig]) -> None:
    """The first range of a slice reads the parts over it; the next ones their own bytes."""
    rig = Rig()
    rigs.append(rig)
    await rig.read(WIDTH + 5, WIDTH + 9)
    came = rig.counting.bytes
    assert came <= 3 * WIDTH  # the slices that those of 200 KiB over the second lie in
    for start in range(WIDTH, 2 * WIDTH - 50, 30_000):
        opened = await rig.open(start, start + 50)
        assert opened.at_hand(Span(start, start + 50)) == BODY[start : start + 50]
        assert str(opened.verdict) == "sha256 verified"
        await opened.aclose()
    assert (rig.counting.bytes, rig.parted.asked_for_sums) == (came, 1)


async def test_a_proven_slice_that_comes_again_has_to_be_the_same(rigs: list[Rig]) -> None:
    rig = Rig()
    rigs.append(rig)
    span = WIDTH + 5, WIDTH + 9
    await rig.read(*span)
    for kept in (True, False):
        if not kept:
            rig.cache.memory.limit = 0  # then it goes past the cache
        for name in rig.cache.memory.names():
            rig.cache.memory.discard(name)
        rig.memory.put("a", stored(flipped(BODY, 8 * (WIDTH + 7)), WHOLE_SUM))
        with pytest.raises(ChecksumMismatch):
            await rig.read(*span)
        rig.memory.put("a", stored(BODY, WHOLE_SUM))
        rig.cache.memory.limit = 64 * WIDTH
        got, verdict = await rig.read(*span)
        assert (got, str(verdict)) == (BODY[slice(*span)], "sha256 verified")


@pytest.mark.parametrize(
    ("sums", "promised"),
    [
        (None, (WHOLE_SUM,)),
        (OriginUnavailable("busy"), (WHOLE_SUM,)),
        (part_sums_of("sha256", PARTS[:-1]), (WHOLE_SUM,)),  # of another object
        (part_sums_of("sha256", [BODY]), (WHOLE_SUM,)),
    ],
)
async def test_where_the_store_does_not_tell_them_a_range_is_labelled(
    rigs: list[Rig], sums: PartSums | Exception | None, promised: tuple[Checksum, ...]
) -> None:
    rig = Rig(sums=sums, promised=promised)
    rigs.append(rig)
    for _ in range(2):
        got, verdict = await rig.read(700_000, 700_009)
        assert got == BODY[700_000:700_009]
        assert str(verdict) == "unverified: range"
    # A store that fails is asked again, one that does not tell is not.
    assert rig.parted.asked_for_sums == (2 if isinstance(sums, Exception) else 1)
    rig = Rig(sums=sums, promised=promised, policy="require")
    rigs.append(rig)
    fault = OriginUnavailable if isinstance(sums, Exception) else NotVerifiable
    with pytest.raises(fault):
        await rig.read(700_000, 700_009)


async def test_an_object_with_a_checksum_of_the_whole_is_not_asked_about(rigs: list[Rig]) -> None:
    rig = Rig(promised=(checksum_of("sha256", BODY), composite_of("md5", PARTS)))
    rigs.append(rig)
    assert str((await rig.read(700_000, 700_009))[1]) == "unverified: range"
    assert rig.parted.asked_for_sums == 0


@pytest.mark.parametrize("policy", ["when-available", "require"])
async def test_no_more_is_read_in_vain_than_is_allowed(rigs: list[Rig], policy: Policy) -> None:
    rig = Rig(policy=policy, in_vain=PART - 1)
    rigs.append(rig)
    got, verdict = await rig.read(3 * PART, 3 * PART + 1)
    assert (got, str(verdict)) == (BODY[3 * PART : 3 * PART + 1], "sha256 verified")
    across = 4 * PART - 1, 4 * PART + 1
    if policy == "require":
        with pytest.raises(NotVerifiable):
            await rig.read(*across)
    else:
        assert str((await rig.read(*across))[1]) == "unverified: range"


async def test_of_many_who_ask_at_once_one_asks_the_store(rigs: list[Rig]) -> None:
    rig = Rig()
    rigs.append(rig)
    reads = (rig.read(start, start + 9) for start in range(0, len(BODY) - 9, 50_000))
    assert {str(verdict) for _, verdict in await asyncio.gather(*reads)} == {"sha256 verified"}
    assert rig.parted.asked_for_sums == 1

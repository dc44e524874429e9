"""The layer: right bytes pass, wrong ones are never complete, what is unknown says so."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ChecksumMismatch, NotFound, NotVerifiable, OriginBroke, OriginUnavailable
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.judging import HELD_WHOLE, VerifiedObject
from proxy.integrity.rolling import BATCH, make_pool
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Verified
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Origin, Want
from proxy.origins.lending import Piece, Stretch
from proxy.origins.memory import BUFFER_SIZE, MemoryObject, MemoryOrigin, StoredObject
from proxy.origins.resuming import Resuming
from proxy.semantics.etags import EntityTag
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Algorithm, Checksum, Representation, Span
from tests.integrity.objects import (
    ALGORITHMS,
    PartedOrigin,
    checksum_of,
    composite_of,
    flipped,
    stored,
)
from tests.origins.cancelling import cancel_everywhere

SMALL = random.Random(1).randbytes(1000)
LARGE = random.Random(2).randbytes(HELD_WHOLE + 2 * BUFFER_SIZE + 77)
LAST_PIECE = 77
PARTS = [LARGE[:200_000], LARGE[200_000:300_000], LARGE[300_000:]]
SUM = checksum_of("sha256", SMALL)
SIZES = (200_000, 100_000, len(LARGE) - 300_000)
LARGE_SUMS = {algorithm: checksum_of(algorithm, LARGE) for algorithm in ALGORITHMS}

POOL = make_pool()  # its threads are there only once they are needed, and end with the process


class Layer:
    """A layer over memory, and what it reported."""

    def __init__(
        self,
        *objects: StoredObject,
        policy: Policy = "when-available",
        read_through: int = 1024,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        self.reported: list[Verdict] = []
        named = {"ab"[number]: one for number, one in enumerate(objects)}
        self.memory = MemoryOrigin(named, buffer_size=buffer_size)
        self.watched = Watched(self.memory)
        self.checking = Checking(policy, POOL, self.reported.append, "media", read_through)
        self.origin = Verified(self.watched, self.checking)

    def over(self, origin: Origin) -> Layer:
        self.origin = Verified(origin, self.checking)
        return self

    async def read(
        self, span: Span | None = None, want: Want = WHOLE
    ) -> tuple[bytes, VerifiedObject]:
        """All of a span, or of the object."""
        opened = await self.origin.open("a", want)
        given = bytearray()
        try:
            await take(opened, given, span)
        finally:
            await opened.aclose()
        return bytes(given), opened

    async def broken(self, span: Span | None = None) -> bytes:
        """What was given until it was found out; the object must have been opened."""
        given = bytearray()
        opened = await self.origin.open("a")
        with pytest.raises(ChecksumMismatch):
            await take(opened, given, span)
        assert opened.verdict.state == self.reported[-1].state == "mismatch"
        await opened.aclose()
        return bytes(given)


async def take(opened: OpenObject, given: bytearray, span: Span | None = None) -> None:
    async with aclosing(opened.read(span or Span(0, opened.representation.size))) as buffers:
        async for buffer in buffers:
            assert buffer
            given += buffer


class Watched:
    """Counts what is open, and what was read."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.wants: list[Want] = []
        self.opened = self.reading = 0
        self.was_read = 0
        self.fault: Exception | None = None

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.wants.append(want)
        found = await self._origin.open(key, want)
        self.opened += 1
        return _WatchedObject(self, found)


class _WatchedObject:
    def __init__(self, origin: Watched, opened: OpenObject) -> None:
        self._origin, self._opened = origin, opened

    @property
    def representation(self) -> Representation:
        return self._opened.representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        self._origin.reading += 1
        try:
            async with aclosing(self._opened.read(span)) as buffers:
                async for buffer in buffers:
                    self._origin.was_read += len(buffer)
                    yield buffer
            if self._origin.fault is not None:
                raise self._origin.fault
        finally:
            self._origin.reading -= 1

    async def aclose(self) -> None:
        self._origin.opened -= 1


# --- right bytes ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("policy", ["require", "when-available"])
@pytest.mark.parametrize("body", [SMALL, LARGE, b"x", LARGE[:HELD_WHOLE], LARGE[: HELD_WHOLE + 1]])
async def test_right_bytes_pass(algorithm: Algorithm, policy: Policy, body: bytes) -> None:
    layer = Layer(stored(body, checksum_of(algorithm, body)), policy=policy)
    got, opened = await layer.read()
    assert got == body
    assert opened.verdict == Verdict("verified", algorithm, bytes=len(body))
    assert layer.reported == [opened.verdict]
    assert (layer.watched.opened, layer.watched.reading) == (0, 0)


@pytest.mark.parametrize("algorithm", ["crc64nvme", "sha256"])
async def test_more_than_a_batch(algorithm: Algorithm) -> None:
    body = random.Random(3).randbytes(3 * BATCH + 5)
    known = Representation(len(body), checksums=(checksum_of(algorithm, body),))
    for buffer_size in (BUFFER_SIZE, BATCH, len(body)):
        layer = Layer(StoredObject(body, known), buffer_size=buffer_size)
        got, opened = await layer.read()
        assert got == body
        assert opened.verdict.state == "verified"


async def test_reading_twice_checks_twice() -> None:
    layer = Layer(stored(SMALL, checksum_of("crc32c", SMALL)))
    opened = await layer.origin.open("a")
    for _ in range(2):
        given = bytearray()
        await take(opened, given)
        assert given == SMALL
    assert opened.verdict == Verdict("verified", "crc32c", bytes=2 * len(SMALL))
    assert len(layer.reported) == 2


# --- wrong bytes ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_last_piece_is_held_back(
    algorithm: Algorithm, caplog: pytest.LogCaptureFixture
) -> None:
    promised = LARGE_SUMS[algorithm]
    for bit in (0, len(LARGE) * 4, len(LARGE) * 8 - 1):
        layer = Layer(stored(flipped(LARGE, bit), promised))
        with caplog.at_level(logging.ERROR, "headgate"):
            given = await layer.broken()
        assert len(given) == len(LARGE) - LAST_PIECE
        assert layer.reported == [Verdict("mismatch", algorithm, bytes=len(LARGE))]
        assert (layer.watched.opened, layer.watched.reading) == (0, 0)
    [line, *_] = caplog.messages
    assert all(word in line for word in ("'media'", "'a'", algorithm, promised.value.hex()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_of_a_small_object_nothing_is_given(algorithm: Algorithm) -> None:
    for body in (SMALL, LARGE[:HELD_WHOLE]):
        promised = checksum_of(algorithm, body)
        assert await Layer(stored(flipped(body, 17), promised)).broken() == b""


async def test_the_last_piece_waits_for_the_checksum() -> None:
    """Not only for the last buffer: until the origin has ended too, it is not given."""
    layer = Layer(stored(LARGE, LARGE_SUMS["crc32c"]))
    layer.watched.fault = OriginBroke("longer than promised")
    given = bytearray()
    opened = await layer.origin.open("a")
    with pytest.raises(OriginBroke):
        await take(opened, given)
    assert len(given) == len(LARGE) - LAST_PIECE
    assert str(opened.verdict) == "unverified: not read to its end"
    assert layer.reported == []


@given(
    algorithm=st.sampled_from(ALGORITHMS),
    size=st.integers(1, 3000),
    buffer_size=st.integers(1, 1500),
    bit=st.integers(0),
    edges=st.none() | st.lists(st.integers(0, 2999), max_size=4),
    large=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_identical_or_broken(
    algorithm: Algorithm,
    size: int,
    buffer_size: int,
    bit: int,
    edges: list[int] | None,
    large: bool,  # drawn
) -> None:
    """Any buffers, any flipped bit or none, whole or in parts: all of it, or never all of it."""
    body = random.Random(size).randbytes(size)
    parts = [body]
    if edges is not None:
        cuts = [0, *sorted({edge for edge in edges if 0 < edge < size}), size]
        parts = [body[a:b] for a, b in itertools.pairwise(cuts)]
    whole = checksum_of(algorithm, body)
    promised = whole if edges is None else composite_of(algorithm, parts)
    sizes = tuple(map(len, parts))

    async def got(sent: bytes) -> bytes:
        layer = Layer(stored(sent, promised, size=size), buffer_size=buffer_size)
        layer.over(PartedOrigin(layer.memory, sizes))
        given = bytearray()
        opened = await layer.origin.open("a")
        try:
            await take(opened, given)
        except ChecksumMismatch:
            assert opened.verdict.state == "mismatch"
        else:
            assert opened.verdict.state == "verified"
        return bytes(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.integrity.judging.HELD_WHOLE", 0 if large else HELD_WHOLE)
        assert asyncio.run(got(body)) == body
        assert len(asyncio.run(got(flipped(body, bit % (8 * size))))) < size
        assert len(asyncio.run(got(body[:-1]))) < size


async def test_an_object_said_to_be_empty() -> None:
    promised = checksum_of("crc64nvme", SMALL)
    layer = Layer(stored(b"", promised), stored(b"", checksum_of("crc64nvme", b"")))
    for want in (WHOLE, NO_BODY):
        with pytest.raises(ChecksumMismatch):
            await layer.origin.open("a", want)
    assert layer.watched.opened == 0
    opened = await layer.origin.open("b")
    given = bytearray()
    await take(opened, given)
    assert given == b""
    assert str(opened.verdict) == "crc64nvme verified"


# --- what can't be checked --------------------------------------------------------------------


@pytest.mark.parametrize("span", [Span(0, 10), Span(5, 700), Span(999, 1000), Span(7, 7)])
@pytest.mark.parametrize("promised", [(), (checksum_of("sha256", SMALL),)])
async def test_a_range_is_unverified(span: Span, promised: tuple[Checksum, ...]) -> None:
    """Whatever is promised: to a range, many stores tell no checksum although they have one."""
    layer = Layer(stored(SMALL, *promised))
    got, opened = await layer.read(span, Want(first=ByteRange(5, 9)))
    assert got == SMALL[span.start : span.stop]
    assert opened.verdict == Verdict("unverified", reason="range", bytes=span.length)
    assert layer.reported == [opened.verdict]
    assert layer.watched.was_read == span.length


@pytest.mark.parametrize(
    ("checksums", "policy", "reason"),
    [
        ((), "when-available", "no checksum"),
        ((checksum_of("crc32c", b"wrong"),), "off", "off"),
        ((), "off", "off"),
        ((composite_of("crc32c", [SMALL]),), "when-available", "part sizes unknown"),
    ],
)
async def test_unverified_says_why(
    checksums: Sequence[Checksum], policy: Policy, reason: str
) -> None:
    layer = Layer(stored(SMALL, *checksums), policy=policy)
    got, opened = await layer.read()
    assert got == SMALL
    assert opened.verdict == Verdict("unverified", reason=reason, bytes=len(SMALL))
    assert layer.reported == [opened.verdict]
    assert layer.watched.reading == 0


async def test_one_read_of_a_range_makes_the_whole_unverified() -> None:
    layer = Layer(stored(SMALL, checksum_of("sha256", SMALL)))
    opened = await layer.origin.open("a")
    assert str(opened.verdict) == "unverified: not read"
    await take(opened, bytearray(), Span(0, 10))
    await take(opened, bytearray())
    assert str(opened.verdict) == "unverified: range"


async def test_leaving_early_is_no_verdict() -> None:
    layer = Layer(stored(LARGE, LARGE_SUMS["sha1"]))
    opened = await layer.origin.open("a")
    async with aclosing(opened.read(Span(0, len(LARGE)))) as buffers:
        await anext(buffers)
    assert str(opened.verdict) == "unverified: not read to its end"
    assert (layer.reported, layer.watched.reading) == ([], 0)


# --- in parts -------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("count", [None, 3])
async def test_a_composite_checksum(algorithm: Algorithm, count: int | None) -> None:
    promised = composite_of(algorithm, PARTS, count=count)
    for policy in ("when-available", "require"):
        layer = Layer(stored(LARGE, promised), policy=policy)
        parted = PartedOrigin(layer.memory, SIZES)
        for _ in range(2):
            got, opened = await layer.over(parted).read()
            assert got == LARGE
            assert opened.verdict == Verdict("verified", algorithm, bytes=len(LARGE))
        layer.memory.put("a", stored(flipped(LARGE, 1_600_000), promised))
        assert len(await layer.broken()) == len(LARGE) - LAST_PIECE


@pytest.mark.parametrize(
    ("sizes", "count"),
    [(None, 3), ((1, 2), None), (SIZES, 4), (OriginUnavailable("busy"), 3)],
)
async def test_parts_that_are_not_known(
    sizes: tuple[int, ...] | Exception | None, count: int | None
) -> None:
    promised = composite_of("crc32c", PARTS, count=count)
    layer = Layer(stored(LARGE, promised))
    got, opened = await layer.over(PartedOrigin(layer.memory, sizes)).read()
    assert got == LARGE
    assert str(opened.verdict) == "unverified: part sizes unknown"
    layer = Layer(stored(LARGE, promised), policy="require")
    fault = OriginUnavailable if isinstance(sizes, Exception) else NotVerifiable
    with pytest.raises(fault):
        await layer.over(PartedOrigin(layer.memory, sizes)).origin.open("a")


async def test_parts_are_asked_for_only_to_read_the_whole() -> None:
    layer = Layer(stored(LARGE, composite_of("crc32c", PARTS)))
    parted = PartedOrigin(layer.memory, SIZES)
    layer.over(parted)
    await (await layer.origin.open("a", NO_BODY)).aclose()
    await layer.read(Span(0, 9))
    assert parted.asked == 0
    await layer.read()
    await layer.read()
    assert parted.asked == 1


async def test_a_required_check_does_not_depend_on_a_second_answer() -> None:
    """Without a strong tag nothing is remembered from one object to the next."""
    known = Representation(len(LARGE), checksums=(composite_of("crc32c", PARTS),))
    layer = Layer(StoredObject(LARGE, known), policy="require")
    parted = PartedOrigin(layer.memory, SIZES)
    opened = await layer.over(parted).origin.open("a")
    parted.sizes = None
    given = bytearray()
    await take(opened, given)
    assert given == LARGE
    assert str(opened.verdict) == "crc32c verified"


async def test_part_sizes_come_through_layers() -> None:
    layer = Layer(stored(LARGE, composite_of("sha256", PARTS)))
    got, opened = await layer.over(Resuming(PartedOrigin(layer.memory, SIZES))).read()
    assert got == LARGE
    assert str(opened.verdict) == "sha256 verified"
    _, opened = await layer.over(Resuming(layer.memory)).read()
    assert str(opened.verdict) == "unverified: part sizes unknown"


# --- checks required ------------------------------------------------------------------------


@pytest.mark.parametrize("want", [WHOLE, NO_BODY, Want(first=ByteRange(0, 9))])
@pytest.mark.parametrize("promised", [(), (composite_of("md5", [SMALL]),)])
async def test_nothing_to_check_by_is_refused(want: Want, promised: tuple[Checksum, ...]) -> None:
    layer = Layer(stored(SMALL, *promised), policy="require")
    with pytest.raises(NotVerifiable) as refused:
        await layer.origin.open("a", want)
    assert refused.value.status == 502
    assert (layer.watched.opened, layer.watched.was_read) == (0, 0)


@pytest.mark.parametrize("start", [0, 300_000, len(LARGE) - 9])
async def test_a_required_check_of_a_range_reads_the_whole(start: int) -> None:
    span = Span(start, start + 9)
    promised = LARGE_SUMS["crc64nvme"]
    layer = Layer(stored(LARGE, promised), policy="require", read_through=len(LARGE))
    got, opened = await layer.read(span)
    assert got == LARGE[span.start : span.stop]
    assert opened.verdict == Verdict("verified", "crc64nvme", bytes=span.length)
    assert layer.watched.was_read == len(LARGE)
    outside = 8 * (span.stop % len(LARGE))
    layer.memory.put("a", stored(flipped(LARGE, outside), promised))
    assert await layer.broken(span) == b""


async def test_nothing_but_the_end_waits() -> None:
    """A piece is given before the next is read, while it is in the processor's cache."""
    layer = Layer(stored(LARGE, LARGE_SUMS["crc32c"]))
    opened = await layer.origin.open("a")
    given = last = 0
    async with aclosing(opened.read(Span(0, len(LARGE)))) as buffers:
        async for buffer in buffers:
            given, last = given + len(buffer), len(buffer)
            assert layer.watched.was_read == given
    assert (given, last) == (len(LARGE), LAST_PIECE)
    await opened.aclose()


async def test_a_required_check_of_a_long_range_holds_back_its_end() -> None:
    span = Span(1000, len(LARGE) - 1000)
    layer = Layer(stored(LARGE, LARGE_SUMS["sha1"]), policy="require", read_through=2000)
    assert (await layer.read(span))[0] == LARGE[span.start : span.stop]
    layer.memory.put("a", stored(flipped(LARGE, 8 * len(LARGE) - 1), LARGE_SUMS["sha1"]))
    given = await layer.broken(span)
    assert LARGE[span.start :].startswith(given)
    assert 0 < len(given) < span.length


async def test_a_range_that_costs_too_much_to_check_is_refused() -> None:
    layer = Layer(stored(LARGE, LARGE_SUMS["md5"]), policy="require", read_through=1000)
    assert (await layer.read(Span(1000, len(LARGE))))[0] == LARGE[1000:]
    before = layer.watched.was_read
    with pytest.raises(NotVerifiable):
        await layer.read(Span(1001, len(LARGE)))
    assert layer.watched.was_read == before
    assert (await layer.read())[0] == LARGE


# --- asking -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "want", "passed_on"),
    [
        ("when-available", Want(first=ByteRange(0, None)), Want(checksums=True)),
        ("when-available", Want(first=ByteRange(0, 9)), Want(first=ByteRange(0, 9))),
        ("when-available", Want(body=False, first=ByteRange(0, None)), None),
        ("require", Want(first=ByteRange(0, 9)), Want(checksums=True)),
        ("require", NO_BODY, Want(body=False, checksums=True)),
        ("off", Want(first=ByteRange(0, None)), Want(first=ByteRange(0, None))),
    ],
)
async def test_the_whole_is_asked_for_where_checksums_are_needed(
    policy: Policy, want: Want, passed_on: Want | None
) -> None:
    layer = Layer(stored(SMALL, checksum_of("md5", SMALL)), policy=policy)
    await (await layer.origin.open("a", want)).aclose()
    assert layer.watched.wants == [want if passed_on is None else passed_on]


async def test_it_lists_if_what_is_below_does() -> None:
    memory = MemoryOrigin({"a/b": stored(SMALL)})
    layer = Verified(memory, Checking("require", POOL))
    [entry] = (await layer.list("a/")).entries
    assert entry.name == "b"
    assert not hasattr(Verified(PartedOrigin(memory), Checking("require", POOL)), "list")
    with pytest.raises(NotFound):
        await layer.open("c")


# --- leaving ----------------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with make_pool() as made:
        yield made


@pytest.mark.parametrize("policy", ["require", "when-available"])
async def test_cancelled_at_every_await(pool: ThreadPoolExecutor, policy: Policy) -> None:
    body = random.Random(4).randbytes(4 * BATCH + 9)
    parts = [body[:BATCH], body[BATCH:]]
    watched = Watched(MemoryOrigin({"a": stored(body, composite_of("sha256", parts))}))
    parted = PartedOrigin(watched, (BATCH, len(body) - BATCH))

    async def use() -> None:
        opened = await Verified(parted, Checking(policy, pool)).open("a")
        try:
            given = bytearray()
            await take(opened, given)
            assert given == body
        finally:
            await opened.aclose()

    assert await cancel_everywhere(use) > 16
    assert (watched.opened, watched.reading) == (0, 0)


class _Lends:
    """Lends what it could be read for."""

    def __init__(self, opened: OpenObject) -> None:
        self._opened = opened
        self.representation = opened.representation
        self.read, self.aclose = opened.read, opened.aclose

    async def lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        yield Stretch(0, span.start, span.length, self._fetch)

    async def _fetch(self, offset: int, count: int) -> None: ...


class _Lending(Watched):
    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        return _Lends(await super().open(key, want))


@pytest.mark.parametrize(
    ("policy", "sums", "span", "reason"),
    [
        ("off", (SUM,), Span(0, 1000), "off"),
        ("when-available", (), Span(0, 1000), "no checksum"),
        ("when-available", (SUM,), Span(1, 1000), "range"),
        ("when-available", (SUM,), Span(0, 1000), ""),
        ("require", (SUM,), Span(1, 1000), ""),
    ],
)
async def test_what_is_not_checked_is_lent_with_the_same_verdict(
    policy: Policy, sums: tuple[Checksum, ...], span: Span, reason: str
) -> None:
    layer = Layer(policy=policy).over(_Lending(MemoryOrigin({"a": stored(SMALL, *sums)})))
    opened = await layer.origin.open("a")
    async with aclosing(opened.lend(span)) as pieces:
        given = [piece async for piece in pieces]
    if reason:
        assert [type(piece) for piece in given] == [Stretch]
        assert opened.verdict == Verdict("unverified", reason=reason, bytes=span.length)
    else:
        assert given == [SMALL[span.start : span.stop]]
        assert opened.verdict.state == "verified"
    assert layer.reported == [opened.verdict]
    await opened.aclose()


async def test_what_cant_be_lent_is_not_offered() -> None:
    opened = await Layer(stored(SMALL)).origin.open("a")
    assert not hasattr(opened, "lend")


# --- what it took -------------------------------------------------------------------------------


class Standing:
    def __init__(self) -> None:
        self.verified = 0.0


class _KeptObject(_WatchedObject):
    cache_report = "what the cache did"

    def __init__(self, origin: Watched, opened: OpenObject) -> None:
        super().__init__(origin, opened)
        self.standing = Standing()


class Kept(Watched):
    """As a layer that keeps objects: it tells what it did."""

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        return _KeptObject(self, await self._origin.open(key, want))


@pytest.mark.parametrize("algorithm", ["crc64nvme", "sha256"])
async def test_what_checking_takes_is_noted_with_what_the_cache_did(algorithm: Algorithm) -> None:
    layer = Layer(stored(SMALL, checksum_of(algorithm, SMALL)))
    layer.over(Kept(layer.memory))
    opened = await layer.origin.open("a")
    reading = opened.read(Span(0, len(SMALL)))
    async with aclosing(reading):
        assert await anext(reading) == SMALL
        assert opened.standing is not None
        assert opened.standing.verified > 0, "all of it was checked before its first byte"
    await opened.aclose()


# --- at hand ------------------------------------------------------------------------------------


class AtHand(MemoryOrigin):
    """Gives all spans at once, as what was checked before if `sealed_by` says by what."""

    sealed_by = ""
    there = True

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        opened: Any = await super().open(key, want)
        opened.at_hand = lambda span: SMALL[span.start : span.stop] if self.there else None
        opened.sealed_by = self.sealed_by
        return cast("MemoryObject", opened)


@pytest.mark.parametrize(
    ("policy", "checksums", "sealed_by", "span", "verdict"),
    [
        ("off", (SUM,), "", Span(0, 1000), Verdict("unverified", "", "off", 1000)),
        ("off", (SUM,), "crc32", Span(0, 1000), Verdict("unverified", "", "off", 1000)),
        ("when-available", (), "", Span(0, 9), Verdict("unverified", "", "range", 9)),
        ("when-available", (), "", Span(0, 1000), Verdict("unverified", "", "no checksum", 1000)),
        ("when-available", (SUM,), "", Span(1, 9), Verdict("unverified", "", "range", 8)),
        ("when-available", (SUM,), "", Span(0, 1000), None),
        ("when-available", (SUM,), "crc32", Span(1, 9), Verdict("verified", "crc32", "", 8)),
        ("require", (SUM,), "", Span(1, 9), None),
        ("require", (SUM,), "crc32", Span(1, 9), Verdict("verified", "crc32", "", 8)),
    ],
)
async def test_what_has_to_be_checked_now_is_not_at_hand(
    policy: Policy,
    checksums: tuple[Checksum, ...],
    sealed_by: str,
    span: Span,
    verdict: Verdict | None,
) -> None:
    representation = Representation(len(SMALL), EntityTag("s"), checksums=checksums)
    below = AtHand({"a": StoredObject(SMALL, representation)})
    below.sealed_by = sealed_by
    layer = Layer(policy=policy).over(below)
    opened = await layer.origin.open("a")
    below.there = False
    assert opened.at_hand(span) is None
    assert layer.reported == []
    below.there = True
    body = opened.at_hand(span)
    assert body == (None if verdict is None else SMALL[span.start : span.stop])
    assert layer.reported == ([] if verdict is None else [verdict])
    if verdict is not None:
        assert opened.verdict == verdict
        given = bytearray()
        again = await layer.origin.open("a")
        await take(again, given, span)
        assert (bytes(given), again.verdict) == (body, verdict)
    await opened.aclose()

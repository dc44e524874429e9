"""The layer that keeps objects: when it asks, what it gives meanwhile, and what it never gives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.cache.cache import Cache
from proxy.cache.options import CacheOptions
from proxy.cache.rules.naming import object_name
from proxy.cache.rules.purge import Purge
from proxy.cache.serving.layer import Cached
from proxy.cache.serving.object import CachedObject
from proxy.cache.serving.passing import PassedObject
from proxy.errors import NotFound, NotInCache, ObjectChanged, OriginBroke, OriginUnavailable
from proxy.origins.base import NO_BODY, WHOLE, OpenObject, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.cache_status import CacheReport
from proxy.semantics.etags import EntityTag
from proxy.semantics.freshness import Demands, Terms
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Representation, Span
from tests.cache.stores import KIB, Counting, read

WIDTH = 256 * KIB
BODY = random.Random(5).randbytes(3 * WIDTH + 1000)
OTHER = random.Random(6).randbytes(3 * WIDTH + 1000)


class Rig:
    """A cached origin over objects in memory."""

    def __init__(self, options: CacheOptions) -> None:
        self.store = MemoryOrigin({"a": StoredObject(BODY)})
        self.counting = Counting(self.store)
        self.cache = Cache(options)
        self.cached = Cached(self.counting, "store", self.cache)

    @property
    def asked(self) -> int:
        """How often the origin was asked since the last look."""
        count = len(self.counting.opened)
        self.counting.opened.clear()
        return count

    async def age(self, seconds: float, key: str = "a") -> None:
        """Lets time pass for what is known of an object."""
        entry = self.cache.entries.get(object_name("store", key))
        assert entry is not None
        entry.validated -= seconds
        entry.head = replace(entry.head, validated=entry.head.validated - seconds)
        await self.settled()
        if entry.on_disk:
            await self.cache.keep_head(entry)

    async def get(self, want: Want = WHOLE, key: str = "a", span: Span | None = None) -> bytes:
        return await read(await self.cached.open(key, want), span)

    async def settled(self) -> None:
        """Waits for all that goes on in the background."""
        while tasks := [
            *self.cache._background,
            *(fill.task for fill in self.cache.filler._filling.values()),
        ]:
            await asyncio.wait(tasks)


@asynccontextmanager
async def rigged(
    directory: Path | None = None,
    **more: Any,  # noqa: ANN401  # options by name
) -> AsyncIterator[Rig]:
    told: dict[str, Any] = {"memory": 8 * WIDTH, "width": WIDTH, "free": 0, **more}
    rig = Rig(CacheOptions(directory=str(directory) if directory else None, **told))
    await rig.cache.start()
    try:
        yield rig
    finally:
        await rig.cache.aclose()


@pytest.fixture(params=["memory", "disk"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path / "cache" if request.param == "disk" else None) as made:
        yield made


def stored(body: bytes, **fields: Any) -> StoredObject:  # noqa: ANN401  # by name
    made = StoredObject(body).representation
    return StoredObject(body, replace(made, **fields))


async def report(rig: Rig, want: Want = WHOLE, *spans: Span) -> CacheReport:
    opened = await rig.cached.open("a", want)
    assert isinstance(opened, CachedObject | PassedObject)
    try:
        size = opened.representation.size
        return await opened.cache_report(spans or (Span(0, size),))
    finally:
        await opened.aclose()


# --- freshness ----------------------------------------------------------------------------------


async def test_what_is_fresh_is_given_without_asking(rig: Rig) -> None:
    for _ in range(3):
        assert await rig.get() == BODY
    assert rig.asked == 4  # a slice each
    assert rig.counting.bytes == len(BODY)


async def test_what_is_stale_is_validated_and_its_slices_are_kept(rig: Rig) -> None:
    assert await rig.get() == BODY
    await rig.age(61)
    rig.counting.bytes = 0
    rig.counting.opened.clear()
    assert await rig.get() == BODY
    [(_, want)] = rig.counting.opened
    assert want.unless == StoredObject(BODY).representation.etag
    assert rig.counting.bytes == 0
    assert await rig.get() == BODY
    assert len(rig.counting.opened) == 1  # fresh again


async def test_a_replaced_object_is_fetched_anew_once_it_is_stale(rig: Rig) -> None:
    assert await rig.get() == BODY
    rig.store.put("a", StoredObject(OTHER))
    assert await rig.get() == BODY
    await rig.age(61)
    assert await rig.get() == OTHER
    await rig.settled()
    assert await rig.get() == OTHER
    assert all(rig.cache.entries)


@pytest.mark.parametrize(
    ("cache_control", "terms", "age", "asks"),
    [
        ("max-age=10", Terms(), 9, False),
        ("max-age=10", Terms(), 11, True),
        ("no-cache", Terms(), 0, True),
        (None, Terms(default_ttl=0), 0, True),
        (None, Terms(default_ttl=100), 99, False),
        ("no-cache", Terms(ttl=30), 29, False),
        ("max-age=1000", Terms(ttl=30), 31, True),
        (None, Terms(cache_control="max-age=5"), 4, False),
        (None, Terms(cache_control="max-age=5"), 6, True),
    ],
)
async def test_who_says_how_long(
    cache_control: str | None, terms: Terms, age: float, asks: bool
) -> None:
    async with rigged() as rig:
        rig.store.put("a", stored(BODY, cache_control=cache_control))
        want = Want(terms=terms)
        await rig.get(want)
        await rig.age(age)
        rig.counting.opened.clear()
        assert await rig.get(want) == BODY
        assert bool(rig.asked) is asks


async def test_stale_while_revalidate_gives_the_old_and_asks_behind(rig: Rig) -> None:
    terms = Want(terms=Terms(default_ttl=10, stale_while_revalidate=20))
    await rig.get(terms)
    rig.store.put("a", StoredObject(OTHER))
    await rig.age(15)
    assert await rig.get(terms) == BODY
    await rig.settled()
    assert await rig.get(terms) == OTHER


async def test_stale_while_revalidate_asks_once_however_many_come(rig: Rig) -> None:
    terms = Want(terms=Terms(default_ttl=10, stale_while_revalidate=20))
    await rig.get(terms)
    await rig.age(15)
    rig.counting.opened.clear()
    assert await asyncio.gather(*(rig.get(terms) for _ in range(20))) == [BODY] * 20
    await rig.settled()
    assert rig.asked == 1


class Failing(Counting):
    """An origin that fails when it is told to."""

    fault: Exception | None = None

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        if self.fault is not None:
            self.opened.append((key, want))
            await asyncio.sleep(0.01)
            raise self.fault
        return await super().open(key, want)


async def test_an_origin_that_fails_is_stood_in_for_as_long_as_that_is_said(rig: Rig) -> None:
    failing = rig.cached.origin = Failing(rig.store)
    terms = Want(terms=Terms(default_ttl=10, stale_if_error=100))
    await rig.get(terms)
    failing.fault = OriginUnavailable("busy")
    await rig.age(50)
    assert await rig.get(terms) == BODY
    await rig.age(61)
    with pytest.raises(OriginUnavailable):
        await rig.get(terms)
    failing.fault = None
    assert await rig.get(terms) == BODY


async def test_must_revalidate_is_never_stood_in_for(rig: Rig) -> None:
    failing = rig.cached.origin = Failing(rig.store)
    rig.store.put("a", stored(BODY, cache_control="max-age=10, must-revalidate"))
    terms = Want(terms=Terms(stale_if_error=1000))
    await rig.get(terms)
    failing.fault = OriginUnavailable("busy")
    await rig.age(11)
    with pytest.raises(OriginUnavailable):
        await rig.get(terms)


async def test_what_is_missing_is_known_for_a_while(rig: Rig) -> None:
    for _ in range(5):
        with pytest.raises(NotFound):
            await rig.get(key="none")
    assert rig.asked == 1
    rig.cache.missing.clear()
    rig.store.put("none", StoredObject(b"now"))
    assert await rig.get(key="none") == b"now"


async def test_an_object_that_is_removed_is_gone_when_it_is_stale(rig: Rig) -> None:
    await rig.get()
    rig.store.remove("a")
    assert await rig.get() == BODY
    await rig.age(61)
    with pytest.raises(NotFound):
        await rig.get()
    await rig.settled()
    rig.cache.missing.clear()
    with pytest.raises(NotFound):
        await rig.get()


@pytest.mark.parametrize("cache_control", ["no-store", "private", "private, max-age=100"])
async def test_what_may_not_be_kept_is_not(rig: Rig, cache_control: str) -> None:
    rig.store.put("a", stored(BODY, cache_control=cache_control))
    for _ in range(3):
        assert await rig.get() == BODY
    assert rig.asked == 3
    assert rig.counting.bytes == 3 * len(BODY)
    assert not rig.cache.memory.used
    assert (await report(rig)).fwd == "bypass"


@pytest.mark.parametrize("etag", [None, EntityTag("x", weak=True)])
async def test_without_a_strong_validator_nothing_is_kept(rig: Rig, etag: EntityTag | None) -> None:
    rig.store.put("a", StoredObject(BODY, Representation(len(BODY), etag=etag)))
    opened = await rig.cached.open("a")
    await opened.aclose()
    assert isinstance(opened, PassedObject)


async def test_an_empty_object(rig: Rig) -> None:
    rig.store.put("a", StoredObject(b""))
    for _ in range(2):
        assert await rig.get() == b""
    assert rig.asked == 1


# --- what clients demand ------------------------------------------------------------------------


async def test_demands_are_heeded_where_that_is_configured() -> None:
    async with rigged(follow_demands=True) as rig:
        with pytest.raises(NotInCache):
            await rig.get(Want(demands=Demands(only_if_cached=True)))
        assert not rig.counting.opened
        await rig.get()
        rig.counting.opened.clear()
        assert await rig.get(Want(demands=Demands(only_if_cached=True))) == BODY
        assert not rig.counting.opened
        assert await rig.get(Want(demands=Demands(no_cache=True))) == BODY
        assert len(rig.counting.opened) == 1
        await rig.age(70)
        assert await rig.get(Want(demands=Demands(max_stale=30))) == BODY


async def test_otherwise_they_are_not(rig: Rig) -> None:
    await rig.get()
    rig.counting.opened.clear()
    assert await rig.get(Want(demands=Demands(no_cache=True, max_age=0.0))) == BODY
    assert not rig.asked
    assert await rig.get(Want(demands=Demands(only_if_cached=True)), key="a") == BODY
    rig.store.put("b", StoredObject(b"b"))
    assert await rig.get(Want(demands=Demands(only_if_cached=True)), key="b") == b"b"


# --- asking once --------------------------------------------------------------------------------


class Slow(Counting):
    """An origin that waits until it is let go."""

    def __init__(self, origin: MemoryOrigin) -> None:
        super().__init__(origin)
        self.go = asyncio.Event()

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.opened.append((key, want))
        await self.go.wait()
        return await self.origin.open(key, want)


async def test_however_many_ask_the_origin_is_asked_once(rig: Rig) -> None:
    assert await asyncio.gather(*(rig.get() for _ in range(50))) == [BODY] * 50
    assert rig.asked == 4
    assert rig.counting.bytes == len(BODY)


async def test_who_leaves_while_it_asks_hands_over(rig: Rig) -> None:
    slow = rig.cached.origin = Slow(rig.store)
    first = asyncio.create_task(rig.get())
    while not slow.opened:
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(rig.get()) for _ in range(5)]
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    slow.go.set()
    assert await asyncio.gather(*others) == [BODY] * 5
    opens = [want for _, want in slow.opened if want.first is None]
    assert len(opens) == 2  # the one that left, and the one that took over


async def test_a_fault_is_shared_after_one_more_try(rig: Rig) -> None:
    failing = rig.cached.origin = Failing(rig.store)
    failing.fault = OriginUnavailable("busy")
    results = await asyncio.gather(*(rig.get() for _ in range(30)), return_exceptions=True)
    assert all(isinstance(one, OriginUnavailable) for one in results)
    assert len(failing.opened) <= 4


async def test_ten_ranges_of_one_slice_cost_it_once(rig: Rig) -> None:
    want = Want(first=ByteRange(WIDTH + 5, WIDTH + 9))
    span = Span(WIDTH + 5, WIDTH + 10)
    got = await asyncio.gather(*(rig.get(want, span=span) for _ in range(10)))
    assert got == [BODY[WIDTH + 5 : WIDTH + 10]] * 10
    await rig.settled()
    assert rig.counting.bytes == WIDTH
    assert rig.asked == 1


async def test_the_end_of_something_unknown_costs_one_slice(rig: Rig) -> None:
    want = Want(first=ByteRange(None, 100))
    assert await rig.get(want, span=Span(len(BODY) - 100, len(BODY))) == BODY[-100:]
    await rig.settled()
    assert rig.counting.bytes == 1000  # the last slice is short
    assert [want.body for _, want in rig.counting.opened] == [False, True]


async def test_checksums_are_asked_for_once_where_only_ranges_were_read(rig: Rig) -> None:
    await rig.get(Want(first=ByteRange(WIDTH, WIDTH + 9)), span=Span(WIDTH, WIDTH + 10))
    rig.counting.opened.clear()
    for _ in range(2):
        assert await rig.get(Want(checksums=True)) == BODY
    asked = [(want.body, want.first) for _, want in rig.counting.opened]
    assert asked[0] == (False, None)
    assert all(body for body, _ in asked[1:])
    assert rig.counting.bytes == len(BODY)


# --- versions -----------------------------------------------------------------------------------


async def test_a_body_is_never_of_two_versions() -> None:
    """The object is replaced again and again under many readers."""
    async with rigged(memory=3 * WIDTH) as rig:
        bodies = [random.Random(n).randbytes(3 * WIDTH + 1000) for n in range(2)]
        ended = asyncio.Event()

        async def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                rig.store.put("a", StoredObject(bodies[number % 2]))
                await asyncio.sleep(0.002)

        async def reader() -> list[bytes | None]:
            mine: list[bytes | None] = []
            for _ in range(20):
                try:
                    mine.append(await rig.get(Want(terms=Terms(default_ttl=0))))
                except (ObjectChanged, OriginBroke):
                    mine.append(None)
                await asyncio.sleep(0.001)
            return mine

        writing = asyncio.create_task(write())
        by_reader = await asyncio.gather(*(reader() for _ in range(8)))
        got = [one for bodies_ in by_reader for one in bodies_]
        ended.set()
        await writing
        assert all(one is None or one in bodies for one in got)
        assert any(one is not None for one in got)


async def test_a_version_that_is_gone_is_forgotten(rig: Rig) -> None:
    await rig.get(Want(first=ByteRange(0, 9)), span=Span(0, 10))
    rig.store.put("a", StoredObject(OTHER))
    with pytest.raises(ObjectChanged):
        await rig.get(Want(first=ByteRange(2 * WIDTH, None)), span=Span(2 * WIDTH, len(BODY)))
    assert await rig.get() == OTHER


async def test_pinned_to_a_version_another_one_is_refused(rig: Rig) -> None:
    await rig.get()
    pin = StoredObject(OTHER).representation
    with pytest.raises(ObjectChanged):
        await rig.cached.open("a", Want(pin=pin))


# --- purging ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purge", "gone"),
    [
        (Purge("key", "a"), True),
        (Purge("key", "a", origin="store"), True),
        (Purge("key", "a", origin="another"), False),
        (Purge("key", "ab"), False),
        (Purge("prefix", ""), True),
        (Purge("prefix", "a"), True),
        (Purge("prefix", "b"), False),
        (Purge("tag", "red"), True),
        (Purge("tag", "re"), False),
    ],
)
async def test_a_purge_forgets_what_it_means(rig: Rig, purge: Purge, gone: bool) -> None:
    rig.store.put("a", stored(BODY, tags=("blue", "red")))
    await rig.get()
    rig.store.put("a", StoredObject(OTHER))
    assert rig.cache.purge(purge) == int(gone)
    # With a directory, what is on disk is from before the purge, too.
    assert await rig.get() == (OTHER if gone else BODY)


async def test_a_soft_purge_validates_and_keeps_the_slices(rig: Rig) -> None:
    await rig.get()
    rig.counting.bytes = 0
    rig.counting.opened.clear()
    assert rig.cache.purge(Purge("key", "a", soft=True)) == 1
    assert await rig.get() == BODY
    assert rig.asked == 1
    assert rig.counting.bytes == 0


async def test_an_answer_from_before_a_purge_is_not_kept(rig: Rig) -> None:
    slow = rig.cached.origin = Slow(rig.store)
    early = asyncio.create_task(rig.get())
    while not slow.opened:
        await asyncio.sleep(0.001)
    rig.cache.purge(Purge("prefix", ""))
    slow.go.set()
    assert await early == BODY
    rig.store.put("a", StoredObject(OTHER))
    assert await rig.get() == OTHER


# --- sealing ------------------------------------------------------------------------------------


async def test_a_confirmed_object_is_sealed_and_its_slices_are_held_to_it(rig: Rig) -> None:
    opened = await rig.cached.open("a")
    assert isinstance(opened, CachedObject)
    assert await read(opened) == BODY
    opened.confirm("crc64nvme")
    assert opened.sealed_by == "crc64nvme"
    entry = rig.cache.entries.get(object_name("store", "a"))
    assert entry is not None
    rig.cache.discard_slices(entry)
    await rig.settled()
    if rig.cache.disk is not None:
        for index in range(entry.slices):
            rig.cache.disk.files.drop(rig.cache.disk.files.path(entry.slice_name(index)))
    # The store now gives other bytes under the same entity tag, as one that rots would.
    rotten = bytearray(BODY)
    rotten[WIDTH + 7] ^= 1
    rig.store.put("a", StoredObject(bytes(rotten), StoredObject(BODY).representation))
    want = Want(first=ByteRange(0, 9))
    assert await rig.get(want, span=Span(0, 10)) == BODY[:10]
    with pytest.raises(Exception, match="not what it was"):
        await rig.get(Want(first=ByteRange(WIDTH, None)), span=Span(WIDTH, WIDTH + 100))


async def test_a_part_does_not_confirm_the_whole(rig: Rig) -> None:
    opened = await rig.cached.open("a", Want(first=ByteRange(0, 9)))
    assert isinstance(opened, CachedObject)
    await read(opened, Span(0, 10))
    opened.confirm("crc64nvme")
    assert opened.sealed_by == ""


async def test_what_is_discarded_is_given_to_nobody(rig: Rig) -> None:
    opened = await rig.cached.open("a")
    assert isinstance(opened, CachedObject)
    await read(opened)
    opened.discard()
    rig.counting.bytes = 0
    assert await rig.get() == BODY
    assert rig.counting.bytes == len(BODY)


# --- what is told -------------------------------------------------------------------------------


async def test_what_is_told_of_an_answer(rig: Rig) -> None:
    first = await report(rig, Want(first=ByteRange(0, 9)), Span(0, 10))
    assert (first.fwd, first.stored, first.hit, first.age) == ("uri-miss", True, False, None)
    await rig.settled()
    again = await report(rig, Want(first=ByteRange(0, 9)), Span(0, 10))
    assert (again.hit, again.fwd) == (True, None)
    assert again.age is not None
    assert again.ttl is not None
    assert 0 <= again.age < 30
    assert again.age + again.ttl == 59
    assert again.detail in ("memory", "disk")
    partly = await report(rig, Want(first=ByteRange(0, None)), Span(0, len(BODY)))
    assert (partly.fwd, partly.hit) == ("partial", False)
    other = await report(rig, Want(first=ByteRange(WIDTH, None)), Span(WIDTH, WIDTH + 1))
    assert other.fwd == "miss"
    await rig.get()
    assert (await report(rig)).hit
    await rig.age(100)
    stale = await report(rig)
    assert (stale.fwd, stale.fwd_status) == ("stale", 304)
    assert (await report(rig, NO_BODY, Span(0, 0))).hit


async def test_who_joins_is_told_so(rig: Rig) -> None:
    slow = rig.cached.origin = Slow(rig.store)
    tasks = [asyncio.create_task(report(rig)) for _ in range(3)]
    while not slow.opened:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    slow.go.set()
    reports = await asyncio.gather(*tasks)
    assert sorted(one.collapsed for one in reports) == [False, True, True]


# --- restarts -----------------------------------------------------------------------------------


async def test_what_is_on_disk_is_found_again(tmp_path: Path) -> None:
    async with rigged(tmp_path / "cache") as rig:
        assert await rig.get() == BODY
        await rig.settled()
    async with rigged(tmp_path / "cache") as rig:
        assert await rig.get() == BODY
        assert await rig.get(Want(first=ByteRange(5, 9)), span=Span(5, 10)) == BODY[5:10]
        assert rig.asked == 0
        assert rig.cache.bytes.disk == len(BODY) + 5


@pytest.mark.parametrize(("size", "is_small"), [(1, True), (64 * KIB, True), (65 * KIB, False)])
async def test_a_small_object_on_disk_is_in_memory_once_it_was_read(
    tmp_path: Path, size: int, is_small: bool
) -> None:
    body = BODY[:size]
    async with rigged(tmp_path / "cache") as rig:
        rig.store.put("a", StoredObject(body))
        await rig.get()
        await rig.settled()
    async with rigged(tmp_path / "cache") as rig:
        rig.store.put("a", StoredObject(body))
        assert [await rig.get() for _ in range(3)] == [body] * 3
        assert rig.asked == 0
        disk, memory = (size, 2 * size) if is_small else (3 * size, 0)
        assert (rig.cache.bytes.disk, rig.cache.bytes.memory) == (disk, memory)
        assert rig.cache.memory.count == is_small


def _damage(path: Path, part: bytes) -> None:
    """Flips a bit of a file, where it has such a part."""
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(part)] ^= 1
    path.write_bytes(damaged)


async def test_a_small_object_that_is_damaged_on_disk_is_not_kept(tmp_path: Path) -> None:
    body = BODY[:1000]
    async with rigged(tmp_path / "cache") as rig:
        rig.store.put("a", StoredObject(body))
        await rig.get()
        await rig.settled()
        disk, entry = rig.cache.disk, rig.cache.entries.get(object_name("store", "a"))
        assert disk is not None
        assert entry is not None
        path = Path(disk.files.path(entry.slice_name(0)))
    _damage(path, body[500:520])
    async with rigged(tmp_path / "cache") as rig:
        rig.store.put("a", StoredObject(body))
        assert [await rig.get() for _ in range(2)] == [body] * 2
        assert rig.asked == 1


async def test_who_reads_on_while_another_process_validates_goes_on_filling(tmp_path: Path) -> None:
    async with rigged(tmp_path / "cache") as one, rigged(tmp_path / "cache") as two:
        opened = await one.cached.open("a")
        reading = opened.read(Span(0, len(BODY)))
        got = await anext(reading)
        await one.settled()
        await one.age(100)
        assert await two.get(NO_BODY, span=Span(0, 0)) == b""
        assert two.asked == 1
        assert await one.get(NO_BODY, span=Span(0, 0)) == b""  # what is newer on disk is taken over
        assert got + b"".join([buffer async for buffer in reading]) == BODY
        await one.settled()
        assert one.cache.filler.counts.bypassed == 0
        assert await one.get() == BODY
        assert one.counting.bytes == len(BODY)


async def test_slices_of_another_width_are_not_mixed_in(tmp_path: Path) -> None:
    async with rigged(tmp_path / "cache") as rig:
        await rig.get()
        await rig.settled()
    async with rigged(tmp_path / "cache", width=2 * WIDTH) as rig:
        assert await rig.get() == BODY
        assert rig.asked == 2


async def test_two_processes_worth_of_caches_share_a_directory(tmp_path: Path) -> None:
    """Two caches in one process know nothing of each other but by the directory."""
    async with rigged(tmp_path / "cache") as one, rigged(tmp_path / "cache") as two:
        two.cached.origin = two.cached._at_hand._origin = one.counting
        got = await asyncio.gather(*(rig.get() for rig in (one, two) * 10))
        assert got == [BODY] * 20
        await one.settled()
        await two.settled()
        assert one.counting.bytes == len(BODY)


# --- at hand ------------------------------------------------------------------------------------


async def test_what_is_at_hand_is_in_memory_in_one_slice(rig: Rig) -> None:
    first, across = Span(10, 1000), Span(WIDTH - 10, WIDTH + 10)
    opened = await rig.cached.open("a", NO_BODY)
    assert isinstance(opened, CachedObject)
    assert opened.at_hand(first) is None
    assert await rig.get() == BODY
    await rig.settled()
    before = rig.cache.bytes.memory
    assert opened.at_hand(first) == BODY[10:1000]
    assert rig.cache.bytes.memory == before + 990
    assert opened.at_hand(across) is None
    last = Span(len(BODY) - 5, len(BODY))
    assert opened.at_hand(last) == BODY[-5:]
    opened.discard()
    assert opened.at_hand(first) is None
    assert rig.cache.bytes.memory == before + 995


async def test_what_is_at_hand_counts_as_a_use() -> None:
    """So that it stays when others go."""
    async with rigged(memory=2 * WIDTH) as rig:
        small = Span(0, 100)
        opened = await rig.cached.open("a")
        assert isinstance(opened, CachedObject)
        assert await read(opened, small) == BODY[:100]
        await rig.settled()
        for _ in range(3):
            assert opened.at_hand(small) == BODY[:100]
        for key in "bcdefgh":
            rig.store.put(key, StoredObject(BODY[:WIDTH]))
            assert await rig.get(key=key) == BODY[:WIDTH]
            await rig.settled()
        assert opened.at_hand(small) == BODY[:100]

"""Leases on what is kept: when they end, and what is said of answers that are given under them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, time

import pytest

from proxy.cache.disk.hits import MOST_USES
from proxy.cache.filling.entry import Entries, Entry
from proxy.cache.rules.naming import object_name
from proxy.cache.rules.purge import Purge
from proxy.cache.serving import leases
from proxy.cache.serving.object import CachedObject
from proxy.errors import NotFound
from proxy.origins.base import KeptLease, Want, kept_lease, lease_of
from proxy.origins.memory import StoredObject
from proxy.semantics.freshness import Demands, Terms
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span
from tests.cache.serving.test_layer import BODY, OTHER, WIDTH, Rig, rigged

NAME = object_name("store", "a")
TERMS = Terms(default_ttl=30.0)


async def leased(rig: Rig) -> KeptLease | None:
    """A lease on what was read as a whole."""
    opened = await rig.cached.open("a", Want(terms=TERMS))
    async for _ in opened.read(Span(0, len(BODY))):
        pass
    lease = lease_of(opened)
    await opened.aclose()
    return None if lease is None else kept_lease(lease)


@asynccontextmanager
async def held(directory: Path | None = None) -> AsyncIterator[tuple[Rig, KeptLease]]:
    async with rigged(directory) as rig:
        lease = await leased(rig)
        assert lease is not None
        assert lease.holds()
        yield rig, lease


def entry_of(rig: Rig) -> Entry:
    entry = rig.cache.entries.get(NAME)
    assert entry is not None
    return entry


async def test_it_ends_with_freshness(monkeypatch: pytest.MonkeyPatch) -> None:
    async with held() as (rig, lease):
        begun = monotonic() - entry_of(rig).age
        monkeypatch.setattr(leases, "monotonic", lambda: begun + 29.9)
        assert lease.holds()
        monkeypatch.setattr(leases, "monotonic", lambda: begun + 30.1)
        assert not lease.holds()


_ENDS: dict[str, Callable[[Rig], object]] = {
    "purge": lambda rig: rig.cache.purge(Purge("key", "a")),
    "soft purge": lambda rig: rig.cache.purge(Purge("key", "a", soft=True)),
    "replaced": lambda rig: rig.cache.replaced(entry_of(rig)),
    "validated": lambda rig: rig.cache.now_valid(entry_of(rig), time() + 0.001),
    "another": lambda rig: rig.cache.adopt(Entry(NAME, entry_of(rig).head)),
    "pushed out": lambda rig: rig.cache.entries.remove(entry_of(rig)),
}


@pytest.mark.parametrize("end", _ENDS)
async def test_it_ends_with_what_was_known(end: str) -> None:
    async with held() as (rig, lease):
        _ENDS[end](rig)
        assert not lease.holds()


async def test_a_purge_of_something_else_does_not_end_it() -> None:
    async with held() as (rig, lease):
        rig.cache.purge(Purge("key", "b"))
        assert lease.holds()


async def test_what_is_asked_for_stays_known() -> None:
    async with held() as (rig, lease):
        entry = entry_of(rig)
        rig.cache.entries = Entries(2)
        rig.cache.entries.put(entry)
        for number in range(3):
            assert lease.holds()
            rig.cache.entries.put(Entry(object_name("store", str(number)), entry.head))
        assert lease.holds()


async def test_there_is_none_on_what_is_stale_or_replaced() -> None:
    async with rigged() as rig:
        opened = await rig.cached.open("a", Want(terms=Terms(default_ttl=0.0)))
        assert lease_of(opened) is None
        opened = await rig.cached.open("a", Want(terms=TERMS))
        assert lease_of(opened) is not None
        rig.cache.purge(Purge("key", "a"))
        assert lease_of(opened) is None


async def test_there_is_none_where_clients_may_demand_something_else() -> None:
    async with rigged(follow_demands=True) as rig:
        opened = await rig.cached.open("a", Want(terms=TERMS, demands=Demands(max_age=0)))
        assert lease_of(opened) is None


async def test_there_is_none_before_all_is_known_of_it() -> None:
    async with rigged() as rig:
        opened = await rig.cached.open("a", Want(first=ByteRange(WIDTH, WIDTH + 9), terms=TERMS))
        assert isinstance(opened, CachedObject)
        assert lease_of(opened) is None
        opened = await rig.cached.open("a", Want(checksums=True, terms=TERMS))
        assert lease_of(opened) is not None


async def test_its_age_is_that_of_the_entry() -> None:
    async with held() as (rig, lease):
        assert lease.age() == 0
        entry_of(rig).validated -= 7.5
        assert lease.age() == 7


async def test_answers_count_as_uses(tmp_path: Path) -> None:
    async with held(tmp_path) as (rig, lease):
        disk, entry = rig.cache.disk, entry_of(rig)
        assert disk is not None
        names = [entry.slice_name(index) for index in range(entry.slices)]
        for name in names:
            disk.hits.take(name)
        before = rig.cache.bytes.memory
        lease.used(0)
        assert [disk.hits.take(name) for name in names] == [0] * 4
        for _ in range(MOST_USES + 1):
            lease.used(100)
        assert rig.cache.bytes.memory - before == 100 * (MOST_USES + 1)
        assert [disk.hits.take(name) for name in names] == [MOST_USES] * 4


async def test_in_memory_alone_bytes_count() -> None:
    async with held() as (rig, lease):
        before = rig.cache.bytes.memory
        lease.used(5)
        assert rig.cache.bytes.memory == before + 5


async def test_what_is_missing_is_so_for_a_while() -> None:
    async with rigged(missing_ttl=60.0) as rig:
        found = []
        for _ in range(2):
            with pytest.raises(NotFound) as missing:
                await rig.cached.open("b")
            lease = lease_of(missing.value)
            assert lease is not None
            assert kept_lease(lease) is None
            found.append(lease)
        assert [one.holds() for one in found] == [True, True]
        rig.store.put("b", StoredObject(OTHER))
        rig.cache.purge(Purge("key", "b"))
        assert [one.holds() for one in found] == [False, False]
    async with rigged(missing_ttl=0.0) as rig:
        with pytest.raises(NotFound) as missing:
            await rig.cached.open("b")
        lease = lease_of(missing.value)
        assert lease is not None
        assert not lease.holds()

"""Single functions of the cache, timed as those of bench_functions are.

What has to be there beforehand is made outside the time that is measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Head, write_footer
from proxy.cache.filling.entry import Entries, Entry
from proxy.cache.filling.filling import Filler
from proxy.cache.memory.memory import Memory
from proxy.cache.rules.checking import BlockSums, agree
from proxy.cache.rules.naming import object_name
from proxy.cache.upkeep.holdings import Holdings
from tests.benchmarks.bench_functions import FILM, MIB
from tests.cache.directory import make, slice_path

WIDTH = 8 * MIB
KEY = "films/2024/long.mp4"
CLEANED = 1000
Setup = tuple[tuple[Holdings, Path], dict[str, object]]


@dataclass
class Kept:
    """A film of six slices, of which the first is in memory and, small, in a file, too."""

    entry: Entry
    entries: Entries
    filler: Filler
    files: Files


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    entry = Entry(object_name("media", KEY), Head("media", KEY, WIDTH, time(), FILM))
    entries, memory, files = Entries(), Memory(64 * MIB), Files(str(tmp_path / "cache"))
    entries.put(entry)
    made = memory.begin(entry.slice_name(0), WIDTH)
    assert made is not None
    made.add(bytes(WIDTH))
    made.complete()
    memory.end(entry.slice_name(0), made)
    files.prepare()
    whole = bytes(WIDTH) + write_footer(entry.label_of(0), made.table)
    Path(files.path(entry.slice_name(0))).write_bytes(whole)
    filler = Filler(memory, None, lambda _: None, lambda *_: None)
    return Kept(entry, entries, filler, files)


def test_cache_entry_lookup(benchmark: BenchmarkFixture, kept: Kept) -> None:
    """From a key to what is known of the object."""
    found = benchmark(lambda: kept.entries.get(object_name("media", KEY)))
    assert found is kept.entry


def test_cache_lookup_hit_in_memory(benchmark: BenchmarkFixture, kept: Kept) -> None:
    assert benchmark(kept.filler.known, kept.entry, 0) is not None


def test_cache_lookup_miss_in_memory(benchmark: BenchmarkFixture, kept: Kept) -> None:
    assert benchmark(kept.filler.known, kept.entry, 1) is None


def test_cache_lookup_on_disk(benchmark: BenchmarkFixture, kept: Kept) -> None:
    """The file of a slice opened, its footer read and understood; what a thread does."""

    def look() -> int:
        found = kept.files.open_slice(kept.entry.slice_name(0))
        assert found is not None
        found.close()
        return found.label.length

    assert benchmark(look) == WIDTH


def test_cache_lookup_miss_on_disk(benchmark: BenchmarkFixture, kept: Kept) -> None:
    assert benchmark(kept.files.open_slice, kept.entry.slice_name(1)) is None


def test_verify_a_cached_slice_of_8_mebibytes(benchmark: BenchmarkFixture) -> None:
    """Each of its 128 blocks compared with its check value."""
    body, sums = os.urandom(WIDTH), BlockSums()
    sums.update(body)
    assert benchmark(agree, body, sums.table(), 0)


def test_temporary_name(benchmark: BenchmarkFixture, kept: Kept) -> None:
    """One that no other process makes."""
    assert benchmark(kept.files.unique, kept.entry.name).startswith(kept.files.root)


def _timed(
    benchmark: BenchmarkFixture, work: Callable[..., int], setup: Callable[[], Setup], rounds: int
) -> int:
    pedantic: Callable[..., int] = benchmark.pedantic  # it has no types
    return pedantic(work, setup=setup, rounds=rounds)


def _full(root: Path) -> Setup:
    """So many slices, counted, each of another object."""
    holdings = Holdings()
    holdings.preload((slice_path(root, number).name, WIDTH) for number in range(CLEANED))
    return (holdings, root), {}


def _evicted(holdings: Holdings, root: Path) -> int:
    evicted = 0
    while holdings.victim(lambda _: 0) is not None:
        evicted += 1
    return evicted


def test_cache_cleanup_of_1000(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Which goes next, a thousand times, and keeping count of it."""
    assert _timed(benchmark, _evicted, lambda: _full(tmp_path), 200) == CLEANED


def test_cache_cleanup_of_1000_files(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The same, with the files."""
    root = make(tmp_path)

    def full() -> Setup:
        for number in range(CLEANED):
            slice_path(root, number).touch()
        return _full(root)

    def evict(holdings: Holdings, root: Path) -> int:
        evicted = 0
        while (victim := holdings.victim(lambda _: 0)) is not None:
            os.unlink(root / victim[0][:2] / victim[0])
            evicted += 1
        return evicted

    assert _timed(benchmark, evict, full, 20) == CLEANED

"""What a cache tells of itself, by where its slices are."""

from __future__ import annotations

from pathlib import Path

from proxy.cache.cache import Cache
from proxy.cache.options import CacheOptions
from proxy.cache.statistics import Bytes, Counts, Statistics, statistics_of
from proxy.cache.upkeep.janitor import Usage

USAGE = Usage(500, 7, 3, 300, 0, 0, is_janitor=True, scanned=True)


async def told_of(
    usage: Usage | None, directory: Path | None = None, *, in_memory: bool = False
) -> Statistics:
    root = str(directory) if directory is not None else None
    made = Cache(CacheOptions(root, in_memory, size=1000, files=50, memory=4096))
    if made.disk is not None:
        made.disk.counts.written, made.disk.counts.written_bytes = 9, 900
    made.memory.evicted = 2
    given = Bytes(memory=10, disk=20, filling=30, bypassed=40)
    counts = made.filler.counts
    told = statistics_of(made.options, 5, given, counts, 1, made.memory, made.disk, usage)
    await made.aclose()
    return told


async def test_on_disk(tmp_path: Path) -> None:
    told = await told_of(USAGE, tmp_path)
    assert (told.disk_bytes, told.disk_files, told.disk_evicted) == (500, 7, 3)
    assert (told.disk_limit, told.disk_files_limit, told.disk_evicted_bytes) == (1000, 50, 300)
    assert (told.disk_written, told.disk_written_bytes) == (9, 900)
    assert (told.bytes_memory, told.bytes_disk, told.memory_evicted) == (10, 20, 2)
    assert (told.shared_used, told.shared_limit) == (0, 0)
    assert (told.entries, told.purges, told.memory_limit) == (5, 1, 4096)


async def test_shared_in_memory_nothing_is_told_of_a_disk(tmp_path: Path) -> None:
    told = await told_of(USAGE, tmp_path, in_memory=True)
    assert (told.shared_used, told.shared_limit, told.memory_evicted) == (500, 1000, 3)
    assert (told.bytes_memory, told.bytes_disk) == (30, 0)
    assert (told.disk_bytes, told.disk_files, told.disk_evicted, told.disk_limit) == (0, 0, 0, 0)
    assert (told.disk_written, told.disk_written_bytes, told.disk_files_limit) == (0, 0, 0)
    assert told.directory == str(tmp_path)


async def test_in_the_memory_of_one_process() -> None:
    told = await told_of(None)
    assert (told.bytes_memory, told.bytes_disk, told.memory_evicted) == (10, 20, 2)
    assert (told.directory, told.shared_limit, told.disk_limit) == ("", 0, 0)


def test_answers_are_counted_by_their_words() -> None:
    counts = Counts()
    for status in ("hit", "miss", "hit"):
        counts.add(status)
    assert counts.by_status == {"hit": 2, "miss": 1}

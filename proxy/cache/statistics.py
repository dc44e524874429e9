"""What a cache keeps and has done, as plain numbers: for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from proxy.cache.disk.disk import Disk
from proxy.cache.filling.fill import FillCounts
from proxy.cache.memory.memory import Memory
from proxy.cache.options import CacheOptions
from proxy.cache.upkeep.janitor import Usage


@dataclass(slots=True)
class Bytes:
    """Where the bytes of reads came from, in one process."""

    memory: int = 0
    disk: int = 0
    filling: int = 0
    bypassed: int = 0


@dataclass(slots=True)
class Counts:
    """Answers by what the cache did for them, in one process."""

    by_status: dict[str, int] = field(default_factory=dict)
    purges: int = 0

    def add(self, status: str) -> None:
        """One more."""
        self.by_status[status] = self.by_status.get(status, 0) + 1


@dataclass(frozen=True, slots=True)
class Statistics:
    """One process's cache at one moment. Counts are since it began, sizes in bytes.

    Attributes:
        directory: where slices are kept, "" in this process's memory only.
        resting: why nothing is written there at the moment: "full", "failing", or "".
        entries: objects of which something is known.
        shared_used, shared_limit: what all processes keep in `directory` where that is in memory,
            and may keep; then all that is told of a disk is 0. Else both are 0.
        memory_…: slices in this process's memory, and how many gave way to others: of those that
            are shared where they are.
        bytes_…: given to readers, by where they came from: memory, disk, a slice that was just
            being filled, or an origin past the cache.
        fills_…: as `proxy.cache.filling.filling.FillCounts`; `bypassed` too.
        purges: that this process was told of.
        disk_damaged, disk_written, disk_failures: slices that were not as they were written,
            slices this process wrote, and times the directory failed.
        disk_evicted: slices this process evicted to keep the limits.
        disk_bytes, disk_files: what all processes keep in the directory; 0 until it is known.
        disk_limit, disk_files_limit: what they may keep.
    """

    directory: str
    resting: str
    entries: int
    shared_used: int
    shared_limit: int
    memory_used: int
    memory_limit: int
    memory_slices: int
    memory_evicted: int
    bytes_memory: int
    bytes_disk: int
    bytes_fill: int
    bytes_bypass: int
    fills_started: int
    fills_failed: int
    fills_left: int
    fills_followed: int
    fills_taken_over: int
    bypassed: int
    purges: int
    disk_damaged: int
    disk_written: int
    disk_written_bytes: int
    disk_failures: int
    disk_evicted: int
    disk_evicted_bytes: int
    disk_bytes: int
    disk_files: int
    disk_limit: int
    disk_files_limit: int


def statistics_of(
    options: CacheOptions,
    entries: int,
    given: Bytes,
    fills: FillCounts,
    purges: int,
    memory: Memory,
    disk: Disk | None,
    usage: Usage | None,
) -> Statistics:
    """The numbers of one process, of its parts. `disk` and `usage` are those of the directory."""
    in_memory = options.in_memory
    return Statistics(
        directory=options.directory or "",
        resting=disk.resting if disk is not None else "",
        entries=entries,
        memory_used=memory.used,
        memory_limit=memory.limit,
        memory_slices=memory.count,
        bytes_memory=given.memory + (given.disk if in_memory else 0),
        bytes_disk=0 if in_memory else given.disk,
        bytes_fill=given.filling,
        bytes_bypass=given.bypassed,
        fills_started=fills.started,
        fills_failed=fills.failed,
        fills_left=fills.left,
        fills_followed=fills.followed,
        fills_taken_over=fills.taken_over,
        bypassed=fills.bypassed,
        purges=purges,
        disk_damaged=disk.counts.damaged if disk is not None else 0,
        disk_failures=disk.counts.failures if disk is not None else 0,
        **(_in_memory if in_memory else _on_disk)(options, memory, disk, usage),
    )


def _in_memory(
    options: CacheOptions, memory: Memory, disk: Disk | None, usage: Usage | None
) -> dict[str, int]:
    del memory, disk  # what leaves a process's own memory is still kept
    told = dict.fromkeys(_OF_A_DISK, 0)
    told["shared_used"] = usage.bytes if usage is not None else 0
    told["shared_limit"] = options.size
    told["memory_evicted"] = usage.evicted if usage is not None else 0
    return told


def _on_disk(
    options: CacheOptions, memory: Memory, disk: Disk | None, usage: Usage | None
) -> dict[str, int]:
    told = dict.fromkeys(_OF_A_DISK, 0)
    told |= {"shared_used": 0, "shared_limit": 0, "memory_evicted": memory.evicted}
    if disk is not None:
        told["disk_written"] = disk.counts.written
        told["disk_written_bytes"] = disk.counts.written_bytes
        told["disk_limit"], told["disk_files_limit"] = options.size, options.files
    if usage is not None:
        told["disk_bytes"], told["disk_files"] = usage.bytes, usage.files
        told["disk_evicted"], told["disk_evicted_bytes"] = usage.evicted, usage.evicted_bytes
    return told


_OF_A_DISK: Final = (
    "disk_written",
    "disk_written_bytes",
    "disk_evicted",
    "disk_evicted_bytes",
    "disk_bytes",
    "disk_files",
    "disk_limit",
    "disk_files_limit",
)

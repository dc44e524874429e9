"""What a cache keeps and has done, as plain numbers: for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """One process's cache at one moment. Counts are since it began, sizes in bytes.

    Attributes:
        directory: where slices are kept on disk, "" in memory only.
        resting: why nothing is written there at the moment: "full", "failing", or "".
        entries: objects of which something is known.
        memory_…: slices in memory, and how many gave way to others.
        bytes_…: given to readers, by where they came from: memory, disk, a slice that was just
            being filled, or an origin past the cache.
        fills_…: as `proxy.cache.filling.FillCounts`; `bypassed` too.
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

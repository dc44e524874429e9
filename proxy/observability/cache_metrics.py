"""The metrics of what the cache keeps, and of what it did for that; `metrics` has all others."""

from __future__ import annotations

from typing import Final

from proxy.observability.metric import Label, Metric

TIERS: Final = ("memory", "disk", "fill", "bypass")
FILL_RESULTS: Final = ("started", "failed", "left", "followed", "taken_over")

BYTES: Final = Metric(
    "headgate_cache_bytes_total",
    "counter",
    "Bytes given to readers: kept in memory or on disk, just filled, or past the cache.",
    (Label("tier", TIERS),),
)
FILLS: Final = Metric(
    "headgate_cache_fills_total",
    "counter",
    "Slices asked of an origin, those that failed or were given up, and those of other workers.",
    (Label("result", FILL_RESULTS),),
)
DAMAGED: Final = Metric(
    "headgate_cache_damaged_slices_total",
    "counter",
    "Slices on disk that were not as they were written; each was dropped and not given.",
)
WRITTEN: Final = Metric("headgate_cache_written_slices_total", "counter", "Slices written to disk.")
WRITTEN_BYTES: Final = Metric(
    "headgate_cache_written_bytes_total", "counter", "The bytes of these slices."
)
EVICTED: Final = Metric(
    "headgate_cache_evicted_slices_total",
    "counter",
    "Slices that gave way to others.",
    (Label("tier", ("memory", "disk")),),
)
EVICTED_BYTES: Final = Metric(
    "headgate_cache_evicted_bytes_total", "counter", "The bytes of those evicted from disk."
)
DISK_BYTES: Final = Metric(
    "headgate_cache_disk_bytes",
    "gauge",
    "What the cache's directory holds; 0 until it is counted.",
    merge="max",
)
DISK_LIMIT: Final = Metric(
    "headgate_cache_disk_limit_bytes", "gauge", "What it may hold (size).", merge="max"
)
DISK_FILES: Final = Metric(
    "headgate_cache_disk_files", "gauge", "The files that it holds.", merge="max"
)
DISK_FILES_LIMIT: Final = Metric(
    "headgate_cache_disk_limit_files", "gauge", "The files that it may hold (files).", merge="max"
)
SHARED: Final = Metric(
    "headgate_cache_shared_memory_bytes",
    "gauge",
    "Slices that workers share in memory, where there is no directory.",
    merge="max",
)
SHARED_LIMIT: Final = Metric(
    "headgate_cache_shared_memory_limit_bytes",
    "gauge",
    "What they may share there (half of memory).",
    merge="max",
)
MEMORY: Final = Metric(
    "headgate_cache_memory_bytes", "gauge", "Slices in workers' own memory, added up."
)
MEMORY_LIMIT: Final = Metric(
    "headgate_cache_memory_limit_bytes", "gauge", "What all workers may hold there (memory)."
)
ENTRIES: Final = Metric("headgate_cache_entries", "gauge", "Objects that workers know, added up.")
RESTING: Final = Metric(
    "headgate_cache_resting",
    "gauge",
    "1 while a worker leaves the cache's directory alone, since it is full or fails.",
    (Label("reason", ("full", "failing")),),
    merge="max",
)

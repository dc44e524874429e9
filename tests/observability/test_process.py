"""What the system says of this process."""

from __future__ import annotations

import gc
import mmap
import os

from proxy.observability import process_metrics
from proxy.observability.meters import Meters
from proxy.observability.process import (
    gc_pauses_measured,
    measure_process,
    open_descriptors,
    resident_bytes,
)


def test_memory_and_descriptors_grow_with_their_use() -> None:
    before, files = resident_bytes(), open_descriptors()
    assert files is not None
    held = mmap.mmap(-1, 32 << 20)  # not of what this process has been given back already
    held.write(b"x" * len(held))
    assert resident_bytes() > before + 20 * (1 << 20)
    held.close()
    reading, writing = os.pipe()
    assert open_descriptors() == files + 2
    os.close(reading)
    os.close(writing)


def test_all_are_there_at_each_reading() -> None:
    meters = Meters()
    measure_process(meters, "supervisor")
    values = meters.read()
    for metric in (
        process_metrics.CPU_SECONDS,
        process_metrics.RESIDENT_BYTES,
        process_metrics.DESCRIPTORS,
        process_metrics.MAX_DESCRIPTORS,
    ):
        [(labels, value)] = values[metric.name]
        assert labels == ["supervisor"]
        assert isinstance(value, float | int)
        assert value > 0


def test_collections_are_timed_while_it_is_wanted() -> None:
    meters = Meters()
    with gc_pauses_measured(meters):
        gc.collect()
    gc.collect()
    [counts] = [
        v for labels, v in meters.read()[process_metrics.GC_SECONDS.name] if labels == ["2"]
    ]
    assert isinstance(counts, list)
    assert sum(counts[:-1]) == 1
    assert 0 < counts[-1] < 10

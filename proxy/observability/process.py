"""What the operating system and the interpreter say of this process, as metrics."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from proxy.observability import process_metrics
from proxy.observability.meters import Meters

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SELF = Path("/proc/self")


def measure_process(meters: Meters, process: str = "") -> None:
    """Has processor time, memory and descriptors looked up before each reading.

    `process` is the value of the label; a worker leaves it to its supervisor.
    """

    def look() -> None:
        meters.put(process_metrics.CPU_SECONDS, sum(os.times()[:2]), process)
        meters.put(process_metrics.RESIDENT_BYTES, resident_bytes(), process)
        meters.put(
            process_metrics.MAX_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[0], process
        )
        descriptors = open_descriptors()
        if descriptors is not None:
            meters.put(process_metrics.DESCRIPTORS, descriptors, process)

    meters.before_reading(look)


def resident_bytes() -> int:
    """Resident memory; where there is no /proc, the most there has been."""
    try:
        return int((_SELF / "statm").read_bytes().split()[1]) * _PAGE
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def open_descriptors() -> int | None:
    """Open file descriptors, or None where nobody can tell."""
    for directory in (_SELF / "fd", Path("/dev/fd")):
        try:
            return len(os.listdir(directory)) - 1  # the one that lists is gone already
        except OSError:
            continue
    return None


@contextmanager
def gc_pauses_measured(meters: Meters) -> Iterator[None]:
    """Counts what the garbage collector takes while the block runs."""
    begun = 0.0

    def note(phase: str, info: Mapping[str, Any]) -> None:
        nonlocal begun
        if phase == "start":
            begun = monotonic()
        else:
            meters.observe(process_metrics.GC_SECONDS, monotonic() - begun, str(info["generation"]))

    gc.callbacks.append(note)
    try:
        yield
    finally:
        gc.callbacks.remove(note)

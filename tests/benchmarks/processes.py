"""What the kernel says of a process and of those it started: processor time and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SCHEDULED = 2  # the clock of what was scheduled, user and system, of all threads there ever were


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and all its descendants: seconds of processor time, largest peak in bytes."""

    cpu: float
    peak_memory: int


def usage(pid: int) -> Usage:
    """The usage so far. Peak memory is that of the largest single process (VmHWM)."""
    family = descendants(pid)
    return Usage(sum(map(_cpu, family)), max(map(_peak_memory, family)))


def cpu_of_ended() -> float:
    """Seconds of processor time of all processes that were started here and have ended: of a
    command, where it was the only one since this was asked before."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def peak_memories(pid: int) -> list[int]:
    """The peak of each process so far (VmHWM), in bytes; the first is that of `pid` itself."""
    return [_peak_memory(member) for member in descendants(pid)]


def resident(pid: int) -> int:
    """Bytes of memory the process and its descendants hold now, shared pages counted once (PSS)."""
    total = 0
    for member in descendants(pid):
        lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def descendants(pid: int) -> list[int]:
    """The process and those it started, at any depth, that are alive."""
    family = [pid]
    for member in family:
        for task in Path(f"/proc/{member}/task").iterdir():
            family += [int(child) for child in (task / "children").read_text().split()]
    return family


def pin(pid: int, cpu: int) -> None:
    """Keeps a process, its threads and its descendants on one processor."""
    for member in descendants(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})


@contextlib.contextmanager
def started_on(cpus: frozenset[int]) -> Iterator[None]:
    """What is started in this block runs on these processors, all its later threads too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cpu(pid: int) -> float:
    """By the process's own clock (clock_getcpuclockid(3)): /proc counts in hundredths of a second,
    which is 2 % of what a gibibyte takes."""
    return time.clock_gettime(~pid << 3 | _SCHEDULED)


def _peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmHWM"))
    return int(found.split()[1]) * 1024

"""What this machine, or the container on it, lets this process use."""

from __future__ import annotations

import os
from pathlib import Path

# Where cgroup v2 says what a container may use.
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def processors(quota: Path = CPU_QUOTA) -> int:
    """How many processors this process may use: by affinity, and by its container's quota.

    `quota` is cgroup v2's file, "<microseconds> <of so many>" or "max <of so many>".
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return min(count, max(1, int(allowed) // int(period)))
    except (OSError, ValueError):  # no container, or "max"
        return count


def memory(limit: Path = MEMORY_LIMIT) -> int:
    """How many bytes of memory this process may use: the machine's, or its container's limit.

    `limit` is cgroup v2's file, bytes or "max".
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(limit.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return physical

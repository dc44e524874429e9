"""What a run was made on, and which processors its parts get."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.servers.process import program

# What a figure may depend on; the server's own libraries first.
_LIBRARIES = ("hypercorn", "uvloop", "h11", "h2", "aiohttp", "aiobotocore", "aiofiles")


@dataclass(frozen=True, slots=True)
class Share:
    """Who runs where. With one processor all share it."""

    server: frozenset[int]
    store: frozenset[int]
    generator: frozenset[int]


def share(workers: int = 1) -> Share:
    """Processors for `workers` of the server, the rest for the generator and the store.

    The store gets one of its own from the third on; with two it is beside the generator, since
    what is measured is the server.
    """
    available = sorted(os.sched_getaffinity(0))
    servers = frozenset(available[: max(1, min(workers, len(available) - 1))])
    rest = [cpu for cpu in available if cpu not in servers] or available
    store, generator = (rest[:1], rest[1:]) if len(rest) > 1 else (rest, rest)
    return Share(servers, frozenset(store), frozenset(generator))


def facts() -> dict[str, object]:
    """The machine, the kernel, the versions, and how busy it was when this was called."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "k6": said(program("k6"), "version"),
        "commit": said("git", "describe", "--always", "--dirty"),
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def said(*command: str) -> str:
    """The first line a command prints, or "" when it can't be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")

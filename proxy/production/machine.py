"""What the machine gives: descriptors, disk, a user without powers, sound versions of packages."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from proxy.production.findings import Finding, error, ok, warning

# Descriptors of a process beside its connections: files, pipes, the loop.
_RESERVE: Final = 256
_WISE: Final = 65536
_MIB: Final = 1024 * 1024
# Free bytes, and free parts of the whole, below which writing soon fails, or is soon slow.
_FULL, _LOW, _LOW_SHARE = 64 * _MIB, 1024 * _MIB, 0.05
# What they hold at rest.
_SUPERVISOR, _WORKER = 50 * 1000 * 1000, 95 * 1000 * 1000
# Releases below these have known holes that reach us; the locks have newer ones.
FLOORS: Final = {"aiohttp": "3.14.4", "h11": "0.16.0", "h2": "4.4.1", "starlette": "1.3.1"}


def check_descriptors(hard: int, origin_connections: int) -> Finding:
    """The limit on descriptors (RLIMIT_NOFILE); Headgate takes all it is allowed.

    `origin_connections` is how many a worker may open to all origins together.
    """
    if hard == resource.RLIM_INFINITY:
        return ok("nofile", "unlimited")
    said = f"{hard} descriptors for each process"
    remedy = f"allow {_WISE}: LimitNOFILE= of the unit, --ulimit nofile= of the container"
    if hard < 2 * origin_connections + _RESERVE:
        return error(
            "nofile", f"{said}, and origins alone may take {origin_connections} of them", remedy
        )
    return warning("nofile", said, remedy) if hard < _WISE else ok("nofile", said)


def check_memory(
    there_is: int, workers: int, shares: Mapping[str, int], whole: Mapping[str, int]
) -> Finding:
    """Whether the budgets fit into the memory there is, all in bytes.

    `shares` are those of each worker, `whole` those of all together, by the option's name.
    """
    needed = _SUPERVISOR + sum(whole.values()) + workers * (_WORKER + sum(shares.values()))
    said = f"{needed // _MIB} MiB of {there_is // _MIB} are budgeted for {workers} workers"
    if needed <= there_is:
        return ok("memory", said)
    each = ", ".join(f"{name} {size // _MIB} MiB" for name, size in {**shares, **whole}.items())
    return warning("memory", f"{said}: {each}", "lower these, or give it more memory")


def check_disk(directory: Path) -> Finding:
    """Free room where something may be written, and whether it may."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError as fault:
        return error("disk", f"{directory}: {fault.strerror}", "make it, or name another")
    said = f"{usage.free / _MIB:.0f} MiB are free at {directory}"
    remedy = "free some, or give it a file system of its own"
    if not os.access(directory, os.W_OK):
        remedy = f"give it to the user that serves, {os.geteuid()}, or mount a volume there"
        return warning("disk", f"{directory} can't be written", remedy)
    if usage.free < _FULL:
        return error("disk", said, remedy)
    if usage.free < _LOW and usage.free < _LOW_SHARE * usage.total:
        return warning("disk", said, remedy)
    return ok("disk", said)


def check_user(user: int) -> Finding:
    """Who it runs as; `user` is the effective id."""
    if user == 0:
        remedy = "run it as a user of its own: deploy/systemd/ and the container do"
        return error("user", "this is root, and a fault in any part would be root's", remedy)
    return ok("user", f"runs as user {user}, not as root")


def check_core_dumps(soft: int) -> Finding:
    """A dump of the memory would hold credentials and bodies."""
    if soft:
        remedy = "LimitCORE=0 of the unit, --ulimit core=0 of the container"
        return warning("core dumps", "are on, and would hold credentials", remedy)
    return ok("core dumps", "are off")


def check_debugging(environ: Mapping[str, str], *, dev_mode: bool) -> Iterator[Finding]:
    """What Python itself is told that slows it or drops a defence."""
    if dev_mode or environ.get("PYTHONASYNCIODEBUG"):
        yield error(
            "python",
            "runs in its development mode, several times slower",
            "unset PYTHONDEVMODE and PYTHONASYNCIODEBUG, and leave -X dev out",
        )
    if environ.get("AIOHTTP_NO_EXTENSIONS"):
        yield error(
            "python",
            "AIOHTTP_NO_EXTENSIONS takes the parser of answers that is slow and was unsafe",
            "unset it",
        )


def check_versions(installed: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Packages that are older than their last known hole; by default those installed here."""
    old = [
        f"{name} {found}"
        for name, floor in FLOORS.items()
        if _parts(found := (installed or {}).get(name) or _installed(name)) < _parts(floor)
    ]
    if old:
        remedy = "install deploy/lock/runtime.txt, and run `just audit`"
        yield error("versions", f"with known holes: {', '.join(old)}", remedy)
    else:
        yield ok("versions", f"none of {', '.join(FLOORS)} has a hole we know of")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def _parts(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)[:3]]


def check_machine(origin_connections: int, directories: Sequence[Path]) -> Iterator[Finding]:
    """All of the above, of this process."""
    yield check_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1], origin_connections)
    for directory in directories:
        yield check_disk(directory)
    yield check_user(os.geteuid())
    yield check_core_dumps(resource.getrlimit(resource.RLIMIT_CORE)[0])
    yield from check_debugging(os.environ, dev_mode=sys.flags.dev_mode)
    yield from check_versions()

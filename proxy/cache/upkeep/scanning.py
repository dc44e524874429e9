"""Reading the cache's directory: which files of ours are there, and which were left by the dead.

A file in `tmp/` is locked by its writer for as long as that lives, so one that isn't locked, and
not so young that its writer may not have come to lock it yet, is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from proxy.cache.upkeep.holdings import is_ours

# Files read at a time, about 0.1 ms.
_BATCH = 20

Failed = Callable[[OSError], None]
"""Is told of each fault that was survived."""


Found = tuple[int, str, int]
"""When a file was modified last (nanoseconds since the epoch), its name and its size in bytes.

A plain tuple, since the garbage collector has nothing to do with those: 100,000 objects that it has
to go through would hold everything for tens of milliseconds.
"""


Weight = Callable[[int], int]
"""What a file of so many bytes counts."""

# A file takes whole pages of memory, and about so much of the kernel's own.
_PAGE, _BESIDE = 4096, 1024


def weight_on_disk(size: int) -> int:
    """Its bytes."""
    return size


def weight_in_memory(size: int) -> int:
    """What it takes of the machine's memory."""
    return -(-size // _PAGE) * _PAGE + _BESIDE


def read_shard(
    shard: Path, failed: Failed, weight: Weight = weight_on_disk
) -> Iterator[list[Found]]:
    """The files of ours in a shard, some at a time, in no order. Raises nothing."""
    some: list[Found] = []
    try:
        with os.scandir(shard) as entries:
            for entry in entries:
                found = _found(entry, shard.name, failed, weight)
                if found is not None:
                    some.append(found)
                if len(some) >= _BATCH:
                    yield some
                    some = []
    except OSError as error:
        failed(error)
    yield some


def _found(entry: os.DirEntry[str], shard: str, failed: Failed, weight: Weight) -> Found | None:
    if not entry.name.startswith(shard) or not is_ours(entry.name):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        failed(error)
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, entry.name, weight(status.st_size)


def size_of(path: str, weight: Weight = weight_on_disk) -> int | None:
    """The size of the regular file at `path`; None if there is none. Raises `OSError`."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return weight(status.st_size) if stat.S_ISREG(status.st_mode) else None


def total_size(directory: Path, weight: Weight, failed: Failed) -> int:
    """Of all files in a directory of few. Raises nothing."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    total += weight(entry.stat(follow_symlinks=False).st_size)
                except FileNotFoundError:
                    continue
    except OSError as error:
        failed(error)
    return total


def sweep(directory: Path, older: float, now: float, failed: Failed) -> Iterator[bool]:
    """Removes what dead writers left and nobody wrote to for `older` seconds; a bool for each file.

    `now` is seconds since the epoch. Raises nothing.
    """
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield _swept(entry.path, now - older, failed)
    except OSError as error:
        failed(error)


def _swept(path: str, before: float, failed: Failed) -> bool:
    try:
        return _is_old(os.lstat(path), before) and _removed_if_free(path, before)
    except FileNotFoundError:
        return False
    except OSError as error:
        failed(error)
        return False


def _is_old(status: os.stat_result, before: float) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_mtime < before


def _removed_if_free(path: str, before: float) -> bool:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been written to, or another have taken its name, until it was locked.
        ours, there = os.fstat(descriptor), os.lstat(path)
        if not _is_old(ours, before) or not os.path.samestat(ours, there):
            return False
        os.unlink(path)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)

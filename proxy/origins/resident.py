"""Whether bytes of a file are in memory, asked without reading them.

What is not would make whoever sends or reads it wait for a disk. Measured for each MiB: cachestat
takes 1 µs, looking at a byte of each 256 KiB 7 µs, reading all of it 90 µs.

cachestat (Linux 6.5) counts pages, those that are still on their way from the disk too. So where
it says that all are there, a few bytes are read without waiting, since pages come in runs. Where
it can't be asked, or knows of no page at all (overlayfs keeps them elsewhere), everything is read
without waiting.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import Any

# 0 where the system has no such thing; then nothing is taken to be in memory.
NO_WAIT = getattr(os, "RWF_NOWAIT", 0)
_RUN = 256 * 1024
# The same where much is asked about: then whatever is on its way is its end, or a gap in it.
_LONG_RUN = 1024 * 1024
_SCRATCH = 256 * 1024
_BROUGHT = 1024 * 1024  # by one read in a thread
_CACHESTAT = 451  # on every architecture


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Counts(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("cached", "dirty", "written_back", "evicted", "recently_evicted")
    )


class PageCache:
    """Asks the kernel. For one thread, the event loop's; `counts`: whether to try cachestat."""

    def __init__(self, *, counts: bool = True) -> None:
        self._call = _system_call() if counts else None
        self._range, self._counts = _Range(), _Counts()
        self._byte = [bytearray(1)]
        self._scratch = memoryview(bytearray(_SCRATCH))

    def holds(self, number: int, offset: int, count: int, *, surely: bool = False) -> bool:
        """Whether these bytes of an open file can be had without waiting.

        False too if the file ends before, or nobody knows. `surely`: reads them all, where a disk
        is at work and may not have brought what is counted already.
        """
        cached = 0 if surely else self._cached(number, offset, count)
        if cached:
            return cached >= _pages(offset, count) and self._samples(number, offset, count)
        return self._all(number, offset, count)

    def holds_much(self, number: int, offset: int, count: int) -> bool:
        """As `holds`, of so much that it could not all be read; false too where it can't be told
        otherwise."""
        all_cached = self._cached(number, offset, count) >= _pages(offset, count)
        return all_cached and self._samples(number, offset, count, _LONG_RUN)

    def _cached(self, number: int, offset: int, count: int) -> int:
        """How many pages are there; 0 if it can't be told."""
        if self._call is None:
            return 0
        self._range.offset, self._range.length = offset, count
        failed = self._call(
            _CACHESTAT, number, ctypes.byref(self._range), ctypes.byref(self._counts), 0
        )
        return 0 if failed else int(self._counts.cached)

    def _samples(self, number: int, offset: int, count: int, run: int = _RUN) -> bool:
        byte, last = self._byte, offset + count - 1
        if not NO_WAIT:
            return False
        try:
            for place in (*range(offset, last, run), last):
                if os.preadv(number, byte, place, NO_WAIT) != 1:
                    return False
        except OSError:
            return False
        return True

    def _all(self, number: int, offset: int, count: int) -> bool:
        for place in range(offset, offset + count, _SCRATCH):
            length = min(_SCRATCH, offset + count - place)
            if _read(number, [self._scratch[:length]], place) != length:
                return False
        return True


def _pages(offset: int, count: int) -> int:
    """How many pages these bytes lie in."""
    return (offset + count - 1) // mmap.PAGESIZE - offset // mmap.PAGESIZE + 1


def leave_to_threads(number: int) -> None:
    """Has the system read nothing ahead of its own accord, of an open file.

    It would do so within a read or a send of what is in memory, and handing 8 MiB to a busy disk
    was seen to take 15 ms. `bring` does it instead.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)


def bring(number: int, offset: int, count: int) -> bool:
    """Has the system read these bytes, which it then has in memory, and begin with those behind.

    Waits for the disk: for threads. False if the file ends before. Raises `OSError`.
    """
    buffer = memoryview(bytearray(min(count, _BROUGHT)))
    stop = offset + count
    while offset < stop:
        length = os.preadv(number, [buffer[: stop - offset]], offset)
        if not length:
            return False
        offset += length
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(number, stop, 2 * count, os.POSIX_FADV_WILLNEED)
    return True


def _read(number: int, into: list[Any], offset: int) -> int:
    """Reads without waiting; 0 where that can't be."""
    if not NO_WAIT:
        return 0
    try:
        return os.preadv(number, into, offset, NO_WAIT)
    except OSError:
        return 0


def _system_call() -> Callable[..., int] | None:
    """The C library's `syscall`, or None. It keeps Python's lock: 1 µs is not worth a change."""
    try:
        call = ctypes.PyDLL(None).syscall if os.uname().sysname == "Linux" else None
    except (OSError, AttributeError):
        return None
    if call is not None:
        call.argtypes = (ctypes.c_long, ctypes.c_long, *[ctypes.c_void_p] * 2, ctypes.c_long)
    return call


page_cache = PageCache()

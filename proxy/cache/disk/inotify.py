"""Linux's inotify, by ctypes: watches on files and directories, and what happened to them.

Only the calls and their bytes; who wants to know what is `watching`'s. Where the operating system
has no inotify, or no instance to spare, `Inotify()` raises `OSError`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# linux/inotify.h
MODIFY = 0x0002
ATTRIBUTES = 0x0004
CLOSE_WRITE = 0x0008
MOVED_FROM = 0x0040
MOVED_TO = 0x0080
CREATE = 0x0100
DELETE = 0x0200
DELETE_SELF = 0x0400
MOVE_SELF = 0x0800
OVERFLOW = 0x4000
IGNORED = 0x8000
ONLY_DIRECTORIES = 0x01000000

_EVENT = struct.Struct("iIII")
# Bytes for one read: a thousand events with the names of slices.
_READ = 1 << 16


class RawEvent(NamedTuple):
    """What the kernel says. `name` is empty but for what happened inside a watched directory."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One instance. `fileno` is readable when there is something to `read`. `close` when done."""

    def __init__(self) -> None:
        """Raises `OSError`."""
        self._descriptor = -1
        try:
            self._library = ctypes.CDLL(None, use_errno=True)
            flags = os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = self._checked(self._library.inotify_init1(flags))
        except AttributeError:
            raise OSError(errno.ENOSYS, "this operating system has no inotify") from None

    def fileno(self) -> int:
        """The descriptor, for who waits until it is readable."""
        return self._descriptor

    def close(self) -> None:
        """Ends all watches. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def add(self, path: Path, mask: int) -> int:
        """Watches what is at `path`; a file has one number, by any path. Raises `OSError`."""
        encoded = os.fsencode(path)
        return self._checked(self._library.inotify_add_watch(self._descriptor, encoded, mask), path)

    def remove(self, watch: int) -> None:
        """Ends a watch. One that is gone already, with its file, is no fault."""
        self._library.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> list[RawEvent]:
        """What happened since; empty if nothing did. Raises `OSError`."""
        try:
            return list(_events(os.read(self._descriptor, _READ)))
        except BlockingIOError:
            return []

    @staticmethod
    def _checked(result: int, path: Path | None = None) -> int:
        if result >= 0:
            return result
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else str(path))


def _events(data: bytes) -> Iterator[RawEvent]:
    place = 0
    while place < len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, place)
        place += _EVENT.size
        name = data[place : place + length].rstrip(b"\0")
        place += length
        yield RawEvent(watch, mask, os.fsdecode(name))

"""Who of several processes does a piece of work: whoever holds the lock on its temporary file.

Everything here is for threads, and everything is the kernel's: a process that is killed leaves its
lock, and whoever looked on takes over. A claim is on a name; the file `tmp/NAME` is locked with
flock by who has it, and written to from its start, so that others can follow. It ends by being
renamed to where it belongs, or by being unlinked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy.origins.threads import Descriptor

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# Between opening and locking a file it may be renamed or unlinked; then there is another.
_TRIES: Final = 16
# As many buffers as the kernel takes in one call.
_MOST_BUFFERS: Final = 512


@dataclass(slots=True)
class Claim:
    """An open file of this name, and whether it is ours to write.

    Who is given one calls `close` in the end, on the event loop; a thread that still works on the
    file ends that first. One that is ours and neither published nor withdrawn leaves an unlocked
    file, which the next one to claim it takes over.
    """

    path: str
    descriptor: Descriptor
    mine: bool
    _name_is_ours: bool = True
    _renaming: threading.Lock = field(default_factory=threading.Lock)

    def write(self, buffers: Sequence[bytes]) -> None:
        """Writes all buffers behind what is there; raises OSError, for want of room among
        others."""
        with self.descriptor.in_use() as number:
            write_all(number, buffers)

    def read(self, length: int, position: int) -> bytes:
        """At most so many bytes that are there."""
        with self.descriptor.in_use() as number:
            return os.pread(number, length, position)

    def publish(self, path: str) -> None:
        """Syncs the file and puts it where it belongs, in place of an older one if there is one.

        Raises OSError, also where it was withdrawn while a slow disk synced it: the name in `tmp/`
        may be another's by then.
        """
        with self.descriptor.in_use() as number:
            os.fdatasync(_open(number))
            with self._renaming:
                if not self._name_is_ours:
                    raise OSError(errno.ECANCELED, "it was withdrawn", self.path)
                os.rename(self.path, path)
                self._name_is_ours = False

    def withdraw(self) -> None:
        """Takes the file away: what was to be done is not. Only while it is locked is it ours."""
        with self.descriptor.in_use() as number, self._renaming:
            if number >= 0 and self._name_is_ours:
                self._name_is_ours = False
                _unlink(self.path)

    def is_locked(self) -> bool:
        """Whether another still has it."""
        with self.descriptor.in_use() as number:
            if not _lock(_open(number), fcntl.LOCK_SH):
                return True
            fcntl.flock(number, fcntl.LOCK_UN)
            return False

    def close(self) -> None:
        """Closes it, and with it the lock. Safe to call twice."""
        self.descriptor.close()


def claim(path: str) -> Claim:
    """Opens the temporary file of a name, and locks it if nobody else has; then it is empty.

    Raises OSError where files can't be made.
    """
    for _ in range(_TRIES):
        number = os.open(path, _FLAGS, 0o600)
        try:
            mine = _lock(number, fcntl.LOCK_EX)
            if not _is_at(number, path):
                os.close(number)
                continue
            if mine:
                os.ftruncate(number, 0)
        except BaseException:
            os.close(number)
            raise
        return Claim(path, adopted(number), mine)
    raise OSError(0, "it is renamed again and again", path)


def _open(number: int) -> int:
    """The same; raises OSError for -1, for which some calls raise ValueError."""
    if number < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return number


def _lock(number: int, kind: int) -> bool:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(number: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(number)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def adopted(number: int) -> Descriptor:
    """A place for an open descriptor."""
    descriptor = Descriptor()
    descriptor.adopt(number)
    return descriptor


def write_all(number: int, buffers: Sequence[bytes]) -> None:
    """Writes all buffers at the file's position."""
    rest: list[bytes | memoryview] = [buffer for buffer in buffers if buffer]
    while rest:
        written = os.writev(number, rest[:_MOST_BUFFERS])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = memoryview(rest[0])[written:]


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

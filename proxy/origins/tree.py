"""A tree of files that can't be left: from a key to an open descriptor below the root.

The system resolves the whole path in one call, and then is asked what it really opened; only
that answer counts. Looking first and opening later would leave time to swap a link in between,
and walking segment by segment without following links would mean resolving links ourselves. What a
link outside leads to may so be opened for an instant, but nothing of it is given to anybody.
Everything here blocks: it is for threads. Errors of the system become faults here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from proxy.errors import (
    Fault,
    NotFound,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    StartError,
)

Links = Literal["inside", "never", "anywhere"]
# Reads from a descriptor, an offset on, so many bytes: `HotReader.read`.
Read = Callable[[int, int, int], bytes | None]

# Nonblocking, or opening a FIFO waits for its writer; no controlling terminal from a device.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# Where there is O_PATH, looking at something needs no right to read it, and wakes no device.
_LOOK = getattr(os, "O_PATH", _READ) | os.O_CLOEXEC
# Linux puts it behind the path of a file that was unlinked or replaced since it was opened.
_UNLINKED = b" (deleted)"

_NO_SUCH_FILE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENXIO,  # a socket, or a device nobody drives
    errno.ENODEV,
    errno.EINVAL,  # a name this file system can't have
    errno.EILSEQ,
}
_BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE}


class Tree:
    """The files below `root`, which is looked up anew each time: a link to a release may move.

    `links`: which symbolic links are followed, those that end inside the root, none, or all.
    `show_hidden`: whether segments may begin with a dot.
    """

    def __init__(self, root: Path, links: Links, *, show_hidden: bool) -> None:
        self._root = root
        self._below = os.fsencode(root) + b"/"
        self._links = links
        self.show_hidden = show_hidden

    def check(self) -> None:
        """Raises `StartError` if the root is no directory that can be read."""
        where = f"the root directory {str(self._root)!r}"
        try:
            with os.scandir(self._root) as entries:
                next(entries, None)
        except OSError as error:
            raise StartError(f"{where} can't be read: {error.strerror}") from None
        try:
            os.close(self._open(b".", _LOOK | os.O_DIRECTORY))
        except OSError as error:
            raise StartError(
                f"{where}: can't tell where a link leads ({error.strerror}): mount /proc, or set "
                'follow_symlinks = "anywhere"'
            ) from None

    def path_of(self, key: str) -> bytes:
        """The relative path that a key means; raises `NotFound` for one that can't be a file."""
        segments = key.split("/")
        if "\0" in key or not {"", ".", ".."}.isdisjoint(segments):
            raise NotFound(f"{key!r} can't name a file")
        if not self.show_hidden and any(segment.startswith(".") for segment in segments):
            raise NotFound(f"{key!r} is hidden")
        try:
            return key.encode()
        except UnicodeEncodeError:
            raise NotFound(f"{key!r} is not UTF-8") from None

    def open_file(self, path: bytes) -> tuple[int, os.stat_result]:
        """A descriptor of a regular file, to be closed by the caller, and what is known of it."""
        with _translated(path):
            number = self._open(path, _READ)
            try:
                return number, _regular(number, path)
            except BaseException:
                os.close(number)
                raise

    def open_again(self, path: bytes, identity: tuple[int, ...]) -> int | None:
        """A descriptor of the very file that `open_file` gave a moment ago, if the path still leads
        to it and it is as it was (`identity_of`); else None. Where it lies is not asked again."""
        try:
            number = os.open(self._below + path, _READ)
        except OSError:
            return None
        try:
            same = identity_of(os.fstat(number)) == identity
        except OSError:
            same = False
        if not same:
            os.close(number)
            return None
        return number

    def read_again(self, path: bytes, identity: tuple[int, ...], by: Read) -> bytes | None:
        """All bytes of the very file that `open_file` gave a moment ago, if the path still leads to
        it, and it is as it was; else None. `by` reads them, of what is in memory only. Whether it
        is that file is asked once they have been read: so they are of one version, too."""
        try:
            number = os.open(self._below + path, _READ)
        except OSError:
            return None
        try:
            body = by(number, 0, identity[_SIZE])
            same = identity_of(os.fstat(number)) == identity
        except OSError:
            return None
        finally:
            os.close(number)
        return body if same and body is not None and len(body) == identity[_SIZE] else None

    @contextmanager
    def opened_directory(self, path: bytes) -> Iterator[int]:
        """A descriptor of a directory; `b""` is the root. Translates errors of the block too."""
        with _translated(path):
            number = self._open(path or b".", _READ | os.O_DIRECTORY)
            try:
                yield number
            finally:
                os.close(number)

    def look(self, path: bytes) -> os.stat_result | None:
        """What is known of whatever `path` leads to; None if nothing that may be seen."""
        try:
            number = self._open(path, _LOOK)
        except (OSError, NotFound):
            return None
        try:
            return os.fstat(number)
        finally:
            os.close(number)

    def _open(self, path: bytes, flags: int) -> int:
        try:
            root = os.open(self._root, _LOOK | os.O_DIRECTORY)
        except OSError as error:
            # Not the key's fault, so never a 404: a file system that is not mounted just now.
            raise OriginUnavailable(f"the root {str(self._root)!r}: {error.strerror}") from None
        try:
            number = os.open(path, flags, dir_fd=root)
            try:
                if self._links != "anywhere":
                    self._check_place(_real_path(root), path, _real_path(number))
            except BaseException:
                os.close(number)
                raise
        finally:
            os.close(root)
        return number

    def _check_place(self, base: bytes, path: bytes, real: bytes) -> None:
        """Raises `NotFound` if what was opened lies elsewhere than the policy allows."""
        inside = base.rstrip(b"/") + b"/"
        if path == b".":
            allowed = real == base
        elif self._links == "inside":
            allowed = real.startswith(inside)
        else:
            allowed = real in (inside + path, inside + path + _UNLINKED)
        if not allowed:
            raise NotFound(f"{os.fsdecode(path)!r} leads by a link to where it may not")


def _real_path(number: int) -> bytes:
    if sys.platform == "darwin":
        return fcntl.fcntl(number, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")
    return os.readlink(b"/proc/self/fd/%d" % number)


def identity_of(known: os.stat_result) -> tuple[int, ...]:
    """What differs once a file was replaced, written to or given other rights."""
    return (
        known.st_dev,
        known.st_ino,
        known.st_mode,
        known.st_size,
        known.st_mtime_ns,
        known.st_ctime_ns,
    )


# Where the size stands in it.
_SIZE: Final = 3


def _regular(number: int, path: bytes) -> os.stat_result:
    known = os.fstat(number)
    if not stat.S_ISREG(known.st_mode):
        raise NotFound(f"{os.fsdecode(path)!r} is not a regular file")
    return known


@contextmanager
def _translated(path: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise fault_of(error, os.fsdecode(path)) from None


def fault_of(error: OSError, name: str) -> Fault:
    """The fault that an error of the system means when `name` was opened."""
    detail = f"{name!r}: {error.strerror}"
    if error.errno in _NO_SUCH_FILE:
        return NotFound(detail)
    if error.errno in (errno.EACCES, errno.EPERM):
        return OriginRefused(detail)
    if error.errno in _BUSY:
        return OriginUnavailable(detail)
    if error.errno == errno.ETIMEDOUT:
        return OriginTimeout(detail)
    return OriginFault(detail)

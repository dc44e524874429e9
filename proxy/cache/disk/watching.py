"""Who is told when files change: a reader that waits for one being written, and the janitor.

What is told is a reason to look, never the truth: events are merged, and a file may have changed
again since. So nobody has to tell a late event from an early one. The kernel sends them, which is
sure even when a writer is killed: its files are closed by the kernel. Where the kernel can't (other
systems, all instances or watches taken), `FileWatcher` tells its readers to look every 20 ms, and
`DirectoryWatch.open` gives None. Both say so in the log.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from proxy.cache.disk import inotify
from proxy.cache.disk.inotify import Inotify

logger = logging.getLogger(__name__)

# Seconds between two looks at a file that the kernel doesn't watch for us.
LOOK_EVERY = 0.02


class Change(enum.Flag):
    """What happened to a file; several may have, in any order.

    LOOK: it is not known, anything may have.
    """

    NOTHING = 0
    WRITTEN = enum.auto()
    CLOSED = enum.auto()
    MOVED = enum.auto()
    GONE = enum.auto()
    LOOK = enum.auto()


# A file that is still open and loses its name only changes its attributes: the number of links.
_CHANGES = (
    (inotify.MODIFY, Change.WRITTEN),
    (inotify.CLOSE_WRITE, Change.CLOSED),
    (inotify.MOVE_SELF, Change.MOVED),
    (inotify.ATTRIBUTES | inotify.DELETE_SELF | inotify.IGNORED, Change.LOOK),
)
_FILE_MASK = (
    inotify.MODIFY
    | inotify.CLOSE_WRITE
    | inotify.MOVE_SELF
    | inotify.ATTRIBUTES
    | inotify.DELETE_SELF
)


class Changes:
    """The changes of one file for one reader, from when `FileWatcher.watching` was entered."""

    def __init__(self, path: Path, *, watched: bool) -> None:
        self._path = path
        self._watched = watched
        self._happened = Change.NOTHING
        self._event = asyncio.Event()

    def happened(self, change: Change) -> None:
        """Takes a change in; whoever waits is woken."""
        self._happened |= change
        self._event.set()

    async def next(self, seconds: float) -> Change:
        """What happened since the last call, waiting up to `seconds` for it; NOTHING if nothing.

        LOOK comes with GONE when nothing is at the path any more.
        """
        if not self._event.is_set():
            if not self._watched:
                await asyncio.sleep(min(seconds, LOOK_EVERY))
                self.happened(Change.LOOK)
            try:
                async with asyncio.timeout(seconds):
                    await self._event.wait()
            except TimeoutError:
                return Change.NOTHING
        return self._take()

    def _take(self) -> Change:
        happened, self._happened = self._happened, Change.NOTHING
        self._event.clear()
        if Change.LOOK in happened and not os.path.lexists(self._path):
            happened |= Change.GONE
        return happened


class FileWatcher:
    """Watches files for readers on one event loop. `close` there, when no reader is left."""

    def __init__(self) -> None:
        self._readers: dict[int, list[Changes]] = {}
        self._inotify: Inotify | None = None
        self._began = False
        self._warned = False

    @property
    def watched(self) -> int:
        """How many files the kernel watches for us."""
        return len(self._readers)

    def close(self) -> None:
        """Lets the kernel's instance go; readers that are left are told to look."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
        for readers in self._readers.values():
            for reader in readers:
                reader.happened(Change.LOOK)
        self._readers.clear()

    @asynccontextmanager
    async def watching(self, path: Path) -> AsyncIterator[Changes]:
        """The changes of the file that is at `path` now, until the block is left.

        Look at the file once after entering: what happened before is not told. If nothing is there,
        that is the first change. All who watch one file share one watch of the kernel.
        """
        watch = self._add(path)
        changes = Changes(path, watched=watch is not None)
        if watch is None:
            yield changes
            return
        if watch < 0:
            changes.happened(Change.LOOK)
            yield changes
            return
        self._readers.setdefault(watch, []).append(changes)
        try:
            yield changes
        finally:
            self._leave(watch, changes)

    def _add(self, path: Path) -> int | None:
        """The kernel's number of the watch; -1 if nothing is there, None if it can't watch it."""
        try:
            if not self._began:
                self._begin()
            return None if self._inotify is None else self._inotify.add(path, _FILE_MASK)
        except (FileNotFoundError, NotADirectoryError):
            return -1
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning(
                    "the kernel doesn't watch the cache's files for us (%s): readers look every"
                    " %d ms; raise fs.inotify.max_user_instances or max_user_watches",
                    error.strerror,
                    LOOK_EVERY * 1000,
                )
            return None

    def _begin(self) -> None:
        self._began = True
        opened = Inotify()
        asyncio.get_running_loop().add_reader(opened.fileno(), self._read, opened)
        self._inotify = opened

    def _leave(self, watch: int, changes: Changes) -> None:
        readers = self._readers.get(watch, [])
        if changes in readers:
            readers.remove(changes)
            if not readers:
                del self._readers[watch]
                if self._inotify is not None:
                    self._inotify.remove(watch)

    def _read(self, opened: Inotify) -> None:
        for event in opened.read():
            if event.mask & inotify.OVERFLOW:
                for readers in self._readers.values():
                    _tell(readers, Change.LOOK)
                continue
            change = Change.NOTHING
            for bits, one in _CHANGES:
                if event.mask & bits:
                    change |= one
            _tell(self._readers.get(event.watch, []), change)


def _tell(readers: list[Changes], change: Change) -> None:
    for reader in readers:
        reader.happened(change)


class Happened(NamedTuple):
    """What happened in a watched directory: `name` appeared there (whole, or anew), or is gone."""

    directory: Path
    name: str
    appeared: bool


class Batch(NamedTuple):
    """What happened, in order. `lost`: more happened that isn't told; look at everything."""

    happened: list[Happened]
    lost: bool


_APPEARED = inotify.MOVED_TO | inotify.CLOSE_WRITE | inotify.CREATE
_GONE = inotify.MOVED_FROM | inotify.DELETE
_DIRECTORY_ITSELF = inotify.DELETE_SELF | inotify.MOVE_SELF


class DirectoryWatch:
    """Watches directories, for one thread that reads. `close` when done."""

    def __init__(self, opened: Inotify, directories: dict[int, Path]) -> None:
        self._inotify = opened
        self._directories = directories

    @classmethod
    def open(cls, directories: Sequence[Path]) -> DirectoryWatch | None:
        """Watches from now on. None if the kernel can't; the log says why."""
        try:
            opened = Inotify()
        except OSError as error:
            _warn(error)
            return None
        try:
            mask = _APPEARED | _GONE | _DIRECTORY_ITSELF | inotify.ONLY_DIRECTORIES
            return cls(opened, {opened.add(one, mask): one for one in directories})
        except OSError as error:
            opened.close()
            _warn(error)
            return None

    def close(self) -> None:
        """Ends all watches."""
        self._inotify.close()

    def read(self, seconds: float) -> Batch:
        """Waits up to `seconds` for something to happen. Raises `OSError`."""
        poll = select.poll()
        poll.register(self._inotify.fileno(), select.POLLIN)
        poll.poll(seconds * 1000)
        happened: list[Happened] = []
        lost = False
        for event in self._inotify.read():
            directory = self._directories.get(event.watch)
            if directory is None or not event.name:
                lost = True
            else:
                happened.append(Happened(directory, event.name, bool(event.mask & _APPEARED)))
        return Batch(happened, lost)


def _warn(error: OSError) -> None:
    logger.warning(
        "the kernel doesn't watch the cache's directories for us (%s): they are read again every"
        " few seconds; raise fs.inotify.max_user_instances or max_user_watches",
        error.strerror,
    )

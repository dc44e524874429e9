"""The slices and heads on disk: what `files` does in threads, with a time limit, and never in the
way.

A directory that is full, fails or hangs is left alone for a while, and whoever asks goes to the
origin: nothing here raises the directory's faults to a reader.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from proxy.cache.disk.claims import Claim, adopted
from proxy.cache.disk.files import CannotClaim, Files, Found
from proxy.cache.disk.format import Head, Label
from proxy.cache.disk.held import Held, TooSlow
from proxy.cache.disk.hits import HitTable
from proxy.cache.disk.resting import Rest
from proxy.cache.disk.stored import AT_ONCE, IF_IN_MEMORY, DamagedSlice, StoredSlice
from proxy.cache.disk.watching import FileWatcher
from proxy.cache.disk.writing import Writes
from proxy.errors import OriginFault, StartError
from proxy.origins.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")
Look = Callable[[str], Found | Claim | None]

logger = logging.getLogger("headgate")

# Seconds for one piece of file work. A disk that takes longer is slower than the origin.
PATIENCE: Final = 5.0
# Slices held open by one worker; a descriptor each.
MOST_OPEN: Final = 256
# Slices whose last bytes are being written and synced. With more of them the disk is slower than
# the origin, and the memory they take is in no budget: new ones are not written.
MOST_WRITTEN: Final = 16


@dataclass(slots=True)
class DiskCounts:
    """What happened so far, in one process."""

    damaged: int = 0
    written: int = 0
    written_bytes: int = 0
    failures: int = 0


class Disk:
    """The directory of one process. `start`, then `close`.

    Attributes:
        counts: what happened so far.
        files: the directory, for work in threads of one's own.
        writes: what is on its way to it.
    """

    def __init__(self, files: Files, watcher: FileWatcher, *, in_memory: bool = False) -> None:
        """`in_memory`: the directory is, so that no read of it waits."""
        self.files = files
        self._at_once = AT_ONCE if in_memory else IF_IN_MEMORY
        self._hits: HitTable | None = None
        self.counts = DiskCounts()
        self.writes = Writes()
        self._watcher = watcher
        self._threads = Threads(PATIENCE)
        self._open: OrderedDict[str, StoredSlice] = OrderedDict()
        self._dropping: dict[str, asyncio.Task[None]] = {}
        self._writing = 0
        self._rest = Rest(files.root)

    async def start(self) -> None:
        """Makes the directory ready; raises `StartError`."""
        root = self.files.root
        try:
            await self._threads.run(self.files.prepare)
            self._hits = await self._threads.take(HitTable.open, Path(root) / "hits")
        except OriginFault as fault:
            raise StartError(
                f"cache.directory {root!r} does not answer ({fault}): is its disk there, and fast "
                "enough?"
            ) from None

    @property
    def hits(self) -> HitTable:
        """Where reads are noted for whoever evicts; there once it is started."""
        if self._hits is None:
            raise StartError("the cache was not started")
        return self._hits

    # --- whether it can be used -----------------------------------------------------------------

    @property
    def resting(self) -> str:
        """Why nothing is written to it at the moment, or ""."""
        return self._rest.why

    def rest(self, error: BaseException, *, writing: bool = False) -> None:
        """Leaves the directory alone for a while; where only `writing` failed it is still read."""
        self.counts.failures += 1
        self._rest.begin(error, writing=writing and isinstance(error, OSError))

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the work gives, from a thread; None if the directory fails, which is then left
        alone."""
        try:
            return await self._threads.run(work, *args, **kwargs)
        except (OSError, OriginFault) as error:
            self.rest(error)
            return None

    # --- heads ----------------------------------------------------------------------------------

    async def read_head(self, object_: str) -> Head | None:
        """What is known of an object."""
        if self.resting:
            return None
        return await self.run(self.files.read_head, object_)

    async def write_head(self, object_: str, head: Head) -> None:
        """Keeps what is known of an object."""
        if self.resting:
            return
        try:
            await self.writes.run(self._threads, self.files.write_head, object_, head)
        except (OSError, OriginFault) as error:
            self.rest(error, writing=True)

    async def open_or_wait(self, object_: str) -> tuple[Head | None, Held] | None:
        """What is known of an object, and the claim on asking its origin; None where that can't be
        had, and then it is asked without."""
        if self.resting:
            return None
        try:
            opening = await self._threads.take(self.files.open_or_wait, object_)
        except (OSError, OriginFault) as error:
            self.rest(error)
            return None
        return opening.head, self._held(opening.claim)

    # --- slices ---------------------------------------------------------------------------------

    def opened(self, name: str) -> StoredSlice | None:
        """The slice if it is held open already."""
        found = self._open.get(name)
        if found is not None:
            self._open.move_to_end(name)
            self.hits.touch(name)
        return found

    def is_open(self, name: str) -> bool:
        """The same without counting."""
        return name in self._open

    async def look(self, name: str, label: Label) -> StoredSlice | Held | None:
        """The slice if it is there, else the claim on filling it, ours or another's.

        None where neither can be had. A directory that can't be written to is still read from.
        """
        if self._rest.is_unread:
            return None
        if name in self._dropping:  # what is damaged is not to be found again
            await asyncio.wait([self._dropping[name]])
        for _ in range(2):
            try:
                look: Look = self.files.look if self._may_write() else self.files.open_slice
                found = await self._threads.take(look, name)
            except DamagedSlice as damaged:
                self._note_damage(str(damaged))
                continue
            except CannotClaim as error:
                self.rest(error, writing=True)
                return None
            except (OSError, OriginFault) as error:
                self.rest(error)
                return None
            if found is None or isinstance(found, Claim):
                return None if found is None else self._held(found)
            stored = self._adopt(name, found)
            if stored.label == label:
                self.hits.touch(name)
                return stored
            await self.reject(name, stored)  # whole, but of something else: files were swapped
        return None

    def _may_write(self) -> bool:
        """Whether there is room for one more slice, and the disk keeps up with those before."""
        usage = self.hits.usage()
        full = bool(self.resting) or (usage is not None and usage.full)
        return not full and self._writing < MOST_WRITTEN

    async def reject(self, name: str, stored: StoredSlice) -> None:
        """Drops a slice that is whole and not what it has to be."""
        self.drop(name)
        self._note_damage(stored.path)
        await self.run(self.files.drop, stored.path)

    async def is_stored(self, names: list[str]) -> list[bool]:
        """Which of these slices are there, by a look at the directory; none while it fails."""
        if self._rest.is_unread:
            return [False] * len(names)
        found = await self.run(self.files.are_there, names)
        return [False] * len(names) if found is None else found

    async def finish(self, held: Held, name: str, label: Label, table: bytes) -> bool:
        """Writes what is left of a slice we filled, and lets everybody find it."""
        self._writing += 1
        try:
            with self.writes.noted():
                return await self._finish(held, name, label, table)
        finally:
            self._writing -= 1

    async def _finish(self, held: Held, name: str, label: Label, table: bytes) -> bool:
        try:
            rest = await held.settle()
            work = self.files.finish_slice
            await self.writes.run(self._threads, work, held.claim, name, rest, label, table)
        except TooSlow:
            await held.abandon()
            return False
        except (OSError, OriginFault) as error:
            self.rest(error, writing=True)
            await held.abandon()
            return False
        finally:
            held.close()
        self._rest.worked()
        self.counts.written += 1
        self.counts.written_bytes += label.length
        return True

    def drop(self, name: str) -> None:
        """Forgets an open slice; its readers may go on."""
        found = self._open.pop(name, None)
        if found is not None:
            found.close()

    def open_names(self) -> list[str]:
        """The slices that are held open."""
        return list(self._open)

    def close(self) -> None:
        """Closes all that is open. Work in threads that hangs is not waited for."""
        for task in self._dropping.values():
            task.cancel()
        while self._open:
            self._open.popitem()[1].close()
        self._threads.close()
        self._watcher.close()
        if self._hits is not None:
            self._hits.close()
            self._hits = None

    def _adopt(self, name: str, found: Found) -> StoredSlice:
        stored = StoredSlice(
            adopted(found.number),
            self.files.path(name),
            found.label,
            found.table,
            self._threads,
            lambda path: self._damage(name, path),
            lambda fault: self._fail(name, fault),
            at_once=self._at_once,
        )
        self.drop(name)
        self._open[name] = stored
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return stored

    def _damage(self, name: str, path: str) -> None:
        """A reader found a block that is not what was written: nobody else shall find it."""
        self.drop(name)
        self._note_damage(path)
        task = asyncio.get_running_loop().create_task(self.run(self.files.drop, path))
        self._dropping[name] = task
        task.add_done_callback(lambda _: self._dropping.pop(name, None))

    def _fail(self, name: str, fault: OriginFault) -> None:
        """A reader waited for the disk in vain: the next one does without."""
        self.drop(name)
        self.rest(fault)

    def _note_damage(self, path: str) -> None:
        self.counts.damaged += 1
        logger.error("cache: %s was damaged; it is dropped and will be fetched again", path)

    def _held(self, claim: Claim) -> Held:
        return Held(claim, self._threads, self._watcher)

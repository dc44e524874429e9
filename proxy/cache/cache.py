"""What the cached origins of a process share: memory, disk, and what is known of objects."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any, Final

from proxy.cache.disk.disk import Disk
from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Head
from proxy.cache.disk.watching import FileWatcher
from proxy.cache.filling.entry import Entries, Entry, Marks
from proxy.cache.filling.filling import Filler
from proxy.cache.filling.judging import Checks
from proxy.cache.memory.memory import Memory
from proxy.cache.options import CacheOptions
from proxy.cache.rules.purge import Purge
from proxy.cache.rules.standing import Presence
from proxy.cache.statistics import Bytes, Counts, Statistics, statistics_of
from proxy.cache.upkeep.janitor import Janitor, Limits
from proxy.semantics.representation import Representation

logger = logging.getLogger("headgate")

# Work in the background that waits at the same time; more is left undone, which costs no
# correctness.
MOST_BACKGROUND: Final = 256
# Seconds that writes to disk have to end before what they leave is removed.
_WRITES: Final = 5.0
# Purges are remembered while other processes are told of them and the disk is gone through, so that
# nothing from before them comes back.
_MOST_FENCES, _FENCE_SECONDS = 1000, 600.0


def _is_meant(entry: Entry, purge: Purge) -> bool:
    head = entry.head
    return purge.matches(head.origin, head.key, head.representation.tags)


class Cache:
    """The cache of one process. `start`, then `aclose`; made on the event loop it is used on.

    With `checks`, objects are compared with the store's checksum as soon as all slices have come.
    """

    def __init__(self, options: CacheOptions, checks: Checks | None = None) -> None:
        self.options = options
        self.memory = Memory(options.memory)
        self.entries = Entries()
        self.missing = Marks()
        self.passing = Marks()
        self.bytes = Bytes()
        self.counts = Counts()
        self.disk: Disk | None = None
        self.janitor: Janitor | None = None
        self.era = 0
        """How many purges there were: what was asked of an origin in an earlier one may be old."""
        if options.directory is not None:
            files = Files(options.directory)
            self.disk = Disk(files, FileWatcher(), in_memory=options.in_memory)
        self.filler = Filler(self.memory, self.disk, self.replaced, self.seal, checks)
        self._background: set[asyncio.Task[Any]] = set()
        self._removing: dict[str, asyncio.Task[None]] = {}
        self._fences: deque[tuple[float, Purge]] = deque(maxlen=_MOST_FENCES)
        self._doubtful = 0.0  # what was validated before has to be again: a fence was pushed out

    async def start(self) -> None:
        """Makes the directory ready; raises `StartError`."""
        if self.disk is not None:
            await self.disk.start()
            options = self.options
            limits = Limits(options.size, options.files, options.free, options.in_memory)
            self.janitor = Janitor(Path(self.disk.files.root), limits, self.disk.hits)
            self.janitor.start()

    async def aclose(self) -> None:
        """Ends all that is on its way and closes all that is open."""
        try:
            tasks = [*self._background, *self._removing.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.filler.aclose()
            if self.janitor is not None:
                await asyncio.to_thread(self.janitor.stop)
        finally:
            if self.janitor is not None:
                self.janitor.stop(wait=False)
            if self.disk is not None:
                self.disk.close()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Does something that nobody waits for; false if there is too much of it already."""
        if len(self._background) >= MOST_BACKGROUND:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return True

    # --- entries --------------------------------------------------------------------------------

    def adopt(self, entry: Entry) -> Entry:
        """From now on this is the version of its object; gives the entry to go on with. That is the
        one that is known already if it is of the same version: who reads it goes on as well."""
        if self.is_purged(entry.head, soft=True):
            entry.expire()  # it was asked for before a purge
        self.missing.discard(entry.name)
        known = self.entries.get(entry.name)
        if known is not None and known.version == entry.version:
            known.renew(entry)
            return known
        before = self.entries.put(entry)
        if before is not None:
            self._drop(before)
        return entry

    def replaced(self, entry: Entry) -> None:
        """A version is no more, or is not what it should be: nothing of it is given again."""
        self.entries.remove(entry)
        if not entry.dropped:
            self._drop(entry)

    def forget(self, name: str) -> None:
        """An object is no more."""
        entry = self.entries.get(name)
        if entry is not None:
            self.replaced(entry)

    def _drop(self, entry: Entry) -> None:
        entry.dropped = True
        self.discard_slices(entry)
        if self.disk is not None:
            before = self._removing.get(entry.name)
            work = self._remove_files(self.disk, entry, before)
            task = self._removing[entry.name] = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda _: self._removed(entry.name, task))

    def _removed(self, name: str, task: asyncio.Task[None]) -> None:
        if self._removing.get(name) is task:
            del self._removing[name]

    async def removed(self, name: str) -> None:
        """Waits until the files of versions that were dropped are gone, so that nobody takes them
        for the current one."""
        task = self._removing.get(name)
        if task is not None:
            await asyncio.wait([task])

    def discard_slices(self, entry: Entry) -> None:
        """Forgets the slices of a version that are in memory or open."""
        prefix = f"{entry.name}.{entry.version}."
        for name in [one for one in self.memory.names() if one.startswith(prefix)]:
            self.memory.discard(name)
        if self.disk is not None:
            for name in [one for one in self.disk.open_names() if one.startswith(prefix)]:
                self.disk.drop(name)

    async def _remove_files(
        self, disk: Disk, entry: Entry, before: asyncio.Task[None] | None
    ) -> None:
        """Removes a version's files, and the head if it is still this version's."""
        if before is not None:
            await asyncio.wait([before])
        await disk.writes.settled(_WRITES)
        await disk.run(disk.files.remove_version, entry.name, entry.version)

    # --- purging --------------------------------------------------------------------------------

    def is_purged(self, head: Head, *, soft: bool = False) -> bool:
        """Whether what is known of an object is from before a purge of it, a soft or a hard one."""
        while self._fences and self._fences[0][0] < time() - _FENCE_SECONDS:
            self._fences.popleft()
        if soft and head.validated <= self._doubtful:
            return True
        told = (head.origin, head.key, head.representation.tags)
        return any(
            head.validated <= at and purge.soft is soft and purge.matches(*told)
            for at, purge in self._fences
        )

    def purge(self, purge: Purge) -> int:
        """Purges what this process holds, and sees to it that nothing older comes back; how many
        objects that were. What is on disk is purged by `upkeep.sweeping`, once for all."""
        if len(self._fences) == _MOST_FENCES:
            self._doubtful = self._fences[0][0]
        self._fences.append((time(), purge))
        self.era += 1
        self.missing.clear()
        self.passing.clear()
        found = [entry for entry in self.entries if _is_meant(entry, purge)]
        for entry in found:
            if purge.soft:
                entry.expire()
            else:
                self.entries.remove(entry)
                entry.dropped = True
                self.discard_slices(entry)
        self.counts.purges += 1
        return len(found)

    async def settled(self, seconds: float) -> bool:
        """Waits until all writes to disk that are on their way have ended, so that a sweep finds
        what they left; false if some take longer."""
        return self.disk is None or await self.disk.writes.settled(seconds)

    def now_valid(
        self,
        entry: Entry,
        asked: float,
        representation: Representation | None = None,
        *,
        complete: bool = False,
    ) -> None:
        """As `Entry.now_valid`; what was asked before a purge makes nothing valid."""
        entry.now_valid(asked, representation, complete=complete)
        if self.is_purged(entry.head, soft=True):
            entry.expire()

    async def keep_head(self, entry: Entry) -> None:
        """Writes what is known of an object to disk, where it has slices or will have."""
        head = entry.head
        if self.disk is None or entry.dropped or self.is_purged(head):
            return
        if self.is_purged(head, soft=True):
            head = replace(head, validated=0.0)
        entry.on_disk = True
        await self.disk.write_head(entry.name, head)

    def seal(self, entry: Entry, sums: tuple[bytes, ...], algorithm: str) -> None:
        """All of a version was read once, and was what the store promised."""
        if entry.dropped or entry.head.seal is not None:
            return
        entry.head = replace(entry.head, seal=sums, sealed_by=algorithm)
        if entry.on_disk:
            self.spawn(self.keep_head(entry))

    # --- what is there --------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """What this process keeps and has done; takes no time."""
        told, fills = self.bytes, self.filler.counts
        usage = None if self.janitor is None else self.janitor.statistics()
        return statistics_of(
            self.options,
            len(self.entries),
            told,
            fills,
            self.counts.purges,
            self.memory,
            self.disk,
            usage,
        )

    def is_in_memory(self, entry: Entry, index: int) -> bool:
        """Whether a slice is in memory, all of it."""
        found = self.memory.peek(entry.slice_name(index))
        return found is not None and found.state == "whole"

    async def presence(self, entry: Entry, indexes: Sequence[int], begun: int | None) -> Presence:
        """Where slices of an entry are. Looks at the directory for those that are not at hand.

        `begun` is the slice that is being filled for the one who asks.
        """
        memory = disk = filling = 0
        unknown: list[str] = []
        for index in indexes:
            name = entry.slice_name(index)
            found = self.memory.peek(name)
            if found is not None:
                whole = found.state == "whole" and index != begun
                memory, filling = memory + whole, filling + (not whole)
            elif self.disk is not None and self.disk.is_open(name):
                disk += 1
            else:
                unknown.append(name)
        there = 0
        if unknown and self.disk is not None and entry.on_disk:
            there = sum(await self.disk.is_stored(unknown))
        own = int(begun is not None and begun in indexes)
        nowhere, disk = len(unknown) - there, disk + there
        if self.options.in_memory:
            memory, disk = memory + disk, 0
        return Presence(memory, disk, filling, nowhere, own)

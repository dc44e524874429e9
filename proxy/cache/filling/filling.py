"""Who fills a slice, and who follows: each is fetched once, however many ask.

Within a process the slices that are on their way are found in `Memory`; between processes, whoever
holds the lock on the slice's temporary file fills it. Deciding never waits, so that no state is
seen half changed; the filling itself is `fill`'s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from proxy.cache.disk.stored import StoredSlice
from proxy.cache.filling.entry import Entry
from proxy.cache.filling.fill import Fill, Means, is_sealed
from proxy.cache.memory.growing import Slice
from proxy.errors import OriginUnavailable
from proxy.origins.base import OpenObject, Origin

Source = Slice | StoredSlice

# Seconds that slices have to get to disk when all ends.
_TO_DISK: Final = 1.0


@dataclass(slots=True)
class Filler(Means):
    """Fills the slices of one process. `aclose` ends all that are on their way."""

    _looking: dict[str, asyncio.Task[Source | None]] = field(default_factory=dict)
    _filling: dict[str, Fill] = field(default_factory=dict)
    _closed: bool = False

    def known(self, entry: Entry, index: int) -> Source | None:
        """The slice if it is in memory, on its way, or open."""
        name = entry.slice_name(index)
        found = self.memory.get(name)
        if found is not None:
            if self.disk is not None:
                self.disk.hits.touch(name)
            return found
        return self.disk.opened(name) if self.disk is not None else None

    def whole_in_memory(self, entry: Entry, index: int) -> Slice | None:
        """The slice if it is in memory, all of it; then that counts as a use."""
        name = entry.slice_name(index)
        found = self.memory.peek(name)
        if found is None or found.state != "whole":
            return None
        self.memory.get(name)
        if self.disk is not None:
            self.disk.hits.touch(name)
        return found

    def keep_small(self, entry: Entry, index: int, found: StoredSlice, body: bytes) -> None:
        """Keeps all of a small slice in memory too, which was read from disk and is as it was
        written: who asks for it again gets it without a task, as from a fill."""
        name = entry.slice_name(index)
        is_current = self.disk is not None and self.disk.opened(name) is found
        if not is_current or entry.dropped or found.is_damaged or self.memory.peek(name):
            return
        made = self.memory.begin(name, len(body))
        if made is not None:
            made.add(body)
            made.was_read = True
            made.complete()
            self.memory.end(name, made)

    async def get(
        self,
        origin: Origin,
        entry: Entry,
        index: int,
        opened: OpenObject | None = None,
        *,
        spare: float = 0.0,
    ) -> Source | None:
        """The slice, or the beginning of one; None where there is no room to keep it.

        `opened` is an open object whose first read is this slice's; it is closed here or by the
        filling. Raises OriginUnavailable where all ends and the slice is not at hand.
        """
        name = entry.slice_name(index)
        found = self.known(entry, index)
        task = self._looking.get(name)
        if found is None and task is None and not self._closed:
            work = self._look(origin, entry, index, opened, spare)
            task = self._looking[name] = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda done: self._looked(name, done))
        elif opened is not None:
            await opened.aclose()
        if task is not None:
            return await self._result_of(task)
        if found is None:
            raise _closing()
        return found

    async def _result_of(self, task: asyncio.Task[Source | None]) -> Source | None:
        """What a look comes to. That all ends is no reason to cancel who waits for it."""
        await asyncio.wait([task])
        if task.cancelled():
            raise _closing()
        return task.result()

    def is_filling(self, entry: Entry, index: int) -> bool:
        """Whether the slice is on its way."""
        name = entry.slice_name(index)
        return name in self._looking or name in self._filling

    def let_go(self, name: str, found: Slice) -> None:
        """Somebody wants a slice of this name no more. One that nobody wants, and that has hardly
        begun, is given up; another one that has its name by now is not."""
        found.interest -= 1
        in_vain = found.interest <= 0 and not found.was_read and found.state == "growing"
        if in_vain and 2 * found.received < found.length:
            fill = self._filling.get(name)
            if fill is not None and fill.slice is found:
                fill.leave()

    async def aclose(self) -> None:
        """Ends all that is on its way; what has come as a whole has a moment to get to disk."""
        self._closed = True
        last = [one.task for one in self._filling.values() if one.slice.state == "whole"]
        if last:
            await asyncio.wait(last, timeout=_TO_DISK)
        while tasks := [*self._looking.values(), *(one.task for one in self._filling.values())]:
            await asyncio.sleep(0)  # each has begun by then, and cleans up after itself
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

    # --- finding out ----------------------------------------------------------------------------

    async def _look(
        self, origin: Origin, entry: Entry, index: int, opened: OpenObject | None, spare: float
    ) -> Source | None:
        name, held = entry.slice_name(index), None
        begun = False
        try:
            if self.disk is not None and not entry.dropped:
                found = await self.disk.look(name, entry.label_of(index))
                if isinstance(found, StoredSlice):
                    if is_sealed(entry, index, found.table):
                        return found
                    await self.disk.reject(name, found)
                    found = None
                held = found
            if entry.dropped:
                return None
            made = self.memory.begin(name, entry.length_of(index), spare=spare)
            if made is None:
                return None
            begun = True
            fill = self._filling[name] = Fill(self, origin, entry, index, made, held, opened)
            fill.task.add_done_callback(lambda _: self._ended(name, fill))
            return made
        finally:
            if not begun:
                if held is not None:
                    await held.abandon()
                if opened is not None:
                    await opened.aclose()

    def _looked(self, name: str, done: asyncio.Task[Source | None]) -> None:
        self._looking.pop(name, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told

    def _ended(self, name: str, fill: Fill) -> None:
        if self._filling.get(name) is fill:
            del self._filling[name]


def _closing() -> OriginUnavailable:
    return OriginUnavailable("the cache is being closed")

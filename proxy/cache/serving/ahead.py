"""The slices that are fetched before a reader comes to them.

The window opens as it takes bytes, so that who leaves after the first costs one slice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from proxy.cache.filling.entry import Entry
from proxy.cache.filling.filling import Filler
from proxy.cache.memory.growing import Slice
from proxy.errors import Fault
from proxy.origins.base import Origin
from proxy.semantics.representation import Span

# Who reads an object from its start to its end has one more slice fetched ahead for each so many
# bytes: four slices after 2 MiB.
_TAKEN_PER_SLICE: Final = 512 * 1024
# The share of memory that is not taken for what is read ahead.
_SPARE: Final = 0.5


@dataclass(slots=True)
class Window:
    """The slices that one read means to come to next, and has fetched already.

    At most `ahead` of them, and as far as `last`. Who asks for the `whole` mostly wants it; who
    asks for a range, as a player that seeks, may leave at any time, so that no more is fetched for
    it than about twice what it took.
    """

    filler: Filler
    origin: Origin
    entry: Entry
    ahead: int
    last: int
    whole: bool
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _wanted: dict[int, Slice] = field(default_factory=dict)
    _reached: tuple[int, int] = (-1, -1)

    def reach(self, index: int, taken: int) -> None:
        """The reader is at a slice, and has taken so many bytes."""
        begun = taken // _TAKEN_PER_SLICE
        wide = min(self.ahead, begun if self.whole or not begun else 1 + taken // self.entry.width)
        if (index, wide) == self._reached:
            return
        self._reached = (index, wide)
        for passed in [one for one in self._wanted if one < index]:
            self._let_go(passed)
        for ahead in range(index + 1, min(index + wide, self.last) + 1):
            if ahead not in self._tasks:
                work = self._fetch(ahead)
                self._tasks[ahead] = asyncio.get_running_loop().create_task(work)

    def close(self) -> None:
        """Wants nothing more."""
        for task in self._tasks.values():
            task.cancel()
        for index in list(self._wanted):
            self._let_go(index)

    async def _fetch(self, index: int) -> None:
        try:
            source = await self.filler.get(self.origin, self.entry, index, spare=_SPARE)
        except Fault:
            return  # whoever comes to it asks again
        if isinstance(source, Slice):
            source.interest += 1
            self._wanted[index] = source

    def _let_go(self, index: int) -> None:
        self.filler.let_go(self.entry.slice_name(index), self._wanted.pop(index))


def last_to_fetch(entry: Entry, span: Span) -> int:
    """The last slice that a read is likely to lead to: one more than its own, if it goes on where
    another one ended lately."""
    last = (span.stop - 1) // entry.width
    goes_on = span.start > 0 and span.start in entry.recent
    return min(last + 1, entry.slices - 1) if goes_on else last

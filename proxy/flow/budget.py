"""Memory for bodies on their way, of all transfers of a process together.

Each takes a share before its object is opened, and keeps of it what its body can hold at the most.
Where none is left a transfer waits, in the order of coming, behind no more than so many others and
no longer than so long; then it is refused, before anything was done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Final

from proxy.errors import Overloaded
from proxy.origins.waiting import Waiting

# What a transfer holds whose client has stopped: pieces that were read and not taken, and what is
# kept of it beside them.
SHARE: Final = 128 * 1024


@dataclass(slots=True, eq=False)
class _Waiter:
    count: int
    turn: asyncio.Future[None]


class Budget:
    """Bytes that may be taken, all together.

    Args:
        size: how many.
        most_waiting: how many may wait for some.
        patience: for how many seconds each may.
    """

    def __init__(self, size: int, most_waiting: int = 1024, patience: float = 2.0) -> None:
        self._size, self._most_waiting, self._patience = size, most_waiting, patience
        self._used = 0
        self._queue: deque[_Waiter] = deque()
        self._waits = self._full = self._late = 0
        self._seconds = 0.0

    def statistics(self) -> Waiting:
        """How full it is, in bytes, and who waits."""
        return Waiting(
            used=self._used,
            most=self._size,
            queued=len(self._queue),
            waits=self._waits,
            seconds=self._seconds,
            full=self._full,
            late=self._late,
        )

    def take(self, count: int) -> bool:
        """Takes so many bytes, if they are there and nobody waits for some."""
        if count and (self._queue or not self._has(count)):
            return False
        self._used += count
        return True

    async def wait(self, count: int) -> None:
        """Takes so many bytes when it is their turn. Raises `Overloaded` if that is too late, or
        too many wait already."""
        if len(self._queue) >= self._most_waiting:
            self._full += 1
            raise Overloaded(f"{len(self._queue)} requests wait for memory already")
        waiter = _Waiter(count, asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        self._waits += 1
        begun = monotonic()
        try:
            async with asyncio.timeout(self._patience):
                await waiter.turn
        except BaseException as error:
            self._leave(waiter)
            if not isinstance(error, TimeoutError):
                raise
            self._late += 1
            raise Overloaded(f"no memory came free in {self._patience:g} s") from None
        finally:
            self._seconds += monotonic() - begun

    def give_back(self, count: int) -> None:
        """Gives so many bytes back, and lets those go on who waited for them."""
        self._used -= count
        queue = self._queue
        while queue and (queue[0].turn.cancelled() or self._has(queue[0].count)):
            waiter = queue.popleft()
            if not waiter.turn.cancelled():  # else it has given up, but has not run yet
                self._used += waiter.count
                waiter.turn.set_result(None)

    def _has(self, count: int) -> bool:
        # One alone may always go, or what is larger than all of it would never come.
        return self._used + count <= self._size or not self._used

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.turn.done() and not waiter.turn.cancelled():  # its turn came too late for it
            self.give_back(waiter.count)
        else:
            with contextlib.suppress(ValueError):  # it may have been passed over already
                self._queue.remove(waiter)
            self.give_back(0)  # those behind it may need less

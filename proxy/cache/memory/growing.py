"""A slice in memory: it grows while it is filled, and any number of readers follow, each at its own
pace.

A reader holds a place in the slice, not its bytes: when the slice is dropped to make room, its
memory is free at once, and whoever still read it looks for the bytes elsewhere.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator
from typing import Final, Literal

from proxy.cache.disk.stored import SliceGone
from proxy.cache.rules.checking import BlockSums
from proxy.errors import Fault, OriginTimeout

# Seconds a follower waits for the next byte. Whoever fills gives up before; this is only a guard.
PATIENCE: Final = 120.0
# Given without letting others have a turn.
_TURN: Final = 1024 * 1024


class Slice:
    """What has come of one slice so far.

    Attributes:
        length: its whole length in bytes.
        received: how many of them have come.
        state: "growing", "whole", "failed" (`fault` says why), or "gone" when it was dropped.
        interest: how many requests read it or mean to.
        was_read: whether one did; else it was only fetched ahead.
        judged: it is compared with the store's checksum before it is called whole.
        judging: seconds that took.
        followed: it comes from another process's file, and is compared with what that says of it.
        table: the check values of its blocks, once all bytes have come.
    """

    __slots__ = (
        "_buffers",
        "_ends",
        "_sums",
        "_waiting",
        "fault",
        "followed",
        "interest",
        "judged",
        "judging",
        "length",
        "received",
        "state",
        "table",
        "was_read",
    )

    def __init__(self, length: int) -> None:
        self.length = length
        self.received = 0
        self.state: Literal["growing", "whole", "failed", "gone"] = "growing"
        self.fault: Fault | None = None
        self.interest = 0
        self.was_read = False
        self.judged = False
        self.judging = 0.0
        self.followed = False
        self.table = b""
        self._buffers: list[bytes] = []
        self._ends: list[int] = []
        self._sums = BlockSums()
        # In the order they came, as keys, so that who leaves is taken out at once.
        self._waiting: dict[asyncio.Future[None], None] = {}

    # --- for who fills it -----------------------------------------------------------------------

    def add(self, buffer: bytes) -> None:
        """Takes the next bytes, and lets all who wait for them go on."""
        self.received += len(buffer)
        self._sums.update(buffer)
        self._buffers.append(buffer)
        self._ends.append(self.received)
        if self.received == self.length:
            self.table = self._sums.table()
        self._wake()

    def complete(self) -> None:
        """All bytes have come, and are what they have to be."""
        self.state = "whole"
        self._wake()

    def fail(self, fault: Fault) -> None:
        """No more bytes will come; readers get what there is, and then the fault."""
        if self.state == "growing":
            self.state, self.fault = "failed", fault
            self._wake()

    def drop(self) -> None:
        """Forgets the bytes."""
        self.state = "gone"
        self._buffers, self._ends = [], []
        self._wake()

    def buffers_from(self, position: int) -> list[bytes]:
        """The bytes from a place on that is the end of a buffer, as they came."""
        return self._buffers[bisect_right(self._ends, position) :]

    # --- for readers ----------------------------------------------------------------------------

    async def read(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Bytes of the slice by their places in it, as they come.

        Raises SliceGone when it is dropped meanwhile, and the fault it failed with.
        """
        position, turn = start, 0
        while position < stop:
            if position >= self.received and self.state == "growing":
                turn = 0
                await self._next()
                continue
            if turn >= _TURN:
                turn = 0
                await asyncio.sleep(0)
                continue
            buffer = self._at(position, stop)
            position += len(buffer)
            turn += len(buffer)
            yield buffer

    def at_hand(self, start: int, stop: int) -> bytes | None:
        """The same bytes at once, of a slice that is whole; else None."""
        if self.state != "whole":
            return None
        pieces, position = [], start
        while position < stop:
            pieces.append(self._at(position, stop))
            position += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def settled(self) -> None:
        """Waits until it grows no more; raises the fault it failed with."""
        while self.state == "growing":
            await self._next()
        if self.fault is not None:
            raise self.fault

    def _at(self, position: int, stop: int) -> bytes:
        """What of a buffer is at a place."""
        if self.state == "gone":
            raise SliceGone
        if position >= self.received:
            raise self.fault or SliceGone
        number = bisect_right(self._ends, position)
        buffer, end = self._buffers[number], self._ends[number]
        begin = end - len(buffer)
        if begin == position and end <= stop:
            return buffer
        return buffer[position - begin : stop - begin]

    async def _next(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = None
        try:
            async with asyncio.timeout(PATIENCE):
                await waiting
        except TimeoutError:
            raise OriginTimeout(f"no byte of a slice came for {PATIENCE:g} s") from None
        finally:
            self._waiting.pop(waiting, None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for one in waiting:
            if not one.done():
                one.set_result(None)

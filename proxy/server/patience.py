"""How long a client may take for what it was offered, over all the waits of one response.

The stall timeout is the client's, not a piece's. Where the server tells how much the client took,
a clock that was seen to run without enough of that goes on over the next pieces: that the kernel
took one more, since it may hold more of this connection now, is nothing the client did. Only
waiting for the client counts, not what the origin takes in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from time import monotonic

from proxy.origins.lending import Piece, Stretch
from proxy.server.begun import Begun

# The stall timeout is for this much: a slow reader is not a stalled one, and a large buffer may
# take it several of them. With the default of 60 s the floor is 1.1 kB/s.
BYTES_PER_STALL = 64 * 1024

# What a client takes is seen in lumps. With half of that between two looks it is not given up, so
# that nobody is who takes all of it.
_PROGRESS = BYTES_PER_STALL // 2

# Parts of the timeout. What was taken is looked at as often as the first says. The clock is set
# anew no more often than the second, by which it is set later.
_LOOKS, _SLACK = 1 / 16, 3 / 64
# By up to this part it is later still, each by another. To give a reader up takes a millisecond,
# and of those that stopped together, as the streams of a connection do, few go in the same turn.
_SPREAD = 1 / 64


@dataclass(slots=True)
class Progress:
    """How far a response has come.

    `first_byte` is by `time.monotonic`, in seconds, or 0; so is `waiting_since`: when the client
    was offered bytes that it has not taken yet. `waited` is for how many seconds it was waited for
    before, where it did not take them at once. `taken_since` tells how many bytes it took since it
    was asked before (`proxy.server.zero_copy`); without it a large buffer may take several stall
    timeouts.
    """

    status: int = 0
    started: bool = False
    sent: int = 0
    complete: bool = False
    first_byte: float = 0.0
    waiting_since: float = 0.0
    waited: float = 0.0
    taken_since: Callable[[], int] | None = None


class Patience:
    """The clock of a client; `wait` raises `TimeoutError` when its time is over.

    Args:
        progress: what is known of the response; `waiting_since` and `waited` are kept here.
        stall_timeout: seconds in which the client must take 64 KiB.
    """

    __slots__ = (
        "_is_counted", "_limit", "_progress", "_remaining", "_since", "_stall_timeout", "_timer",
    )  # fmt: skip

    def __init__(self, progress: Progress, stall_timeout: float) -> None:
        self._progress, self._stall_timeout = progress, stall_timeout
        self._since = 0
        self._is_counted = False  # what it takes is, after it was asked for the first time
        self._remaining: float | None = None
        self._limit: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None

    def seconds_for(self, piece: Piece) -> float:
        """How long a piece may take; it gets more as it is taken, where that is told."""
        if isinstance(piece, Stretch) or self._progress.taken_since is not None:
            return self._stall_timeout
        return self._stall_timeout * max(1.0, len(piece) / BYTES_PER_STALL)

    async def wait(self, sending: Begun[None], seconds: float) -> None:
        """Waits for the kernel to take a piece, for so long or what is left of the clock."""
        begun = monotonic()
        if self._is_counted:
            self._count_taken()
        if self._remaining is None:
            self._since = 0
            later = _SLACK + random() * _SPREAD  # noqa: S311  # spreads the work
            self._remaining = seconds + self._stall_timeout * later
        try:
            async with asyncio.timeout(self._remaining) as self._limit:
                if self._progress.taken_since is not None:
                    self._look_later()
                await sending
                self._keep_what_is_left(self._limit)
        finally:
            self._limit = None
            if self._timer is not None:
                self._timer.cancel()
            self._progress.waited += monotonic() - begun

    def note(self, count: int) -> bool:
        """The client took so many bytes. Each time it is enough, its time begins anew.

        Returns whether it is enough.
        """
        self._since += count
        if self._since < _PROGRESS:
            return False
        now, progress = monotonic(), self._progress
        late = now - progress.waiting_since >= self._stall_timeout * _SLACK
        if late and self._limit is not None:
            self._since, progress.waiting_since = 0, now
            loop = asyncio.get_running_loop()
            self._limit.reschedule(loop.time() + self._stall_timeout * (1 + _SLACK))
        return True

    def _keep_what_is_left(self, limit: asyncio.Timeout) -> None:
        self._remaining = None
        if self._is_counted and not self._count_taken():
            now = asyncio.get_running_loop().time()
            self._remaining = max(0.0, (limit.when() or now) - now)

    def _look_later(self) -> None:
        """Asks now and then how much was taken; not where the client takes everything soon."""
        pause = self._stall_timeout * _LOOKS
        self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        taken = self._taken()
        if self._is_counted:  # else it is since another wait
            self.note(taken)
        self._is_counted = True
        self._look_later()

    def _count_taken(self) -> bool:
        """Whether the client has taken enough by now; then its next wait is a new one."""
        if not self.note(self._taken()):
            return False
        self._is_counted, self._remaining = False, None
        return True

    def _taken(self) -> int:
        return self._progress.taken_since() if self._progress.taken_since is not None else 0

"""One deadline of a connection, that is moved for every request and hardly ever met.

Its timer is only moved when it fires: a deadline that was put off since then costs nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

# Seconds that a timer may fire early: uvloop's clock has whole milliseconds.
_EARLY = 0.001


class Deadline:
    """What happens, and when, if nothing else does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._timer_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._expire: Callable[[], None] | None = None

    def set(self, seconds: float, expire: Callable[[], None]) -> None:
        """`expire` is called in so many seconds, instead of what was set before."""
        self._expire = expire
        self._at = self._loop.time() + seconds
        if self._at < self._timer_at:
            self._arm()

    def clear(self) -> None:
        """Nothing is called."""
        self._at, self._expire = math.inf, None

    def is_for(self, expire: Callable[[], None]) -> bool:
        """Whether this is what will be called."""
        return self._expire == expire

    def stop(self) -> None:
        """Nothing is called any more, and no timer is left."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, -math.inf

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, math.inf
        expire = self._expire
        if expire is None:
            return
        if self._loop.time() < self._at - _EARLY:
            self._arm()
        else:
            self.clear()
            expire()

"""How a thread works beside an event loop: in short stretches, and on through faults.

The interpreter runs one thread at a time, and what a thread does at a stretch delays every request.
So long work is cut into stretches of a millisecond with a sleep after each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

logger = logging.getLogger(__name__)

# Seconds of work, and of the sleep after it.
_STRETCH, _BREATH = 0.001, 0.001
# Seconds between two warnings; all faults are counted.
_WARN_EVERY = 60.0


class Pace:
    """The pace of one thread. `wait` sleeps so many seconds, or raises to end the work."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self.wait = wait
        self.errors = 0
        """Faults of the file system that were survived."""
        self._until = 0.0
        self._due: dict[str, float] = {}

    def breathe(self) -> None:
        """Lets other threads run, if this one has worked for long enough. Call it often."""
        if monotonic() > self._until:
            self.wait(_BREATH)
            self._until = monotonic() + _STRETCH

    def is_due(self, chore: str, every: float) -> bool:
        """Whether a chore's time has come, at first at once; then not for `every` seconds."""
        now = monotonic()
        if now < self._due.get(chore, 0.0):
            return False
        self._due[chore] = now + every
        return True

    def put_off(self, chore: str, seconds: float) -> None:
        """A chore's time comes in `seconds`."""
        self._due[chore] = monotonic() + seconds

    def failed(self, error: OSError) -> None:
        """Counts a fault, and says so in the log, but not too often."""
        self.errors += 1
        if self.is_due("warning", _WARN_EVERY):
            logger.warning("the cache's directory: %s", error)

"""File descriptors: how many there are, how many connections that allows, and one in reserve.

A process without descriptors can neither open a file nor accept a connection to refuse it. So
connections get only a part of them, and one is kept to be given up for the refusal.
"""

from __future__ import annotations

import os
import resource

# For the program itself: libraries, log, control channel, listeners, connections to a store.
_OWN = 64
# One connection and the file it sends, with a duplicate of the connection for the kernel to
# send to.
_PER_CONNECTION = 3
_FEWEST = 8


def raise_limit() -> None:
    """Lets this process have as many descriptors as it may (the hard limit)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            pass  # a system that allows less than it says


def most_connections(configured: int) -> int:
    """How many connections may be open at once; `configured` 0: as many as descriptors allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max(_FEWEST, (soft - _OWN) // _PER_CONNECTION)
    return min(configured, allowed) if configured else allowed


class Spare:
    """One descriptor that is held for when there is no other. `close` it in the end."""

    def __init__(self) -> None:
        self._number = -1
        self.take()

    def take(self) -> None:
        """Takes it again, if it can."""
        if self._number < 0:
            try:
                self._number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass

    def give(self) -> bool:
        """Gives it up for a moment; false if there is none."""
        if self._number < 0:
            return False
        os.close(self._number)
        self._number = -1
        return True

    def close(self) -> None:
        """Gives it up for good. Safe twice."""
        self.give()

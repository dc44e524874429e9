"""When a directory that is full or fails is left alone, and for how long.

What can't be written may still be read: a disk that is full, or that the kernel has made read-only
after a fault. One that can't be read, or hangs, is left alone altogether, since each who tries
would wait.
"""

from __future__ import annotations

import errno
import logging
from time import monotonic
from typing import Final

logger = logging.getLogger("headgate")

# Seconds a directory that failed is left alone: at first, and at the most.
_FIRST_REST, _LONGEST_REST = 5.0, 60.0
# Why a directory rests.
FULL: Final = "full"
FAILING: Final = "failing"
# What says that the directory is full, not that it is broken.
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Rest:
    """The rests of one directory, `root`."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._until = self._unread_until = 0.0
        self._seconds = _FIRST_REST
        self._why = ""

    @property
    def why(self) -> str:
        """Why nothing is written there at the moment, or ""."""
        return self._why if monotonic() < self._until else ""

    @property
    def is_unread(self) -> bool:
        """Whether nothing is read there either."""
        return monotonic() < self._unread_until

    def begin(self, error: BaseException, *, writing: bool) -> None:
        """Something failed; `writing` if it was only that, and did not hang.

        While the directory rests already, the rest is not longer for it.
        """
        full = isinstance(error, OSError) and error.errno in _FULL
        if not self.why:
            why = "it is full" if full else str(error) or type(error).__name__
            logger.warning(
                "cache: nothing is written to %s for %g s: %s", self._root, self._seconds, why
            )
            self._why = FULL if full else FAILING
            self._until = monotonic() + self._seconds
            self._seconds = min(2 * self._seconds, _LONGEST_REST)
        if not full and not writing:
            self._why, self._unread_until = FAILING, self._until

    def worked(self) -> None:
        """A slice was written: the next trouble is a first one again."""
        self._seconds = _FIRST_REST

    def end(self) -> None:
        """The directory is tried again at once."""
        self._until = self._unread_until = 0.0

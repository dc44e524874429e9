"""Flow-control windows (RFC 9113 §5.2 and §6.9): plain counts with their limits."""

from __future__ import annotations

MOST = 2**31 - 1  # §6.9.1
DEFAULT = 65_535  # §6.9.2
# Bytes; no less is sent at once while more is allowed.
_LEAST = 2**12


class WindowOverflow(Exception):
    """A window beyond 2^31 - 1: whose fault that is, and how grave, the caller knows."""


class Outflow:
    """How much we may send.

    Attributes:
        size: may be below zero after a change of settings (§6.9.2).
        full: the most it ever was.
    """

    __slots__ = ("full", "size")

    def __init__(self, size: int = DEFAULT) -> None:
        self.size = self.full = size

    def widen(self, by: int) -> None:
        """More may be sent, or less if `by` is negative; raises `WindowOverflow`."""
        size = self.size + by
        if size > MOST:
            raise WindowOverflow
        self.size = size
        self.full = max(self.full, size)

    def portion(self) -> int:
        """How much of what is allowed to send at once.

        A client widens its window when it has read half of it, as a rule. What is sent ends just
        there if it can, so that the one half comes while the client reads the other. With any other
        ends it would have to read more, and be done before we hear of it.
        """
        half = self.full // 2
        first = half - (self.full - self.size)
        return first if first >= _LEAST else self.size


class Inflow:
    """How much the client may send, and what to tell it when some of that was read.

    The window is told again only when half of it is due: one frame for many reads.
    """

    __slots__ = ("_half", "_left", "_read")

    def __init__(self, size: int = DEFAULT) -> None:
        self._half = size // 2
        self._left = size
        self._read = 0

    def take(self, size: int) -> bool:
        """So many bytes came; false when they are more than allowed."""
        self._left -= size
        return self._left >= 0

    def give_back(self, size: int) -> int:
        """So many bytes were read; returns the increment that should be told now, or 0."""
        self._read += size
        if self._read < self._half:
            return 0
        increment, self._read = self._read, 0
        self._left += increment
        return increment

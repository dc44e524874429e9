"""How much of what is on disk one reader is given at once. Pure.

Of small pieces a reader that stops holds less, but they cost more processor time: in clear over
HTTP/1.1 0.74 s a GiB with one block, 0.5 with two. So a piece has two only for a reader that has
been quick for a while, for longer than the kernel takes bytes for one that stopped at once.
"""

from __future__ import annotations

from typing import Final

from proxy.cache.rules.checking import BLOCK

_SMALL: Final = BLOCK
_LARGE: Final = 2 * BLOCK
# Bytes taken one after the other without a long wait. The kernel holds 512 KiB for a reader that
# stopped, and what its windows let through.
_QUICK: Final = 1024 * 1024
# Seconds for one piece: slower than 1.3 MB/s, and the processor time is no matter.
_LONG: Final = 0.05


class Pace:
    """Follows one read.

    Attributes:
        size: of the next piece, in bytes.
    """

    __slots__ = ("_quick", "size")

    def __init__(self) -> None:
        self.size = _SMALL
        self._quick = 0

    def took(self, count: int, seconds: float) -> None:
        """The reader came back for more so long after it was given so many bytes."""
        self._quick = 0 if seconds > _LONG else self._quick + count
        self.size = _LARGE if self._quick >= _QUICK else _SMALL

"""Bytes that are lent instead of read: an open file's, for the kernel to send without copying.

An open object may have `lend`. Layers pass it on where they need not see the bytes.
Why so: docs/decisions/0010-files-are-sent-without-copying.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from proxy.semantics.representation import Span

Fetch = Callable[[int, int], Awaitable[None]]


@dataclass(slots=True)
class Stretch:
    """`count` bytes of an open file from `offset` on, lent until its reader asks for more.

    Attributes:
        number: the descriptor.
        fetch: called with an offset and a count; waits until these bytes are in memory. Raises
            an `OriginFault` where they can't be had, as `OpenObject.read` does.
        copied: how many of them, the last, must be read. What is sent without being copied stays
            the file's until the client has it; behind so many copied bytes, that can be waited for,
            and has to be if there are any.
        was_cold: whether what lies before had to be fetched.
        taken: how many of the bytes were sent; noted by whoever sends them.
    """

    number: int
    offset: int
    count: int
    fetch: Fetch
    copied: int = 0
    was_cold: bool = False
    taken: int = 0

    def __len__(self) -> int:
        return self.count

    def fileno(self) -> int:
        """The descriptor, as of a file object."""
        return self.number


Piece = bytes | Stretch


class Lending(Protocol):
    """An open object that may lend what others must read."""

    def lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        """The span's bytes, as `OpenObject.read` gives them, some of them lent.

        The last are never lent: they are given when it is certain that those before were of
        this version.
        """
        ...


def can_lend(opened: object) -> bool:
    """Whether an open object has `lend`."""
    return getattr(opened, "lend", None) is not None  # isinstance would take 20 µs

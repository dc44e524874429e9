"""Whether a slice that goes past the cache is right, where all of its object is known to be.

What was checked once, or is being checked, is told to be so to the layers above, which check no
more: that has to hold for bytes too that there is no room to keep.
"""

from __future__ import annotations

from typing import Protocol

from proxy.cache.filling.entry import Entry
from proxy.cache.filling.judging import Checks, Sum
from proxy.cache.rules.checking import BlockSums, sum_of


class Proof(Protocol):
    """Takes a slice from its start to its end, and says whether it is right."""

    def update(self, buffer: bytes, /) -> None:
        """Takes the next bytes of the slice."""
        ...

    def holds(self) -> bool:
        """Whether all that was given is what it has to be; no more may follow."""
        ...


class _Sealed:
    """By the check values of the moment when it was checked."""

    def __init__(self, expected: bytes) -> None:
        self._sums = BlockSums()
        self._expected = expected
        self.update = self._sums.update

    def holds(self) -> bool:
        return sum_of(self._sums.table()) == self._expected


class _Promised:
    """By the store's checksum of an object of one slice."""

    def __init__(self, total: Sum, expected: bytes) -> None:
        self._total = total
        self._expected = expected
        self.update = total.update

    def holds(self) -> bool:
        return self._total.digest() == self._expected


def proof_of(entry: Entry, index: int, checks: Checks | None) -> Proof | None:
    """How a slice of an entry is proved right; None where nobody says that it is."""
    right = entry.right(index)
    if right is not None:
        return _Sealed(right)
    expected = checks.expected(entry) if checks is not None and entry.slices == 1 else None
    if checks is None or expected is None:
        return None
    return _Promised(checks.new_sum(expected.algorithm), expected.value)

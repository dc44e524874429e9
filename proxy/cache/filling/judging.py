"""Whether slices are, all together, what the store promised.

The sum of an object follows from its slices where it is a CRC, in whatever order they came; that of
an object of one slice is simply the slice's. So what was only ever read in ranges is known to be
right, too, as soon as all of it has come; and a range of a small object is checked before its last
byte is given. How to sum is for another room: this one is handed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.cache.filling.entry import Entry
from proxy.cache.rules.slices import slice_span
from proxy.semantics.representation import Algorithm, Checksum, Span


class Sum(Protocol):
    """A checksum of all that was given so far."""

    def update(self, buffer: bytes, /) -> None:
        """Takes the next bytes."""
        ...

    def digest(self) -> bytes:
        """The raw checksum."""
        ...


@dataclass(frozen=True, slots=True)
class Checks:
    """How checksums are made and put together; see `proxy.integrity`.

    Attributes:
        choose: the checksum of several to go by.
        new_sum: a checksum of nothing yet, by its algorithm.
        is_combinable: whether the sum of a whole follows from those of its parts; these are quick,
            the others take a thread.
        combine: that sum, of slices given by their place and their sum.
    """

    choose: Callable[[Sequence[Checksum]], Checksum | None]
    new_sum: Callable[[Algorithm], Sum]
    is_combinable: Callable[[Algorithm], bool]
    combine: Callable[[Algorithm, Iterable[tuple[Span, bytes]]], bytes]

    def expected(self, entry: Entry) -> Checksum | None:
        """What the slices of an entry can be compared with; None where there is nothing."""
        found = self.choose(entry.representation.checksums)
        if found is None or found.composite:
            return None
        return found if entry.slices == 1 or self.is_combinable(found.algorithm) else None

    def verdict(self, entry: Entry, expected: Checksum, index: int, digest: bytes) -> bool | None:
        """Notes a slice's sum; whether all are right, None while some have not come."""
        entry.sums[index] = digest
        if len(entry.sums) < entry.slices:
            return None
        if entry.slices == 1:
            return digest == expected.value
        size, width = entry.representation.size, entry.width
        parts = [(slice_span(one, size, width), digest) for one, digest in entry.sums.items()]
        return self.combine(expected.algorithm, parts) == expected.value

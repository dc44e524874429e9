"""Which whole parts a range lies in, and what they have to come to. Pure.

A range can't be compared with a checksum of the whole, but the parts it lies in can, each with its
own, where the store tells those.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from proxy.integrity.checksums import PartsSum, Sum, digest_of, new_sum
from proxy.semantics.representation import Checksum, PartSums, Span


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive bytes of an object that can be checked: whole parts of it, or all.

    Attributes:
        span: the bytes.
        expected: their checksum; a composite one is that of the parts' checksums.
        sizes: of the parts of a composite one, in bytes.
    """

    span: Span
    expected: Checksum
    sizes: tuple[int, ...] = ()

    def new_sum(self) -> Sum:
        """A checksum of nothing yet, to compare with `expected`."""
        if self.expected.composite:
            return PartsSum(self.expected.algorithm, self.sizes)
        return new_sum(self.expected.algorithm)


def stretch_over(parts: PartSums, spans: Iterable[Span], most_in_vain: int) -> Stretch | None:
    """The parts that the first of the spans lies in for which at most so many more bytes than
    those of the last one are read; None if that is so for none.

    The spans are of one range, the widest first, and the range itself comes last.
    """
    edges = (0, *accumulate(parts.sizes))
    wanted = list(spans)
    for span in wanted:
        first = bisect_right(edges, span.start) - 1
        after = bisect_right(edges, span.stop - 1)
        whole = Span(edges[first], edges[after])
        if whole.length - wanted[-1].length <= most_in_vain:
            digests = parts.digests[first:after]
            value = digest_of(parts.algorithm, b"".join(digests))
            expected = Checksum(parts.algorithm, value, composite=True, parts=len(digests))
            return Stretch(whole, expected, parts.sizes[first:after])
    return None


def agrees(parts: PartSums, checksums: Iterable[Checksum]) -> bool:
    """Whether the parts' checksums are those that the object's own ones were made of, as far as
    there is one to compare with."""
    value = digest_of(parts.algorithm, b"".join(parts.digests))
    same = (one for one in checksums if one.composite and one.algorithm == parts.algorithm)
    return all(one.value == value for one in same)

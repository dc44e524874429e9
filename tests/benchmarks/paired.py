"""Two ways to the same bytes, compared in pairs: what shares the machine meets both alike.

A round is plain, other, other, plain, so that a drift of the machine cancels within it, and gives
one ratio. Of all rounds the median counts, and how sure it is: the interval is that of the sign
test, which asks nothing of how the noise is spread. Pure but for `Pair.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.streaming import Row

CONFIDENCE = 0.95
# Fewer rounds than this say nothing with that confidence: 2 / 2**6 is 0.03.
FEWEST = 6


@dataclass(frozen=True, slots=True)
class Sure:
    """A median, and between which two values the true one lies, as surely as `confidence` says."""

    median: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"

    def is_at_least(self, bound: float) -> str:
        """ "yes" or "no" where it is sure, else "undecided"."""
        if self.confidence < CONFIDENCE:
            return "undecided"
        if self.low >= bound:
            return "yes"
        return "no" if self.high < bound else "undecided"


def sure(values: Sequence[float]) -> Sure:
    """The median and its interval: the narrowest of the values' own that CONFIDENCE allows, else
    from the least to the greatest."""
    ordered = sorted(values)
    count = len(ordered)
    cut = 0
    while cut + 1 < (count + 1) // 2 and _confidence(count, cut + 1) >= CONFIDENCE:
        cut += 1
    found = _confidence(count, cut)
    return Sure(median(ordered), ordered[cut], ordered[count - 1 - cut], found)


def _confidence(count: int, cut: int) -> float:
    """How surely the median lies within all but the `cut` least and greatest of so many values."""
    outside: float = sum(math.comb(count, one) for one in range(cut + 1)) / 2**count
    return max(0.0, 1 - 2 * outside)


def ratio(plain: Sequence[float], other: Sequence[float]) -> float:
    """Of a round: the other way's figures by the plain one's, each by their geometric mean."""
    return math.exp(_mean_of_logs(other) - _mean_of_logs(plain))


def _mean_of_logs(values: Sequence[float]) -> float:
    return sum(map(math.log, values)) / len(values)


@dataclass
class Pair:
    """A plain row and another one that does more.

    For every round `speeds` has the ratio of their rates, and `costs` that of the processor time
    they need, the plain one's by the other's: what the rates would have if nothing but a processor
    held both up.
    """

    name: str
    plain: Row
    other: Row
    speeds: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def run(self, size: int) -> None:
        """One round."""
        rows = (self.plain, self.other)
        for row in (self.plain, self.other, self.other, self.plain):
            row.run(size)
        self.speeds.append(ratio(*_last(rows, lambda row: row.speeds)))
        plain, other = _last(rows, lambda row: row.costs)
        self.costs.append(ratio(other, plain))

    def clear(self) -> None:
        """Forgets all rounds."""
        for values in (self.speeds, self.costs):
            values.clear()
        for row in (self.plain, self.other):
            row.speeds.clear()
            row.costs.clear()


def _last(
    rows: tuple[Row, Row], of: Callable[[Row], list[float]]
) -> tuple[list[float], list[float]]:
    plain, other = (of(row)[-2:] for row in rows)
    return plain, other

"""The values of one process's metrics: plain numbers in dictionaries, cheap to count up.

No locks: they are counted by one event loop. (The garbage collector may call from another thread;
the worst is one pause that isn't counted.) How values of several processes become one is in
`totals`, how they are written in `exposition`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping

from proxy.observability.metrics import Metric

# By metric's name: pairs of label values and a value, which for a histogram is the counts of its
# buckets (the infinite one last) and then the sum. Only types of JSON.
Value = float | list[float]
Values = Mapping[str, list[tuple[list[str], Value]]]


class Meters:
    """The values of this process. Label values are given in the metric's order."""

    def __init__(self) -> None:
        self._numbers: dict[Metric, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[Metric, dict[tuple[str, ...], list[float]]] = {}
        self._before: list[Callable[[], None]] = []

    def add(self, metric: Metric, amount: float, *labels: str) -> None:
        """Counts up a counter. By 0, so that it is there before it first counts: a rate is only
        seen from the second value on."""
        values = self._numbers.get(metric)
        if values is None:
            values = self._numbers[metric] = {}
        values[labels] = values.get(labels, 0) + amount

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        """Sets a gauge, or a counter that is counted elsewhere."""
        self._numbers.setdefault(metric, {})[labels] = value

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Takes one observation into a histogram."""
        by_labels = self._histograms.get(metric)
        if by_labels is None:
            by_labels = self._histograms[metric] = {}
        counts = by_labels.get(labels)
        if counts is None:
            counts = by_labels[labels] = [0] * (len(metric.buckets) + 2)
        counts[bisect_left(metric.buckets, value)] += 1
        counts[-1] += value

    def observe_quick(self, metric: Metric, times: int, total: float, *labels: str) -> None:
        """Takes so many observations that are all below the least bucket's bound."""
        by_labels = self._histograms.setdefault(metric, {})
        counts = by_labels.setdefault(labels, [0] * (len(metric.buckets) + 2))
        counts[0] += times
        counts[-1] += total

    def before_reading(self, fill_in: Callable[[], None]) -> None:
        """Has `fill_in` called before each reading, for values that are looked up, not counted."""
        self._before.append(fill_in)

    def read(self) -> Values:
        """All values now, as a copy that can be written as JSON."""
        for fill_in in self._before:
            fill_in()
        numbers: dict[str, list[tuple[list[str], Value]]] = {
            metric.name: [(list(labels), value) for labels, value in values.items()]
            for metric, values in self._numbers.items()
        }
        histograms: dict[str, list[tuple[list[str], Value]]] = {
            metric.name: [(list(labels), list(counts)) for labels, counts in values.items()]
            for metric, values in self._histograms.items()
        }
        return {**numbers, **histograms}

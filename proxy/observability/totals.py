"""The metrics of several processes as those of one. Pure.

A sum over living processes would fall when one ends, and a counter that falls reads as if all the
rest had been counted anew. So what a process has counted stays when it is gone: the `Ledger` keeps
what each said last, and of those that are gone the counters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from proxy.observability.meters import Value, Values
from proxy.observability.metrics import BY_NAME, Metric


def total(parts: Iterable[Values]) -> Values:
    """All parts in one: counters and histograms added, gauges as their metric says."""
    sums: dict[str, dict[tuple[str, ...], Value]] = {}
    for part in parts:
        for name, values in part.items():
            metric = BY_NAME.get(name)
            if metric is not None:  # else from a worker of another version, in an upgrade
                into = sums.setdefault(name, {})
                for labels, value in values:
                    key = tuple(labels)
                    into[key] = _merged(metric, into.get(key), value)
    return {
        name: [(list(labels), value) for labels, value in values.items()]
        for name, values in sums.items()
    }


def _merged(metric: Metric, before: Value | None, value: Value) -> Value:
    if before is None:
        return value
    if isinstance(before, list) or isinstance(value, list):
        return [one + other for one, other in zip(_listed(before), _listed(value), strict=True)]
    return before + value if metric.merge == "sum" else max(before, value)


def _listed(value: Value) -> list[float]:
    return value if isinstance(value, list) else [value]


def counters_of(values: Values) -> Values:
    """What stays when a process is gone."""
    return {name: rows for name, rows in values.items() if BY_NAME[name].kind != "gauge"}


def of_process(values: Values, process: str) -> Values:
    """The values with the label "process" filled in: a worker doesn't know its own name."""
    named: dict[str, list[tuple[list[str], Value]]] = {}
    for name, rows in values.items():
        metric = BY_NAME.get(name)
        if metric is None:
            continue
        at = next((i for i, label in enumerate(metric.labels) if label.name == "process"), None)
        if at is None:
            named[name] = list(rows)
        else:
            named[name] = [([*row[:at], process, *row[at + 1 :]], value) for row, value in rows]
    return named


class Ledger:
    """What each process said last. `note` what one says; `close` it when it is gone."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Values] = {}
        self._closed: Values = {}

    def note(self, process: Hashable, values: Values) -> None:
        """Takes what a living process has counted up to now."""
        self._open[process] = values

    def close(self, process: Hashable) -> None:
        """Keeps the counters of a process that is gone, and forgets its gauges."""
        last = self._open.pop(process, None)
        if last is not None:
            self._closed = total([self._closed, counters_of(last)])

    @property
    def noted(self) -> list[Hashable]:
        """The processes that are not closed."""
        return list(self._open)

    def total(self, *more: Values) -> Values:
        """All of it, and `more`, in one."""
        return total([self._closed, *self._open.values(), *more])

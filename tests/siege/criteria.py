"""What must hold under siege, each as a figure beside its limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Milliseconds that others may wait at p99, however quick an idle server is.
_QUICK_ENOUGH = 20.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One promise.

    Attributes:
        what: what is counted or measured.
        figure: what came of it.
        limit: what it may be at most (or must be at least).
        unit: of both, with the space before it.
        timed: whether it depends on what else the machine does; a test looks at the others only.
        at_least: whether the limit is the least.
    """

    what: str
    figure: float
    limit: float
    unit: str = ""
    timed: bool = False
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        how = "at least" if self.at_least else "at most"
        limit = f"{how} {self.limit:.6g}{self.unit}"
        verdict = "met" if self.met else "MISSED"
        return f"{verdict:6}  {self.what}: {self.figure:.6g}{self.unit} ({limit})"


def at_p99(latencies: Sequence[float]) -> float:
    """The 99th percentile, by nearest rank; infinite if there is none."""
    ordered = sorted(latencies)
    return ordered[math.ceil(len(ordered) * 0.99) - 1] if ordered else math.inf


def latency(
    what: str,
    idle: Sequence[float],
    meanwhile: Sequence[float],
    busy: Sequence[float] = (),
    store: Sequence[float] = (),
) -> Criterion:
    """Others wait at p99 twice as long as when idle at most, or 20 ms; all in milliseconds.

    `busy` is what they wait when the machine has as much to do and the server has not, `store` what
    the store takes meanwhile when it is asked itself. Both are only said beside.
    """
    rest = at_p99(idle)
    limit = max(2 * rest, _QUICK_ENOUGH)
    beside = f", with a machine as busy {at_p99(busy):.1f} ms" if busy else ""
    beside += f", the store itself meanwhile {at_p99(store):.1f} ms" if store else ""
    said = f"{what}: others' p99 (idle {rest:.1f} ms{beside})"
    return Criterion(said, at_p99(meanwhile), limit, " ms", timed=True)


def own_work(what: str, idle: Sequence[float], meanwhile: Sequence[float]) -> Criterion:
    """The server's own part in what others wait has the same limit, whoever else wants the
    processors; all in milliseconds."""
    said = f"{what}: the server's own work while they wait, p99 (idle {at_p99(idle):.1f} ms)"
    limit = max(2 * at_p99(idle), _QUICK_ENOUGH)
    return Criterion(said, at_p99(meanwhile), limit, " ms", timed=True)


def at_most(what: str, figure: float, limit: float, unit: str = "") -> Criterion:
    """A count that has a limit."""
    return Criterion(what, figure, limit, unit)


def at_least(
    what: str, figure: float, limit: float, unit: str = "", *, timed: bool = False
) -> Criterion:
    """A count that must be reached."""
    return Criterion(what, figure, limit, unit, timed=timed, at_least=True)


def within(what: str, figure: float, limit: float) -> Criterion:
    """Seconds that something may take."""
    return Criterion(what, figure, limit, " s", timed=True)

"""Two runs beside each other, and whether the second is worse: `just load-compare A B`.

    just load-compare .local/load/files-1 .local/load/files-2
    just load-compare OLD,OLD,OLD NEW,NEW,NEW       several runs a side: their medians

A difference counts when it is beyond the band: the largest of the figure's own floor, three
standard errors of what wavered within the runs, and how far runs of one side lie apart. What the
clock measured gets wider by the share of the machine that others took meanwhile. The exit code is 1
when a figure got worse beyond its band, 2 when the runs can't be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from statistics import median

from tests.load.figures import CLOCKED, Figure, Kind, Run, disturbance, figures, read

_ERRORS = 3.0  # standard errors: one comparison of ten figures in about forty errs by chance alone
_QUIET = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both sides. `change` and `band` are relative to the first."""

    kind: Kind
    before: float
    after: float
    band: float

    @property
    def change(self) -> float:
        if self.before == 0:
            return 0.0 if self.after == 0 else float("inf")
        return self.after / self.before - 1

    @property
    def verdict(self) -> str:
        """ "worse", "better", or "" within the band.

        Told by the ratio, so that half as fast and twice as fast are as far from the same.
        """
        ratio = 1 + self.change
        if 1 / (1 + self.band) <= ratio <= 1 + self.band:
            return ""
        return "better" if (ratio > 1) == self.kind.more_is_better else "worse"


def differences(before: Sequence[Run], after: Sequence[Run]) -> Iterator[Difference]:
    """Every figure that both sides have, in the order of the first."""
    old, new = _by_kind(before), _by_kind(after)
    taken = max(disturbance(run) for run in (*before, *after))
    for kind, found in old.items():
        if kind in new:
            error = _ERRORS * hypot(_error(found), _error(new[kind]))
            band = max(kind.floor, error, _apart(found), _apart(new[kind]))
            band += taken if kind in CLOCKED else 0.0
            yield Difference(kind, _middle(found), _middle(new[kind]), band)


def _by_kind(runs: Sequence[Run]) -> dict[Kind, list[Figure]]:
    found: dict[Kind, list[Figure]] = {}
    for run in runs:
        for figure in figures(run):
            found.setdefault(figure.kind, []).append(figure)
    return found


def _middle(found: list[Figure]) -> float:
    return median(one.value for one in found)


def _error(found: list[Figure]) -> float:
    return max(one.error for one in found)


def _apart(found: list[Figure]) -> float:
    values = [one.value for one in found]
    # What has no band at all must not get one from its own failures.
    if found[0].kind.floor == 0 or min(values) <= 0:
        return 0.0
    return max(values) / min(values) - 1


def main(given: list[str] | None = None) -> int:
    """Prints the table; 0, 1 for a regression, 2 for runs that say nothing of each other."""
    parser = argparse.ArgumentParser(prog="just load-compare", description=__doc__)
    parser.add_argument("before", help="folder of a run, or several with commas between")
    parser.add_argument("after")
    arguments = parser.parse_args(given)
    try:
        before, after = (
            [read(Path(one)) for one in side.split(",")]
            for side in (arguments.before, arguments.after)
        )
    except FileNotFoundError as missing:
        print(f"no run there: {missing.filename}", file=sys.stderr)
        return 2
    names = {run["name"] for run in [*before, *after]}
    if len(names) != 1:
        print(f"these are of different scenarios: {', '.join(sorted(names))}", file=sys.stderr)
        return 2
    found = list(differences(before, after))
    print(table(found))
    if (taken := max(disturbance(run) for run in (*before, *after))) > _QUIET:
        print(f"other programs took up to {taken:.0%} of the machine: repeat it on a quiet one")
    worse = [one.kind.name for one in found if one.verdict == "worse"]
    failed = any(run["exit_code"] for run in after) and not any(run["exit_code"] for run in before)
    print(f"worse: {', '.join(worse) or 'nothing'}" + ("; and the second failed" if failed else ""))
    return 1 if worse or failed else 0


def table(found: Sequence[Difference]) -> str:
    """The differences as lines to read."""
    lines = [f"{'':26}{'before':>12}{'after':>12}{'change':>9}{'band':>8}  "]
    for one in found:
        name = f"{one.kind.name} {one.kind.unit}"
        change = f"{one.change:+.0%}" if one.before or one.after else ""
        lines.append(
            f"{name:38.38}{one.before:>12.2f}{one.after:>12.2f}{change:>9}"
            f"{f'±{one.band:.0%}':>8}  {one.verdict}"
        )
    lines[0] = f"{'':38}{'before':>12}{'after':>12}{'change':>9}{'band':>8}"
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())

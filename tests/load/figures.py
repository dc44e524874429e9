"""What a run says in a few figures, each with how far it wavered within the run. Pure.

A run is what `run.json` holds. A figure that a run can't have (no server of ours was watched, a
scenario without that metric) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

MIB = 1024 * 1024
Run = Mapping[str, Any]
Series = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure's name, its unit, whether more is better, and below which change it says nothing.

    `floor` is relative. Runs of the same build on a shared machine of two cores were seen to differ
    by this much, the tail of the latencies most.
    """

    name: str
    unit: str
    more_is_better: bool
    floor: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and the relative error that its wavering within the run leaves it (0: not known)."""

    kind: Kind
    value: float
    error: float = 0.0


REQUESTS = Kind("requests", "per s", more_is_better=True, floor=0.15)
THROUGHPUT = Kind("throughput", "MB/s", more_is_better=True, floor=0.15)
MEDIAN = Kind("latency, median", "ms", more_is_better=False, floor=0.20)
P95 = Kind("latency, p95", "ms", more_is_better=False, floor=0.30)
P99 = Kind("latency, p99", "ms", more_is_better=False, floor=0.40)
CPU = Kind("server's processor time", "ms per request", more_is_better=False, floor=0.15)
MEMORY = Kind("server's memory, most", "MiB", more_is_better=False, floor=0.15)
PER_READER = Kind("memory per slow reader", "KiB", more_is_better=False, floor=0.20)
AMPLIFICATION = Kind("origin's bytes per byte sent", "", more_is_better=False, floor=0.10)
# Of these one is too many: no band at all.
WRONG = Kind("wrong bodies", "", more_is_better=False, floor=0.0)
UNEXPLAINED = Kind("unexplained answers", "", more_is_better=False, floor=0.0)
# What gets worse when somebody else uses the machine, which processor time and memory hardly do.
CLOCKED = frozenset({REQUESTS, THROUGHPUT, MEDIAN, P95, P99})

_LATENCIES = ((MEDIAN, "med"), (P95, "p(95)"), (P99, "p(99)"))


def read(folder: Path) -> dict[str, Any]:
    """The run in a folder; FileNotFoundError says which has none."""
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return run


def figures(run: Run) -> Iterator[Figure]:
    """The run's figures."""
    yield from _over_time(REQUESTS, rates(run, "reqs"), 1)
    yield from _over_time(THROUGHPUT, rates(run, "received"), 1e6)
    trend = _values(run, "http_req_duration")
    yield from (Figure(kind, trend[key]) for kind, key in _LATENCIES if key in trend)
    requests, cpu = _gained(run, "reqs"), _gained(run, "server_cpu")
    if requests and cpu:
        yield Figure(CPU, 1000 * cpu / requests)
    if held := [memory for _, memory in series(run, "server_memory")]:
        yield Figure(MEMORY, max(held) / MIB)
    if "value" in (per_reader := _values(run, "memory_per_reader")):
        yield Figure(PER_READER, per_reader["value"] / 1024)
    counted = run.get("counted", {})
    if sent := counted.get("headgate_sent_bytes_total"):
        yield Figure(AMPLIFICATION, counted.get("headgate_origin_bytes_total", 0.0) / sent)
    yield Figure(WRONG, _values(run, "wrong_bytes").get("count", 0))
    yield Figure(UNEXPLAINED, _values(run, "unexplained").get("count", 0))


def series(run: Run, name: str) -> Series:
    """(second, value) of what the watch saw under this name."""
    return [(one["t"], one[name]) for one in run["samples"] if name in one]


def rates(run: Run, name: str) -> Series:
    """(second, increase per second) of a counter."""
    seen = series(run, name)
    return [(t, (v - u) / (t - s)) for (s, u), (t, v) in pairwise(seen) if t > s]


def disturbance(run: Run) -> float:
    """The share of the machine that went to programs which have no part in the run, 0 to 1."""
    total = sum(_gained(run, name) for name in ("busy", "idle"))
    ours = sum(_gained(run, f"{name}_cpu") for name in ("server", "store", "generator"))
    # With a target elsewhere, what runs here is not what is measured.
    watched = bool(series(run, "server_cpu")) and total > 0
    return max(0.0, (_gained(run, "busy") - ours) / total) if watched else 0.0


def _over_time(kind: Kind, seen: Series, unit: float) -> Iterator[Figure]:
    """The mean of a rate, with its standard error; the last sample is the end, not the load."""
    values = [value / unit for _, value in seen[:-1]]
    if len(values) >= 3 and fmean(values) > 0:
        yield Figure(kind, fmean(values), stdev(values) / sqrt(len(values)) / fmean(values))


def _gained(run: Run, name: str) -> float:
    seen = series(run, name)
    return seen[-1][1] - seen[0][1] if seen else 0.0


def _values(run: Run, metric: str) -> dict[str, float]:
    values: dict[str, float] = run["metrics"].get(metric, {}).get("values", {})
    return values

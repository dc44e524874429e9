"""Single functions, timed: `just bench-micro`.

    just bench-micro             medians, beside the figures of a reference system in Go
    just bench-micro --save      keeps this run as the baseline of this machine
    just bench-micro --compare   sets it beside the baseline; exits 1 for what got slower by more
                                 than the band (--band 0.3) and is slower at its quickest, too

The baseline is in .local/bench/, since it says nothing on another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BASELINE = Path(".local/bench/micro.json")
# Nanoseconds that a download server in Go publishes for jobs of this kind. What has no benchmark
# of that name Headgate does not do: it makes no signed URLs. That of a cleanup is taken to be for
# one entry.
REFERENCE = {
    "download_url_make": 383.0,
    "download_url_check": 38.6,
    "cache_cleanup_of_1000": 4178.0,
    "temporary_name": 171.0,
}
# What is done so often in one call, and told for each.
TIMES = {"cache_cleanup_of_1000": 1000, "cache_cleanup_of_1000_files": 1000}

FUNCTIONS = ("tests/benchmarks/bench_functions.py", "tests/benchmarks/bench_cache.py")

Times = Mapping[str, Mapping[str, float]]


def main(given: list[str] | None = None) -> int:
    """Times all, prints the table; 1 when something failed or got slower."""
    parser = argparse.ArgumentParser(prog="just bench-micro", description="Functions, timed.")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--band", type=float, default=0.3)
    parser.add_argument("--only", default="", help="part of a name")
    arguments = parser.parse_args(given)
    if arguments.compare and not BASELINE.exists():
        print("there is no baseline yet: just bench-micro --save", file=sys.stderr)
        return 1
    found = _measure(arguments.only)
    if not found:
        return 1
    baseline = read(json.loads(BASELINE.read_text())) if arguments.compare else {}
    print(table(found, baseline, arguments.only))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    if arguments.save:
        BASELINE.parent.mkdir(parents=True, exist_ok=True)
        BASELINE.write_text(json.dumps({"benchmarks": _as_kept(found)}, indent=1))
    worse = slower(found, baseline, arguments.band)
    if worse:
        print(f"slower: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


def _measure(only: str) -> Times:
    """Nothing when a benchmark failed; pytest has said why."""
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as work:
        out = Path(work, "out.json")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "benchmark",
            "-p",
            "no:cacheprovider",
        ]
        command += [*FUNCTIONS, f"--benchmark-json={out}"]
        command += ["--benchmark-max-time=0.5", "--benchmark-min-time=0.0001", "--benchmark-quiet"]
        # Under pytest-xdist's variables pytest-benchmark would not measure.
        alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
        done = subprocess.run(
            [*command, "-k", only], capture_output=True, text=True, check=False, env=alone
        )
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return {}
        return read(json.loads(out.read_text()))


def read(kept: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Name to nanoseconds ("min", "median", "iqr"), from pytest-benchmark's JSON."""
    found = {}
    for one in kept["benchmarks"]:
        name = one["name"].removeprefix("test_")
        unit = 1e9 / TIMES.get(name, 1)
        found[name] = {key: one["stats"][key] * unit for key in ("min", "median", "iqr")}
    return found


def _as_kept(found: Times) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "stats": {key: value * TIMES.get(name, 1) / 1e9 for key, value in times.items()},
        }
        for name, times in found.items()
    ]


def slower(found: Times, baseline: Times, band: float) -> list[str]:
    """What got slower beyond the band, by its median and by its quickest.

    Others on the machine lengthen the median; the quickest only grows with the work itself.
    """
    return [
        name
        for name, times in found.items()
        if name in baseline
        and all(times[key] > baseline[name][key] * (1 + band) for key in ("median", "min"))
    ]


def table(found: Times, baseline: Times, only: str = "") -> str:
    """Markdown: each function with its times, the baseline's where there is one.

    Of what only the reference has, that with `only` in its name.
    """
    lines = ["| function | median | quickest | reference, Go | baseline |", "|" + " --- |" * 5]
    for name, times in found.items():
        reference = _time(REFERENCE[name]) if name in REFERENCE else ""
        before = baseline.get(name)
        change = _change(times, before) if before else ""
        lines.append(
            f"| {_title(name)} | {_time(times['median'])} | {_time(times['min'])}"
            f" | {reference} | {change} |"
        )
    lines += [
        f"| {_title(name)} | not there | | {_time(reference)} | |"
        for name, reference in REFERENCE.items()
        if name not in found and only in name
    ]
    return "\n".join(lines)


def _title(name: str) -> str:
    return name.replace("_", " ") + (", each" if name in TIMES else "")


def _change(times: Mapping[str, float], before: Mapping[str, float]) -> str:
    return f"{_time(before['median'])}, {times['median'] / before['median'] - 1:+.0%}"


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds:,.0f} ns" if nanoseconds < 1e5 else f"{nanoseconds / 1000:,.0f} µs"


if __name__ == "__main__":
    sys.exit(main())

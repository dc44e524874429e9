"""Several runs on one page, side by side: `just load-report RUN…`.

Without arguments it takes the newest eight runs. The page is one file, `.local/load/report.html`,
that fetches nothing from anywhere.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.load.charts import bars, colour, lines
from tests.load.figures import MIB, Kind, disturbance, figures, rates, read, series

RUNS = Path(".local/load")
_NEWEST = 8
# What a run's folder may hold that is worth opening.
_FILES = ("dashboard.html", "profile.html", "summary.json", "junit.xml", "generator.log")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
td, th { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884 }
td:first-child, th:first-child { text-align: left }
i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem }
svg { width: 100%; font-size: 12px; fill: currentColor } .failed { color: #b00 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd } }
"""


def page(folders: Sequence[Path], runs: Sequence[dict[str, Any]], base: Path) -> str:
    """The whole page; links are relative to `base`, the directory it will be in."""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Load runs</title><style>{_STYLE}</style>
<h1>Load runs</h1>
{_overview(folders, runs, base)}
<h2>Figures</h2>
{_figures(folders, runs)}
<div class="charts">{_charts(runs)}</div>
</html>
"""


def _overview(folders: Sequence[Path], runs: Sequence[dict[str, Any]], base: Path) -> str:
    head = "<tr><th>run<th>began<th>result<th>processor, cores<th>commit<th>others took<th>files"
    rows = []
    for place, (folder, run) in enumerate(zip(folders, runs, strict=True)):
        facts = run["machine"]
        files = " ".join(
            f'<a href="{escape(os.path.relpath(folder / name, base))}">{name}</a>'
            for name in _FILES
            if (folder / name).exists()
        )
        cells = (
            f'<i style="background:{colour(place)}"></i>{escape(folder.name)}',
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run["began"])),
            _result(run["exit_code"]),
            escape(f"{facts['processor']}, {facts['cores']}"),
            escape(str(facts["commit"])),
            f"{disturbance(run):.0%}",
            files,
        )
        rows.append("<tr>" + "".join(f"<td>{cell}" for cell in cells))
    return f"<table>{head}{''.join(rows)}</table>"


def _result(code: int) -> str:
    return "passed" if code == 0 else f'<span class="failed">failed ({code})</span>'


def _figures(folders: Sequence[Path], runs: Sequence[dict[str, Any]]) -> str:
    found = [{one.kind: one.value for one in figures(run)} for run in runs]
    kinds: dict[Kind, None] = dict.fromkeys(kind for one in found for kind in one)
    head = "".join(
        f'<th><i style="background:{colour(place)}"></i>{escape(folder.name)}'
        for place, folder in enumerate(folders)
    )
    rows = "".join(
        f"<tr><td>{escape(f'{kind.name}, {kind.unit}' if kind.unit else kind.name)}"
        + "".join(f"<td>{_shown(one[kind])}" if kind in one else "<td>" for one in found)
        for kind in kinds
    )
    return f"<table><tr><th>{head}{rows}</table>"


def _shown(value: float) -> str:
    """One digit behind the point; of what is small, more."""
    return f"{value:,.1f}" if value >= 10 or value == 0 else f"{value:.3g}"


def _charts(runs: Sequence[dict[str, Any]]) -> str:
    def over_time(name: str, unit: float) -> list[tuple[int, list[tuple[float, float]]]]:
        return [
            (place, [(t, v / unit) for t, v in rates(run, name)]) for place, run in enumerate(runs)
        ]

    memory = [
        (place, [(t, v / MIB) for t, v in series(run, "server_memory")])
        for place, run in enumerate(runs)
    ]
    latencies = [
        (label, [(p, trend[key]) for p, trend in enumerate(_trends(runs)) if key in trend])
        for label, key in (("median", "med"), ("p95", "p(95)"), ("p99", "p(99)"))
    ]
    return "".join((
        lines("Requests", "per second", over_time("reqs", 1)),
        lines("Throughput", "MB/s", over_time("received", 1e6)),
        bars("Latency", "ms", latencies),
        lines("Server's memory", "MiB", memory),
        lines("Server's processor time", "cores", over_time("server_cpu", 1)),
        lines("Generator's processor time", "cores", over_time("generator_cpu", 1)),
    ))  # fmt: skip


def _trends(runs: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    return [run["metrics"].get("http_req_duration", {}).get("values", {}) for run in runs]


def main(given: list[str] | None = None) -> int:
    """Writes the page and says where; 1 when there is no run."""
    parser = argparse.ArgumentParser(prog="just load-report", description=__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=RUNS / "report.html")
    arguments = parser.parse_args(given)
    newest = sorted(RUNS.glob("*/run.json"), key=lambda path: path.stat().st_mtime)[-_NEWEST:]
    folders = arguments.runs or [path.parent for path in newest]
    if not folders:
        print("there is no run yet: just load files", file=sys.stderr)
        return 1
    try:
        runs = [read(folder) for folder in folders]
    except FileNotFoundError as missing:
        print(f"no run there: {missing.filename}", file=sys.stderr)
        return 1
    arguments.output.write_text(page(folders, runs, arguments.output.parent))
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

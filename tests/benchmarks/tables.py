"""The result of `just bench` as text: Markdown for docs/benchmarks.md, and its plots. Pure but for
`write`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.rows import ROWS
from tests.load.charts import bars, colour

KIB, MIB = 1024, 1024 * 1024
_UNITS = {row.title: row.unit for row in ROWS}
BEGIN, END = "<!-- begin: just bench --write -->", "<!-- end: just bench --write -->"
_OTHERS = (
    ": other programs had much of it, so that processor time and ratios say more than rates, and"
    " the spread how far to trust them"
)
_ROWS = (
    "Rows: the median of the rounds, and the least and the most; beside nginx, which serves the"
    " same files (in rows of S3: which passes the store's answers on); processor time of the"
    " server, and of both ends, since on one machine the kernel does a part of one's work at the"
    ' other\'s expense. "Passing on" and "nothing prepared" are servers of the list with their'
    " cache, or their answers in memory, turned off. A round that failed is asked again in the"
    " next; the one that warms a server is counted among the rounds, but has no figure."
)
# Who the others are measured by: the one that answers the same question in the same way.
_MEASURE = {"S3": "nginx, passing on"}


def document(result: dict[str, Any]) -> str:
    """All tables, with what they were made on."""
    parts = [_made_on(result)]
    for name, shown in _SHOWN.items():
        if result.get(name):
            parts.append(shown(result[name]))
    return "\n\n".join(parts)


def _made_on(result: dict[str, Any]) -> str:
    facts, arguments = result["machine"], result["arguments"]
    versions = ", ".join(f"{name} {one}" for name, one in result["versions"].items())
    before, after = facts["load_average"][0], result["load_average_after"][0]
    busy = max(before, after) > facts["cores"] + 1
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, Linux"
        f" {facts['kernel']}, Python {facts['python']}; {versions}; Headgate at {facts['commit']}."
        f" {arguments['rounds']} rounds of {arguments['seconds']} s. Load average of the machine"
        f" when it began {before:.1f}, when it ended {after:.1f}{_OTHERS if busy else ''}."
    )


def ratios(cells: dict[str, Any], title: str) -> dict[str, float]:
    """Each contestant's median beside the measure's; without it, none."""
    measure = cells.get(_MEASURE.get(title.split(",", maxsplit=1)[0], "nginx"), {"values": []})[
        "values"
    ]
    if not measure:
        return {}
    return {
        name: median(cell["values"]) / median(measure)
        for name, cell in cells.items()
        if cell["values"]
    }


def _table(rows: dict[str, Any]) -> str:
    titles = "what | server | median | spread | of nginx | processor time | with the client's"
    lines = _head(_ROWS, titles)
    for title, cells in rows.items():
        unit = _UNITS[title]
        beside = ratios(cells, title)
        for name, cell in cells.items():
            if not cell["values"]:
                lines.append(f"| {title} | {name} | {_failed(cell)} | | | | |")
                continue
            values = cell["values"]
            spread = _spread(values) + (f"; {_failed(cell)}" if cell["faults"] else "")
            ratio = f"{beside[name]:.2f}" if name in beside else ""
            strong = "**" if name == "Headgate" else ""
            lines.append(
                f"| {title} | {strong}{name}{strong} | {median(values):,.0f} {unit}"
                f" | {spread} | {ratio}"
                f" | {_cost(unit, cell['costs'])} | {_cost(unit, cell['whole'])} |"
            )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{min(values):,.0f} to {max(values):,.0f}"


def _failed(cell: dict[str, Any]) -> str:
    return f"failed in {len(cell['faults'])} of {cell['rounds']} rounds"


def _cost(unit: str, costs: list[float]) -> str:
    """Seconds per thousand requests or per GB (rows.Row.work), as they are read best."""
    seconds = median(costs)
    return f"{seconds * 1000:,.0f} µs each" if unit == "req/s" else f"{seconds:.2f} s/GB"


def _slow(found: dict[str, Any]) -> str:
    lines = _head(
        "Slow readers: each takes 32 KiB a second of objects of 4 MiB from the directory, while an"
        " ordinary client asks for small files; the server's memory with them over that without.",
        "slow readers | readers | memory per reader | others' latency, median | p99",
    )
    for name, one in found.items():
        if "failed" in one:
            lines.append(f"| {name} | failed | | | |")
            continue
        lines.append(
            f"| {name} | {one['readers']:,.0f} | {one['memory'] / KIB:.0f} KiB"
            f" | {one['median']:.1f} ms | {one['p99']:.1f} ms |"
        )
    return "\n".join(lines)


def _cold(found: dict[str, Any]) -> str:
    lines = _head(
        f"Cold: each round another object of {found['size'] / MIB:,.0f} MiB, that nobody has asked"
        f" for, from a store with {found['delay'] * 1000:.0f} ms to its first byte and"
        f" {found['rate'] / 1e6:.0f} MB/s on each connection; then the last one again, from those"
        f" that keep it. Slices of 8 MiB. {_load(found)}",
        "cold | median | spread | of one stream | processor time | then warm | processor time",
    )
    one_stream = median(next(iter(found["cold"].values()))["values"])
    for name, cell in found["cold"].items():
        speed, spread = median(cell["values"]), _spread(cell["values"])
        warm = found["warm"].get(name)
        kept = "|"
        if warm:
            kept = f"{median(warm['values']):,.0f} MB/s | {_cost('MB/s', warm['costs'])}"
        lines.append(
            f"| {name} | {speed:,.0f} MB/s | {spread} | {speed / one_stream:.2f}"
            f" | {_cost('MB/s', cell['costs'])} | {kept} |"
        )
    return "\n".join(lines)


def _stampede(found: dict[str, Any]) -> str:
    lines = _head(
        f"Stampede: {found['clients']:,} clients come within {found['join']:.0f} s to one object of"
        f" {found['size'] / MIB:,.0f} MiB that nobody has asked for, after one that takes 10 kB a"
        " second of it. What the store was asked for and sent, the relay before it counted."
        f" {_load(found)}",
        "stampede | GETs | store's bytes ÷ object | bodies right | to clients | processor time"
        " | slowest client | waited for the slow one | most memory of a process",
    )
    for name, one in found["found"].items():
        seen = one["seen"]
        received = seen["received"] / 1e9
        speed = 1000 * received / max(seen["seconds"], 0.001)
        lines.append(
            f"| {name} | {one['gets']:,} | {one['amplification']:.3f} | {seen['right']:,}"
            f" | {speed:,.0f} MB/s | {one['cpu'] / (received or 1):.2f} s/GB"
            f" | {seen['slowest']:.1f} s | {one['waited']}"
            f" | {max(one['memory']) / MIB:.0f} MiB |"
        )
    return "\n".join(lines)


def _corrupt(found: dict[str, Any]) -> str:
    lines = _head(
        "Corrupt origin: objects of 200 KiB; the relay before the store turns one byte of each"
        " answer.",
        "corrupt origin | wrong and complete | visibly broken | right",
    )
    lines += [
        f"| {name} | {one['bad_and_complete']} | {one['visibly_broken']} | {one['right']} |"
        for name, one in found.items()
    ]
    return "\n".join(lines)


def _load(found: dict[str, Any]) -> str:
    return f"Load average when this began {found['load_average'][0]:.1f}."


def _head(conditions: str, columns: str) -> list[str]:
    """What a table begins with: under which conditions, and its columns with bars between."""
    return [conditions, "", f"| {columns} |", "|" + " --- |" * (columns.count("|") + 1)]


# In this order, with the name in the result.
_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "rows": _table,
    "slow": _slow,
    "cold": _cold,
    "stampede": _stampede,
    "corrupt origin": _corrupt,
}


def plot(result: dict[str, Any], begins: tuple[str, ...], title: str) -> str:
    """Bars of the ratios of the rows that begin so, as one SVG with its legend below."""
    rows = {name: ratios(cells, name) for name, cells in result["rows"].items()}
    chosen = {name: found for name, found in rows.items() if name.startswith(begins) and found}
    names = list(dict.fromkeys(name for found in chosen.values() for name in found))
    groups = [
        (label.partition(", ")[2], [(names.index(name), value) for name, value in found.items()])
        for label, found in chosen.items()
    ]
    return bars(title, "of nginx", groups, legend=[(colour(n), one) for n, one in enumerate(names)])


def write(result: dict[str, Any], docs: Path) -> None:
    """Replaces what stands between the two marks in benchmarks.md, and the plots beside it."""
    path = docs / "benchmarks.md"
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks {BEGIN} and {END}")
    plots = docs / "benchmarks"
    plots.mkdir(exist_ok=True)
    shown = []
    for name, begins, title in (
        ("directory", ("directory",), "From a directory, in clear"),
        ("tls", ("TLS",), "From a directory, over TLS"),
        ("s3", ("S3",), "From S3"),
    ):
        (plots / f"{name}.svg").write_text(plot(result, begins, title) + "\n")
        shown.append(f"![{title}, as ratios](benchmarks/{name}.svg)")
    body = "\n\n".join([document(result), *shown])
    path.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}")

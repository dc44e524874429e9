"""Charts as SVG, small and without scripts: lines over time, bars side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10

from tests.load.figures import Series

WIDTH, HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 28, 26
# Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7a7a7a", "#000000")


def colour(place: int) -> str:
    """The colour of the run at this place, the same in every chart of a page."""
    return COLOURS[place % len(COLOURS)]


def lines(title: str, unit: str, data: Sequence[tuple[int, Series]]) -> str:
    """One line per (place of the run, its series); the time axis is in seconds."""
    points = [point for _, seen in data for point in seen]
    if not points:
        return ""
    end = max(t for t, _ in points) or 1.0
    top = _round_up(max(v for _, v in points))
    drawn = [
        f'<polyline fill="none" stroke="{colour(place)}" stroke-width="1.5" points="'
        + " ".join(f"{_x(t / end):.1f},{_y(v / top):.1f}" for t, v in seen)
        + '"/>'
        for place, seen in data
    ]
    labels = [
        _text(_x(share), HEIGHT - 8, f"{end * share:.0f} s", anchor)
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    ]
    return _frame(title, unit, top, [*drawn, *labels])


def bars(
    title: str,
    unit: str,
    groups: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """Groups of bars, each with its label and (place of the run, value).

    `legend` has colours and names, for a chart that stands alone.
    """
    values = [value for _, members in groups for _, value in members]
    if not values:
        return ""
    top = _round_up(max(values))
    room = (WIDTH - _LEFT - _RIGHT) / len(groups)
    drawn = []
    for number, (label, members) in enumerate(groups):
        start, width = _LEFT + room * number + room * 0.1, room * 0.8 / max(1, len(members))
        for at, (place, value) in enumerate(members):
            x, y = start + at * width, _y(value / top)
            drawn.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.9:.1f}" '
                f'height="{HEIGHT - _BOTTOM - y:.1f}" fill="{colour(place)}"/>'
            )
        drawn.append(_text(start + room * 0.4, HEIGHT - 8, label))
    return _frame(title, unit, top, drawn, legend)


def _frame(
    title: str,
    unit: str,
    top: float,
    drawn: Sequence[str],
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    grid = []
    for share in (0, 0.5, 1):
        y = _y(share)
        grid.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#ccc"/>')
        grid.append(_text(_LEFT - 6, y + 4, f"{top * share:g}", "end"))
    head = _text(_LEFT, 16, f"{title}, {unit}", "start", bold=True)
    height = HEIGHT + 18 * ((len(legend) + 2) // 3)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="11" aria-label="{escape(title)}">'
        f"{head}{''.join(grid)}{''.join(drawn)}{_legend(legend)}</svg>"
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    """Three in a row, below the chart."""
    drawn = []
    for number, (fill, name) in enumerate(entries):
        x, y = _LEFT + number % 3 * 165, HEIGHT + 12 + number // 3 * 18
        drawn.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{fill}"/>')
        drawn.append(_text(x + 15, y, name, "start"))
    return "".join(drawn)


def _text(x: float, y: float, words: str, anchor: str = "middle", *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}{weight}>{escape(words)}</text>"


def _x(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    """The next number of one or two digits, so that an axis ends where one would end it."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(unit * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if unit * step >= value)

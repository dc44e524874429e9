"""A small drawing surface: RGB rows, filled polygons with smooth edges.

Nothing here knows what is drawn. Coordinates are pixels, y grows downwards, and a pixel's centre
is at its index plus a half. Runs of equal coverage are filled as slices, never pixel by pixel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

Colour = tuple[int, int, int]
Point = tuple[float, float]
Paint = Callable[[int], Colour]
"""The colour of a shape in row y."""

SUBROWS = 4  # scan lines per pixel row: enough that a slanted edge shows no steps
OPAQUE = 0.996  # more than 254/255: nothing of what was below would be seen


class Canvas:
    """`width` × `height` pixels, three bytes each, in `rows`."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [bytearray(3 * width) for _ in range(height)]

    def polygon(self, points: Sequence[Point], paint: Paint, alpha: float = 1.0) -> None:
        """Fill the polygon by the even-odd rule, laid over what is there with opacity `alpha`."""
        top = max(0, math.floor(min(y for _, y in points)))
        bottom = min(self.height, math.ceil(max(y for _, y in points)))
        for y in range(top, bottom):
            for start, end, cover in _coverage(points, y, self.width):
                self._fill(y, start, end, paint(y), cover * alpha)

    def rectangle(  # four edges, a paint and its strength: naming them in one value hides more
        self, left: float, top: float, right: float, bottom: float, paint: Paint, alpha: float = 1.0
    ) -> None:
        """Fill a rectangle with straight sides."""
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        self.polygon(corners, paint, alpha)

    def crop(self, left: int, top: int, width: int, height: int) -> Canvas:
        """A copy of one part."""
        part = Canvas(width, height)
        part.rows = [row[3 * left : 3 * (left + width)] for row in self.rows[top : top + height]]
        return part

    def _fill(self, y: int, start: int, end: int, colour: Colour, cover: float) -> None:
        row = self.rows[y]
        if cover >= OPAQUE:
            row[3 * start : 3 * end] = bytes(colour) * (end - start)
            return
        for channel, value in enumerate(colour):
            run = slice(3 * start + channel, 3 * end, 3)
            row[run] = row[run].translate(_blend(value, round(cover * 255)))


def flat(colour: Colour) -> Paint:
    """One colour all over."""
    return lambda _: colour


def gradient(top: float, first: Colour, bottom: float, last: Colour) -> Paint:
    """From `first` at `top` to `last` at `bottom`, and even beyond them."""
    return lambda y: mix(first, last, min(1.0, max(0.0, (y - top) / (bottom - top))))


def mix(first: Colour, last: Colour, share: float) -> Colour:
    """`first` where `share` is 0, `last` where it is 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
    return red, green, blue


def ellipse(x: float, y: float, across: float, down: float, corners: int = 40) -> list[Point]:
    """The outline around (x, y) with the half axes `across` and `down`."""
    turns = (2 * math.pi * i / corners for i in range(corners))
    return [(x + across * math.cos(t), y + down * math.sin(t)) for t in turns]


@lru_cache(maxsize=4096)
def _blend(value: int, share: int) -> bytes:
    """The table that moves each byte `share`/255 of its way to `value`."""
    return bytes((old * (255 - share) + value * share + 127) // 255 for old in range(256))


def _coverage(points: Sequence[Point], y: int, width: int) -> Iterator[tuple[int, int, float]]:
    """Runs (start, end, share covered) of pixel row `y`, from the left."""
    steps: dict[int, float] = defaultdict(float)
    for part in range(SUBROWS):
        crossings = _crossings(points, y + (part + 0.5) / SUBROWS, width)
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            _add_edge(steps, left, 1 / SUBROWS)
            _add_edge(steps, right, -1 / SUBROWS)
    places = sorted(steps)
    cover = 0.0
    for start, end in pairwise(places):
        cover += steps[start]
        if cover > 1 / 512 and start < width:
            yield start, min(end, width), min(cover, 1.0)


def _crossings(points: Sequence[Point], y: float, width: int) -> list[float]:
    """Where the outline crosses the line at `y`, sorted and held to the canvas."""
    found = []
    x1, y1 = points[-1]
    for x2, y2 in points:
        if (y1 <= y) != (y2 <= y):
            found.append(min(max(x1 + (y - y1) * (x2 - x1) / (y2 - y1), 0.0), float(width)))
        x1, y1 = x2, y2
    return sorted(found)


def _add_edge(steps: dict[int, float], x: float, weight: float) -> None:
    """Let the coverage change by `weight` at x: partly in the pixel x is in, fully after it."""
    pixel = int(x)
    outside = x - pixel
    steps[pixel] += weight * (1 - outside)
    steps[pixel + 1] += weight * outside

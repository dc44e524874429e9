"""What the clip shows: three things that tell the time, so that a seek can be seen to be right.

A clock in seconds and tenths, a water gauge that fills, and a bar along the lower edge that grows
by one pixel a picture: its length is the number of the picture, counted from one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from proxy.samples.canvas import Canvas, Colour, Point, ellipse, flat, gradient
from proxy.samples.landscape import landscape
from proxy.samples.mp4 import Sample, Track
from proxy.samples.planes import Patch, Planes, patch, samples
from proxy.samples.video import Encoder, picture_parameters, sequence_parameters

WIDTH, HEIGHT = 640, 360
RATE = 20  # pictures per second: the tenths change every second one
SECONDS = 30
TRACK = Track(WIDTH, HEIGHT, RATE, sequence_parameters(WIDTH, HEIGHT, RATE), picture_parameters())

DARK, LIT, UNLIT = (13, 24, 42), (255, 214, 150), (34, 46, 68)
BAR_LEFT, BAR_TOP, BAR_HEIGHT = 20, 328, 12
BAR_FULL, BAR_EMPTY = (250, 244, 226), (26, 38, 60)

# Where things stand is a multiple of 16, so that little else changes with them.
PANEL = (32, 80, 352, 256)
DIGIT = (80, 144)
DIGITS = ((48, 96), (144, 96), (256, 96))
GAUGE = (560, 48, 64, 256)
WAVE, PERIOD = 4, 40  # pixels up and down; pictures until the wave looks the same again

# Which of the seven strokes a digit has: top, upper left, upper right, middle, lower left,
# lower right, bottom. The usual seven-segment figures.
STROKES = ("1110111", "0010010", "1011101", "1011011", "0111010",
           "1101011", "1101111", "1010010", "1111111", "1111011")  # fmt: skip


def pictures() -> Iterator[Sample]:
    """The clip's coded pictures. Each second begins with one that needs no other (IDR)."""
    scene = _background()
    planes = Planes(WIDTH, HEIGHT)
    planes.paste(0, 0, patch(scene))
    figures = [[_figure(scene, x, y, digit) for digit in range(10)] for x, y in DIGITS]
    gauge, bar = _Gauge(), _Bar()
    encoder = Encoder(planes)
    for number in range(RATE * SECONDS):
        clock = f"{number // RATE:02}{number % RATE * 10 // RATE}"
        for (x, y), figure, digit in zip(DIGITS, figures, clock, strict=True):
            planes.paste(x, y, figure[int(digit)])
        planes.paste(GAUGE[0], GAUGE[1], gauge.filled(number))
        planes.paste(*bar.end(number))
        key = number % RATE == 0
        yield Sample(encoder.picture(key=key), key)


def _background() -> Canvas:
    scene = landscape(WIDTH, HEIGHT, 440 / WIDTH)
    left, top, right, bottom = PANEL
    scene.polygon(_rounded(left, top, right, bottom, 14), flat(DARK), 0.94)
    scene.polygon(ellipse(240, 232, 7, 7), flat(LIT))  # the point before the tenths
    left, top, width, height = GAUGE
    outline = _rounded(left - 44, top - 12, left + width + 8, top + height + 10, 10)
    scene.polygon(outline, flat(DARK), 0.94)
    for seconds in range(0, SECONDS + 1, 5):
        y = top + height * (1 - seconds / SECONDS)
        tick = 10 if seconds % 10 == 0 else 6
        scene.rectangle(left - 3 - tick, y - 1, left - 3, y + 1, flat(LIT))
        if seconds % 10 == 0:
            _draw_number(scene, left - 39, y - 8, f"{seconds:2}")
    length = RATE * SECONDS
    frame = (BAR_LEFT - 3, BAR_TOP - 3, BAR_LEFT + length + 3, BAR_TOP + BAR_HEIGHT + 3)
    scene.polygon(_rounded(*frame, 5), flat(DARK))
    scene.rectangle(BAR_LEFT, BAR_TOP, BAR_LEFT + length, BAR_TOP + BAR_HEIGHT, flat(BAR_EMPTY))
    return scene


class _Bar:
    """The bar along the lower edge, of which only the sixteen pixels at its end ever change."""

    def __init__(self) -> None:
        canvas = Canvas(2 * 16, BAR_HEIGHT)
        canvas.rectangle(0, 0, 16, BAR_HEIGHT, flat(BAR_FULL))
        canvas.rectangle(16, 0, 32, BAR_HEIGHT, flat(BAR_EMPTY))
        self._both = canvas

    def end(self, number: int) -> tuple[int, int, Patch]:
        """Where the end of the bar is in picture `number`, and how it looks there."""
        whole, rest = divmod(number, 16)
        width = min(16, RATE * SECONDS - 16 * whole)
        part = self._both.crop(15 - rest, 0, width, BAR_HEIGHT)
        return BAR_LEFT + 16 * whole, BAR_TOP, patch(part)


class _Gauge:
    """A tank that fills from below, with a wave running over it.

    How much of each pixel is water is the same for every level, but for where it stands: rows of
    coverage are made once, and a table per row of the tank turns them into samples.
    """

    def __init__(self) -> None:
        _, self._top, self._width, self._height = GAUGE
        rows = range(self._height)
        air = gradient(0, (24, 38, 62), self._height, (18, 30, 52))
        water = gradient(0, (108, 196, 214), self._height, (26, 92, 142))
        ramps = [(samples(air(y)), samples(water(y))) for y in rows]
        self._tables = [
            [_ramp(low[plane], high[plane]) for low, high in ramps] for plane in range(3)
        ]
        self._waves = [self._surface(phase) for phase in range(PERIOD)]

    def filled(self, number: int) -> Patch:
        """The tank in picture `number`."""
        level = round(self._height * (1 - number / (RATE * SECONDS)))
        full = self._waves[number % PERIOD]
        half = [row[::2] for row in full]
        luma, blue, red = self._tables
        return Patch(
            [self._row(full, y - level).translate(luma[y]) for y in range(self._height)],
            [self._row(half, y - level).translate(blue[y]) for y in range(0, self._height, 2)],
            [self._row(half, y - level).translate(red[y]) for y in range(0, self._height, 2)],
        )

    @staticmethod
    def _row(wave: list[bytes], below: int) -> bytes:
        """The coverage `below` rows under the still level: none far above, all far below."""
        return wave[min(max(below + WAVE + 1, 0), 2 * WAVE + 2)]

    def _surface(self, phase: int) -> list[bytes]:
        """Coverage in 0..255, row by row, from all air to all water."""
        turn = 2 * math.pi * phase / PERIOD
        crests = [
            WAVE * 0.6 * math.sin(2 * math.pi * x / self._width + turn)
            + WAVE * 0.4 * math.sin(4 * math.pi * x / self._width - turn)
            for x in range(self._width)
        ]
        return [
            bytes(round(255 * min(max(row + 1 - crest, 0), 1)) for crest in crests)
            for row in range(-WAVE - 1, WAVE + 2)
        ]


def _ramp(low: int, high: int) -> bytes:
    """The table from coverage to sample."""
    return bytes((low * (255 - cover) + high * cover + 127) // 255 for cover in range(256))


def _figure(scene: Canvas, x: int, y: int, digit: int) -> Patch:
    canvas = scene.crop(x, y, *DIGIT)
    _draw_figure(canvas, (8, 6), (64, 132), STROKES[digit], unlit=True)
    return patch(canvas)


def _draw_number(scene: Canvas, x: float, y: float, text: str) -> None:
    """Small digits beside the gauge."""
    for place, digit in enumerate(text):
        if digit != " ":
            _draw_figure(scene, (x + 13 * place, y), (8, 16), STROKES[int(digit)], unlit=False)


def _draw_figure(
    canvas: Canvas, corner: Point, size: tuple[int, int], strokes: str, *, unlit: bool
) -> None:
    """Seven strokes with pointed ends, with gaps between them."""
    (x, y), (width, height) = corner, size
    middle = y + height / 2
    right, bottom = x + width, y + height
    ends = (((x, y), (right, y)), ((x, y), (x, middle)), ((right, y), (right, middle)),
            ((x, middle), (right, middle)), ((x, middle), (x, bottom)),
            ((right, middle), (right, bottom)), ((x, bottom), (right, bottom)))  # fmt: skip
    for lit, (start, end) in zip(strokes, ends, strict=True):
        if lit == "1" or unlit:
            colour: Colour = LIT if lit == "1" else UNLIT
            canvas.polygon(_stroke(start, end, max(1.3, width / 10), width / 28), flat(colour))


def _stroke(start: Point, end: Point, half: float, gap: float) -> list[Point]:
    """A hexagon from `start` to `end`, which lie on one line across or down."""
    (x1, y1), (x2, y2) = start, end
    if y1 == y2:
        x1, x2 = x1 + gap, x2 - gap
        return [(x1, y1), (x1 + half, y1 - half), (x2 - half, y1 - half),
                (x2, y1), (x2 - half, y1 + half), (x1 + half, y1 + half)]  # fmt: skip
    y1, y2 = y1 + gap, y2 - gap
    return [(x1, y1), (x1 + half, y1 + half), (x1 + half, y2 - half),
            (x1, y2), (x1 - half, y2 - half), (x1 - half, y1 + half)]  # fmt: skip


def _rounded(left: float, top: float, right: float, bottom: float, radius: float) -> list[Point]:
    """A rectangle with round corners."""
    corners = ((right - radius, bottom - radius), (left + radius, bottom - radius),
               (left + radius, top + radius), (right - radius, top + radius))  # fmt: skip
    points = []
    for quarter, (x, y) in enumerate(corners):
        for step in range(9):
            turn = math.pi / 2 * (quarter + step / 8)
            points.append((x + radius * math.cos(turn), y + radius * math.sin(turn)))
    return points

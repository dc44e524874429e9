"""Pictures as a video codec sees them: one luma and two chroma planes, in blocks of 16 × 16.

Sampling is 4:2:0 (two by two pixels share their chroma), colours are BT.709 in the limited range:
luma 16..235, chroma 16..240 (ITU-T H.273 §8.3). So no sample is ever zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from proxy.samples.canvas import Canvas, Colour

BLOCK = 16


class Patch(NamedTuple):
    """A rectangle of samples, each plane a list of rows. Width and height are even."""

    luma: list[bytes]
    blue: list[bytes]
    red: list[bytes]


@lru_cache(maxsize=1 << 16)
def samples(colour: Colour) -> tuple[int, int, int]:
    """Luma, blue difference and red difference of one colour."""
    red, green, blue = (value / 255 for value in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (blue - luma) / 1.8556),
        round(128 + 224 * (red - luma) / 1.5748),
    )


def patch(canvas: Canvas) -> Patch:
    """What is on `canvas`, in planes."""
    luma, blue, red = [], [], []
    for row in canvas.rows:
        pixels = zip(row[0::3], row[1::3], row[2::3], strict=True)
        one, two, three = zip(*map(samples, pixels), strict=True)
        luma.append(bytes(one))
        blue.append(two)
        red.append(three)
    return Patch(luma, list(_halved(blue)), list(_halved(red)))


def _halved(rows: list[tuple[int, ...]]) -> Iterable[bytes]:
    """Each two by two samples as their mean."""
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        fours = zip(upper[::2], upper[1::2], lower[::2], lower[1::2], strict=True)
        yield bytes((a + b + c + d + 2) >> 2 for a, b, c, d in fours)


class Planes:
    """A picture that is drawn into, which notes the macroblocks that were touched.

    The planes are as large as whole macroblocks need; what hangs over is not shown.
    """

    def __init__(self, width: int, height: int) -> None:
        self.across, self.down = -(-width // BLOCK), -(-height // BLOCK)
        self._luma = [bytearray(b"\x10" * BLOCK * self.across) for _ in range(BLOCK * self.down)]
        self._blue, self._red = (
            [bytearray(b"\x80" * 8 * self.across) for _ in range(8 * self.down)] for _ in range(2)
        )
        self._touched = set(range(self.across * self.down))

    def paste(self, x: int, y: int, part: Patch) -> None:
        """Put `part` with its upper left corner at (x, y), both even."""
        _put(self._luma, x, y, part.luma)
        _put(self._blue, x // 2, y // 2, part.blue)
        _put(self._red, x // 2, y // 2, part.red)
        right, bottom = x + len(part.luma[0]) - 1, y + len(part.luma) - 1
        for line in range(y // BLOCK, bottom // BLOCK + 1):
            first = line * self.across
            self._touched.update(range(first + x // BLOCK, first + right // BLOCK + 1))

    def take_touched(self) -> list[int]:
        """The macroblocks drawn into since the last call, in their order."""
        touched, self._touched = sorted(self._touched), set()
        return touched

    def macroblock(self, number: int) -> bytes:
        """The 384 samples of one: 16 × 16 luma, then 8 × 8 blue and 8 × 8 red difference."""
        line, column = divmod(number, self.across)
        x, y = column * BLOCK, line * BLOCK
        rows = [row[x : x + 16] for row in self._luma[y : y + 16]]
        x, y = x // 2, y // 2
        rows += [row[x : x + 8] for row in self._blue[y : y + 8]]
        rows += [row[x : x + 8] for row in self._red[y : y + 8]]
        return b"".join(rows)


def _put(plane: list[bytearray], x: int, y: int, rows: list[bytes]) -> None:
    for line, row in enumerate(rows, y):
        plane[line][x : x + len(row)] = row

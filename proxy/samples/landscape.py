"""The motif: water that comes through a headgate, at dusk.

Lengths are in units of the picture's height and counted sideways from the middle of the gate, so
the same drawing fits the still picture and the clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from proxy.samples.canvas import Canvas, Colour, Paint, Point, ellipse, flat, gradient, mix

SKY = ((0.0, (22, 44, 84)), (0.22, (70, 92, 142)), (0.40, (214, 142, 128)), (0.56, (252, 206, 150)))
HILLS: tuple[tuple[float, float, float, Colour], ...] = (
    # height of its foot line, how high it swings, how long a wave is, colour
    (0.46, 0.050, 0.90, (150, 116, 140)),
    (0.50, 0.042, 0.61, (104, 90, 124)),
    (0.54, 0.034, 0.43, (66, 70, 102)),
)
STONE = ((146, 138, 136), (96, 90, 96))
SHADE, IRON, WOOD = (58, 54, 66), (44, 46, 58), (134, 88, 56)
WATER = ((44, 112, 146), (24, 74, 116))
FOAM = (232, 244, 248)


def landscape(width: int, height: int, gate: float) -> Canvas:
    """The whole scene, with the gate's middle at `gate` of the width."""
    scene = _Scene(Canvas(width, height), gate * width, float(height))
    for step in (_sky, _hills, _wall, _banks, _channel, _tower, _fall, _plate):
        step(scene)
    return scene.canvas


class _Scene:
    """A canvas with the origin and scale of the drawing."""

    def __init__(self, canvas: Canvas, middle: float, unit: float) -> None:
        self.canvas, self.middle, self.unit = canvas, middle, unit
        self.left = -middle / unit
        self.right = (canvas.width - middle) / unit

    def shape(self, points: Sequence[Point], paint: Paint, alpha: float = 1.0) -> None:
        pixels = [(self.middle + x * self.unit, y * self.unit) for x, y in points]
        self.canvas.polygon(pixels, paint, alpha)

    def box(
        self, left: float, top: float, right: float, bottom: float, paint: Paint, alpha: float = 1.0
    ) -> None:
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], paint, alpha)

    def fade(self, top: float, first: Colour, bottom: float, last: Colour) -> Paint:
        return gradient(top * self.unit, first, bottom * self.unit, last)


def _sky(scene: _Scene) -> None:
    for (top, first), (bottom, last) in pairwise(SKY):
        # down to the wall, so that the next one begins on this one's last colour, without a seam
        scene.box(scene.left, top, scene.right, 0.6, scene.fade(top, first, bottom, last))
    for radius in (0.30, 0.24, 0.18, 0.135, 0.10):
        scene.shape(ellipse(-0.42, 0.38, radius, radius, 72), flat((255, 214, 160)), 0.10)
    scene.shape(ellipse(-0.42, 0.38, 0.066, 0.066, 72), flat((255, 240, 208)))


def _hills(scene: _Scene) -> None:
    for number, (foot, swing, length, colour) in enumerate(HILLS):
        ridge = []
        for i in range(161):
            x = scene.left + (scene.right - scene.left) * i / 160
            angle = 2 * math.pi * x / length + 1.9 * number
            height = math.sin(angle) + 0.45 * math.sin(2.3 * angle + 1) + 0.12 * math.sin(7 * angle)
            ridge.append((x, foot - swing * height))
        outline = [(scene.left, 0.72), *ridge, (scene.right, 0.72)]
        scene.shape(outline, scene.fade(foot, colour, 0.66, mix(colour, (236, 176, 148), 0.35)))


def _wall(scene: _Scene) -> None:
    scene.box(scene.left, 0.585, scene.right, 0.76, scene.fade(0.58, STONE[0], 0.76, STONE[1]))
    _courses(scene, (scene.left, 0.585, scene.right, 0.76), 0.035, 0.11)
    scene.box(scene.left, 0.568, scene.right, 0.594, flat((176, 166, 160)))
    scene.box(scene.left, 0.594, scene.right, 0.602, flat(SHADE), 0.55)


def _courses(
    scene: _Scene, area: tuple[float, float, float, float], high: float, long: float
) -> None:
    """The joints between stones: every second course is moved by half a stone."""
    left, top, right, bottom = area
    line = 0.0022
    for row in range(math.ceil((bottom - top) / high)):
        y = top + row * high
        scene.box(left, y, right, y + line, flat(SHADE), 0.5)
        x = math.floor(left / long) * long + (row % 2) * long / 2
        while x < right:
            if x > left:
                scene.box(x, y, x + line, min(y + high, bottom), flat(SHADE), 0.5)
            x += long


def _banks(scene: _Scene) -> None:
    ground = scene.fade(0.74, (110, 116, 74), 1.0, (52, 74, 54))
    scene.box(scene.left, 0.74, scene.right, 1.0, ground)
    for i in range(90):  # tufts, scattered by the golden ratio so that they never line up
        y = 0.765 + 0.225 * ((i * 0.7548) % 1)
        x = scene.left + (scene.right - scene.left) * ((i * 0.61803) % 1)
        size = 0.006 + 0.03 * (y - 0.74)
        tuft = [(x - size, y), (x - size / 3, y - 2.2 * size), (x, y - size / 2)]
        tuft += [(x + size / 2, y - 2.6 * size), (x + size, y)]
        scene.shape(tuft, flat((146, 150, 88) if i % 3 else (40, 60, 48)), 0.7)


def _channel(scene: _Scene) -> None:
    stone = scene.fade(0.74, STONE[1], 1.0, STONE[0])
    scene.shape([(-0.185, 0.74), (0.185, 0.74), (0.60, 1.0), (-0.60, 1.0)], stone)
    water = scene.fade(0.74, WATER[0], 1.0, WATER[1])
    scene.shape([(-0.16, 0.74), (0.16, 0.74), (0.53, 1.0), (-0.53, 1.0)], water)
    for i in range(110):
        depth = ((i * 0.7548) % 1) ** 1.3
        y = 0.775 + 0.215 * depth
        reach = 0.15 + 0.36 * (y - 0.74) / 0.26 * 0.95
        x = reach * (2 * ((i * 0.5698) % 1) - 1) * 0.86
        across = (0.014 + 0.05 * depth) * (0.5 + (i * 0.347) % 1)
        across = min(across, reach - abs(x))
        bright = (118, 190, 210) if i % 3 else (250, 206, 168)
        scene.shape(ellipse(x, y, across, 0.0016 + 0.0035 * depth, 20), flat(bright), 0.5)


def _tower(scene: _Scene) -> None:
    scene.box(-0.125, 0.36, 0.125, 0.76, scene.fade(0.58, (40, 44, 62), 0.76, (20, 26, 40)))
    scene.box(-0.125, 0.34, 0.125, 0.568, scene.fade(0.34, (96, 92, 122), 0.568, (70, 72, 102)))
    for left, right in ((-0.19, -0.12), (0.12, 0.19)):
        scene.box(left, 0.335, right, 0.765, scene.fade(0.33, STONE[0], 0.77, STONE[1]))
        _courses(scene, (left, 0.335, right, 0.765), 0.043, 0.07)
        scene.box(right - 0.014, 0.335, right, 0.765, flat(SHADE), 0.35)
    scene.box(-0.215, 0.30, 0.215, 0.345, flat((176, 166, 160)))
    scene.box(-0.215, 0.335, 0.215, 0.345, flat(SHADE), 0.45)
    _wheel(scene)


def _wheel(scene: _Scene) -> None:
    """The hand wheel on the screw that lifts the plate."""
    scene.box(-0.007, 0.16, 0.007, 0.42, flat(IRON))
    ring = ellipse(0, 0.205, 0.078, 0.078, 60)
    hole = ellipse(0, 0.205, 0.064, 0.064, 60)
    scene.shape([*ring, ring[0], hole[0], *reversed(hole)], flat(IRON))
    for spoke in range(6):
        turn = math.pi * spoke / 3 + 0.3
        x, y = math.cos(turn), math.sin(turn)
        arm = [(0.004 * -y, 0.004 * x), (0.07 * x - 0.003 * y, 0.07 * y + 0.003 * x)]
        arm += [(0.07 * x + 0.003 * y, 0.07 * y - 0.003 * x), (0.004 * y, -0.004 * x)]
        scene.shape([(px, 0.205 + py) for px, py in arm], flat(IRON))
    scene.shape(ellipse(0, 0.205, 0.017, 0.017, 30), flat((122, 116, 122)))
    scene.box(-0.026, 0.272, 0.026, 0.302, flat(IRON))


def _plate(scene: _Scene) -> None:
    """Five planks, two iron bands, lifted so far that the water passes below."""
    for plank in range(5):
        left = -0.118 + plank * 0.0472
        colour = mix(WOOD, (168, 116, 76), (plank * 0.618) % 1)
        paint = scene.fade(0.41, colour, 0.655, mix(colour, (60, 40, 40), 0.5))
        scene.box(left, 0.41, left + 0.0448, 0.655, paint)
        scene.box(left + 0.0448, 0.41, left + 0.0472, 0.655, flat((62, 42, 40)))
    for y in (0.445, 0.60):
        scene.box(-0.118, y, 0.118, y + 0.018, flat(IRON))
        for bolt in range(5):
            scene.shape(
                ellipse(-0.0945 + bolt * 0.0472, y + 0.009, 0.0045, 0.0045, 16),
                flat((150, 146, 150)),
            )


def _fall(scene: _Scene) -> None:
    sheet = scene.fade(0.66, (66, 140, 172), 0.79, (176, 216, 228))
    scene.shape([(-0.118, 0.65), (0.118, 0.65), (0.128, 0.785), (-0.128, 0.785)], sheet)
    for i in range(13):
        x = -0.108 + i * 0.018
        strand = [(x, 0.655), (x + 0.004, 0.655), (x * 1.08 + 0.007, 0.785), (x * 1.08, 0.785)]
        scene.shape(strand, flat(FOAM), 0.30 + 0.3 * ((i * 0.618) % 1))
    for i in range(34):
        x = -0.155 + 0.31 * ((i * 0.618) % 1)
        y = 0.788 + 0.020 * ((i * 0.7548) % 1) - 0.25 * x * x
        size = 0.010 + 0.012 * ((i * 0.347) % 1)
        scene.shape(ellipse(x, y, size * 1.5, size * 0.7, 24), flat(FOAM), 0.5)

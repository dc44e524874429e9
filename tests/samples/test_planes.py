from __future__ import annotations

import pytest

from proxy.samples.canvas import Canvas, Colour, flat
from proxy.samples.planes import Planes, patch, samples


# BT.709 in the limited range: H.273, table 4 with the equations of clause 8.3
@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_colours_become_samples(colour: Colour, expected: tuple[int, int, int]) -> None:
    assert samples(colour) == expected


def test_four_pixels_share_the_mean_of_their_chroma() -> None:
    canvas = Canvas(4, 2)
    canvas.rectangle(0, 0, 1, 2, flat((255, 0, 0)))
    part = patch(canvas)
    assert part.luma == [bytes([63, 16, 16, 16])] * 2
    assert part.red == [bytes([(240 + 128) // 2, 128])]


def test_a_macroblock_is_luma_then_both_chroma_planes() -> None:
    canvas = Canvas(16, 16)
    canvas.rectangle(0, 0, 16, 16, flat((0, 0, 255)))
    planes = Planes(32, 32)
    planes.paste(16, 16, patch(canvas))
    assert planes.macroblock(3) == b"\x20" * 256 + b"\xf0" * 64 + b"\x76" * 64
    assert planes.macroblock(0) == b"\x10" * 256 + b"\x80" * 128


def test_planes_reach_to_whole_macroblocks() -> None:
    planes = Planes(33, 17)
    assert (planes.across, planes.down) == (3, 2)
    assert len(planes.macroblock(5)) == 384

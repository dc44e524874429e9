from __future__ import annotations

import pytest

from proxy.samples.canvas import Canvas, flat, gradient, mix

WHITE = (255, 255, 255)


def row(canvas: Canvas, y: int = 0) -> list[int]:
    """The red values of one row."""
    return list(canvas.rows[y][::3])


def test_whole_pixels_are_filled_and_no_others() -> None:
    canvas = Canvas(5, 3)
    canvas.rectangle(1, 1, 4, 2, flat(WHITE))
    assert [row(canvas, y) for y in range(3)] == [[0] * 5, [0, 255, 255, 255, 0], [0] * 5]


def test_an_edge_inside_a_pixel_covers_its_share() -> None:
    canvas = Canvas(4, 1)
    canvas.rectangle(0.5, 0, 2.25, 1, flat(WHITE))
    assert row(canvas) == pytest.approx([128, 255, 64, 0], abs=1)


def test_a_row_partly_covered_is_blended() -> None:
    canvas = Canvas(2, 2)
    canvas.rectangle(0, 0.5, 2, 2, flat(WHITE))
    assert row(canvas, 0) == pytest.approx([128, 128], abs=1)
    assert row(canvas, 1) == [255, 255]


def test_opacity_leaves_some_of_what_was_there() -> None:
    canvas = Canvas(1, 1)
    canvas.rectangle(0, 0, 1, 1, flat((200, 0, 100)))
    canvas.rectangle(0, 0, 1, 1, flat((0, 200, 100)), 0.25)
    assert tuple(canvas.rows[0]) == pytest.approx((150, 50, 100), abs=1)


def test_what_hangs_over_the_edges_is_cut_off() -> None:
    canvas = Canvas(3, 2)
    canvas.rectangle(-9, -9, 99, 99, flat(WHITE))
    canvas.rectangle(50, 50, 60, 60, flat((1, 1, 1)))
    assert [bytes(r) for r in canvas.rows] == [b"\xff" * 9] * 2


def test_a_hole_stays_open() -> None:
    canvas = Canvas(5, 1)
    outer, inner = [(0, 0), (5, 0), (5, 1), (0, 1)], [(2, 0), (3, 0), (3, 1), (2, 1)]
    canvas.polygon([*outer, outer[0], *inner, inner[0]], flat(WHITE))
    assert row(canvas) == [255, 255, 0, 255, 255]


def test_a_gradient_goes_from_one_colour_to_the_other_and_stays() -> None:
    paint = gradient(10, (0, 0, 0), 20, (100, 200, 50))
    assert [paint(y) for y in (0, 10, 15, 20, 99)] == [
        (0, 0, 0), (0, 0, 0), (50, 100, 25), (100, 200, 50), (100, 200, 50)
    ]  # fmt: skip
    assert mix((0, 0, 0), (10, 20, 30), 0.5) == (5, 10, 15)


def test_a_crop_is_a_copy() -> None:
    canvas = Canvas(4, 4)
    canvas.rectangle(2, 2, 3, 3, flat(WHITE))
    part = canvas.crop(2, 2, 2, 1)
    assert (part.width, part.height, row(part)) == (2, 1, [255, 0])
    part.rectangle(0, 0, 2, 1, flat((9, 9, 9)))
    assert row(canvas, 2) == [0, 0, 255, 0]

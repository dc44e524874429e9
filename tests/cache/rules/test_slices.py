"""The arithmetic of slices, as tables and beside counting byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.rules.slices import first_slice, indexes_of, pieces_of, slice_count, slice_span
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span

WIDTHS = st.integers(1, 9)
SIZES = st.integers(0, 60)


@st.composite
def spans(draw: st.DrawFn, size: int = 60) -> Span:
    start = draw(st.integers(0, size))
    return Span(start, draw(st.integers(start, size)))


@pytest.mark.parametrize(
    ("size", "width", "count"),
    [(0, 8, 0), (1, 8, 1), (7, 8, 1), (8, 8, 1), (9, 8, 2), (16, 8, 2), (5 * 2**40, 2**23, 655360)],
)
def test_count(size: int, width: int, count: int) -> None:
    assert slice_count(size, width) == count


@given(SIZES, WIDTHS)
def test_slices_hold_each_byte_once(size: int, width: int) -> None:
    count = slice_count(size, width)
    held = [slice_span(index, size, width) for index in range(count)]
    assert [at for span in held for at in range(span.start, span.stop)] == list(range(size))
    assert all(span.length == width for span in held[:-1])
    assert all(0 < span.length <= width for span in held)


@given(spans(), WIDTHS)
def test_indexes_are_those_of_the_bytes(span: Span, width: int) -> None:
    bytes_ = range(span.start, span.stop)
    assert list(indexes_of(span, width)) == sorted({at // width for at in bytes_})


@given(spans(), WIDTHS)
def test_pieces_are_the_span_in_order(span: Span, width: int) -> None:
    pieces = list(pieces_of(span, width))
    assert [index for index, _ in pieces] == list(indexes_of(span, width))
    assert all(piece.length > 0 for _, piece in pieces)
    for index, piece in pieces:
        assert index * width <= piece.start < piece.stop <= (index + 1) * width
    covered = [at for _, piece in pieces for at in range(piece.start, piece.stop)]
    assert covered == list(range(span.start, span.stop))


@pytest.mark.parametrize(
    ("asked", "size", "first"),
    [
        (None, None, 0),
        (None, 100, 0),
        (None, 0, 0),
        (ByteRange(0, None), None, 0),
        (ByteRange(9, 9), None, 0),
        (ByteRange(10, None), None, 1),
        (ByteRange(25, 99), None, 2),
        (ByteRange(None, 5), None, None),
        (ByteRange(None, 5), 100, 9),
        (ByteRange(None, 11), 100, 8),
        (ByteRange(None, 1000), 100, 0),
        (ByteRange(None, 0), 100, None),
        (ByteRange(None, 5), 0, None),
        (ByteRange(99, None), 100, 9),
        (ByteRange(100, None), 100, None),
        (ByteRange(0, None), 0, None),
    ],
)
def test_first_slice(asked: ByteRange | None, size: int | None, first: int | None) -> None:
    assert first_slice(asked, size, 10) == first


@given(st.integers(0, 99), st.none() | st.integers(0, 99), st.integers(1, 99), WIDTHS)
def test_the_first_slice_is_the_same_with_the_size_and_without(
    first: int, last: int | None, size: int, width: int
) -> None:
    if last is not None and last < first:
        first, last = last, first
    asked = ByteRange(first, last)
    if asked.meet(size) is not None:
        assert first_slice(asked, size, width) == first_slice(asked, None, width)

"""Slice arithmetic: an object is cut into slices of one size, of which the last may be shorter.

Pure. Slices are numbered from 0. A span is of the object's bytes unless it is said to lie within
a slice.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span


def slice_count(size: int, width: int) -> int:
    """How many slices `width` bytes wide an object of `size` bytes has."""
    return -(-size // width)


def slice_span(index: int, size: int, width: int) -> Span:
    """The bytes of the object that a slice holds."""
    return Span(index * width, min((index + 1) * width, size))


def indexes_of(span: Span, width: int) -> range:
    """The slices that a span lies in; none for an empty one."""
    if not span.length:
        return range(0)
    return range(span.start // width, (span.stop - 1) // width + 1)


def pieces_of(span: Span, width: int) -> Iterator[tuple[int, Span]]:
    """The span cut at the slices' edges: each slice's number, and what of the span is in it."""
    for index in indexes_of(span, width):
        start, stop = index * width, (index + 1) * width
        yield index, Span(max(span.start, start), min(span.stop, stop))


def first_slice(asked: ByteRange | None, size: int | None, width: int) -> int | None:
    """The slice that a request wants first. None: it can't be known without the object's size, or
    no slice is wanted."""
    if asked is None:
        return 0
    if size is not None:
        span = asked.meet(size)
        return span.start // width if span else None
    return None if asked.first is None else asked.first // width

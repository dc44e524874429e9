"""Which parts a range lies in: all of its bytes, whole parts, and no more than may be read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.integrity.checksums import digest_of
from proxy.integrity.stretches import Stretch, agrees, stretch_over
from proxy.semantics.representation import Checksum, Span
from tests.integrity.objects import checksum_of, composite_of, part_sums_of

PARTS = [b"a" * 10, b"b" * 10, b"c" * 10, b"d" * 3]
SUMS = part_sums_of("sha256", PARTS)


@pytest.mark.parametrize(
    ("start", "stop", "whole"),
    [
        (0, 1, (0, 10)),
        (9, 10, (0, 10)),
        (10, 11, (10, 20)),
        (9, 11, (0, 20)),
        (10, 20, (10, 20)),
        (15, 31, (10, 33)),
        (30, 33, (30, 33)),
        (0, 33, (0, 33)),
    ],
)
def test_whole_parts(start: int, stop: int, whole: tuple[int, int]) -> None:
    found = stretch_over(SUMS, [Span(start, stop)], 33)
    assert found is not None
    assert found.span == Span(*whole)
    assert sum(found.sizes) == found.span.length


@pytest.mark.parametrize(("most", "found"), [(8, False), (9, True), (10, True)])
def test_no_more_is_read_in_vain_than_may_be(most: int, found: bool) -> None:
    assert (stretch_over(SUMS, [Span(3, 4)], most) is not None) is found


@pytest.mark.parametrize(("most", "whole"), [(19, (0, 20)), (18, (0, 10)), (8, None)])
def test_the_widest_that_is_not_too_much(most: int, whole: tuple[int, int] | None) -> None:
    found = stretch_over(SUMS, [Span(0, 12), Span(3, 4)], most)
    assert (None if found is None else found.span) == (None if whole is None else Span(*whole))


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=9),
    ends=st.tuples(st.integers(0), st.integers(0)),
    bit=st.none() | st.integers(0),
)
def test_a_stretch_is_right_if_its_bytes_are(
    sizes: list[int], ends: tuple[int, int], bit: int | None
) -> None:
    size = sum(sizes)
    body = bytes(number * 7 % 256 for number in range(size))
    edges = list(itertools.accumulate([0, *sizes]))
    parts = [body[a:b] for a, b in itertools.pairwise(edges)]
    start = ends[0] % size
    span = Span(start, start + 1 + ends[1] % (size - start))
    found = stretch_over(part_sums_of("crc32c", parts), [span], size)
    assert found is not None
    assert found.span.start <= span.start
    assert span.stop <= found.span.stop
    assert {found.span.start, found.span.stop} <= set(edges)
    piece = bytearray(body[found.span.start : found.span.stop])
    if bit is not None:
        piece[bit // 8 % len(piece)] ^= 1 << bit % 8
    total = found.new_sum()
    total.update(bytes(piece))
    assert (total.digest() == found.expected.value) is (bit is None)


def test_all_of_an_object_that_has_a_checksum_of_the_whole() -> None:
    total = Stretch(Span(0, 10), checksum_of("crc32c", PARTS[0])).new_sum()
    total.update(PARTS[0])
    assert total.digest() == digest_of("crc32c", PARTS[0])


@pytest.mark.parametrize(
    ("checksums", "said"),
    [
        ((), True),
        ((composite_of("sha256", PARTS),), True),
        ((composite_of("md5", PARTS),), True),
        ((composite_of("sha256", PARTS[:2]),), False),
        ((composite_of("md5", PARTS), composite_of("sha256", PARTS[:2])), False),
    ],
)
def test_the_sums_of_parts_have_to_come_to_that_of_the_object(
    checksums: tuple[Checksum, ...], said: bool
) -> None:
    assert agrees(SUMS, checksums) is said

"""The CRC of a whole from slices in any order."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.integrity.combination import combine, is_combinable
from proxy.semantics.representation import Algorithm, Span
from tests.integrity.objects import ALGORITHMS, digest

CRCS = [algorithm for algorithm in ALGORITHMS if is_combinable(algorithm)]


def sliced(algorithm: Algorithm, body: bytes, edges: list[int]) -> list[tuple[Span, bytes]]:
    spans = [Span(a, b) for a, b in itertools.pairwise(edges)]
    return [(span, digest(algorithm, body[span.start : span.stop])) for span in spans]


@pytest.mark.parametrize("algorithm", CRCS)
@given(
    body=st.binary(min_size=1, max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=8),
    order=st.randoms(),
)
def test_any_slices_in_any_order(
    algorithm: Algorithm, body: bytes, cuts: list[int], order: random.Random
) -> None:
    slices = sliced(algorithm, body, [0, *sorted(min(c, len(body)) for c in cuts), len(body)])
    order.shuffle(slices)
    assert combine(algorithm, slices) == digest(algorithm, body)


def test_a_gap_an_overlap_or_a_missing_start() -> None:
    body = bytes(range(100))
    whole = sliced("crc32c", body, [0, 10, 20, 100])
    for wrong in (
        whole[1:],
        [whole[0], whole[2]],
        [*whole, whole[1]],
        [*whole[:2], (Span(19, 100), b"0000")],
    ):
        with pytest.raises(ValueError, match="gap or overlap"):
            combine("crc32c", wrong)


def test_a_slice_that_is_wrong_shows() -> None:
    body = bytes(range(100))
    slices = sliced("crc64nvme", body, [0, 50, 100])
    slices[1] = (slices[1][0], digest("crc64nvme", body[50:99] + b"?"))
    assert combine("crc64nvme", slices) != digest("crc64nvme", body)


def test_only_crcs() -> None:
    assert CRCS == ["crc64nvme", "crc32c", "crc32"]
    with pytest.raises(ValueError, match="sha256"):
        combine("sha256", [])

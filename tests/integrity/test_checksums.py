"""The algorithms against published values, against slow definitions, and split in any way."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.integrity.checksums import PartsSum, Sum, digest_of, is_fast, new_sum
from proxy.semantics.representation import Algorithm
from tests.integrity.objects import ALGORITHMS, composite_of, digest

# The check values of the CRC catalogue, of FIPS 180 and of RFC 1321.
KNOWN: list[tuple[Algorithm, bytes, str]] = [
    ("crc64nvme", b"123456789", "ae8b14860a799888"),
    ("crc32c", b"123456789", "e3069283"),
    ("crc32", b"123456789", "cbf43926"),
    ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha1", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("md5", b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("crc64nvme", b"", "0000000000000000"),
    ("crc32c", b"", "00000000"),
    ("crc32", b"", "00000000"),
    ("md5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
]


@pytest.mark.parametrize(("algorithm", "body", "value"), KNOWN)
def test_known_values(algorithm: Algorithm, body: bytes, value: str) -> None:
    assert digest_of(algorithm, body).hex() == value


def feed(total: Sum, body: bytes, cuts: list[int]) -> bytes:
    """The digest of a body given in pieces; empty ones among them."""
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, stop in itertools.pairwise(edges):
        total.update(body[start:stop])
    return total.digest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_any_split_gives_the_same(algorithm: Algorithm, body: bytes, cuts: list[int]) -> None:
    assert feed(new_sum(algorithm), body, cuts) == digest(algorithm, body)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 240), max_size=8),
    seed=st.integers(0, 99),
)
def test_any_split_of_parts(
    algorithm: Algorithm, sizes: list[int], cuts: list[int], seed: int
) -> None:
    parts = [random.Random(seed + size).randbytes(size) for size in sizes]
    # A part of nothing at the end can't be told from its absence; no store has one.
    if len(parts) > 1 and not parts[-1]:
        parts[-1], sizes = b"x", [*sizes[:-1], 1]
    expected = composite_of(algorithm, parts).value
    assert feed(PartsSum(algorithm, sizes), b"".join(parts), cuts) == expected


def test_parts_that_end_early_or_late() -> None:
    parts = [b"abcd", b"efgh", b"ij"]
    expected = composite_of("crc32c", parts).value
    sizes = [4, 4, 2]
    for body in (b"", b"abcd", b"abcdefgh", b"abcdefghi", b"abcdefghijk", b"abcdefghij" * 2):
        assert feed(PartsSum("crc32c", sizes), body, [3, 7]) != expected, body


def test_only_the_crcs_are_fast() -> None:
    assert [a for a in ALGORITHMS if is_fast(a)] == ["crc64nvme", "crc32c", "crc32"]

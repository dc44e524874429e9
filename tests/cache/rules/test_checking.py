"""Check values beside those of the whole, and every damage shows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from awscrt import checksums as crt
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.rules.checking import BLOCK, WIDTH, BlockSums, agree, blocks_in, combined, sum_of
from tests.cache.samples import bytes_of

# Lengths around the edges of blocks.
LENGTHS = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])


def table_of(body: bytes) -> bytes:
    sums = BlockSums()
    sums.update(body)
    return sums.table()


@st.composite
def bodies_in_pieces(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A body, and the same in buffers of any size, empty ones too."""
    body = bytes_of(draw(LENGTHS), draw(st.integers(0, 9)))
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    edges = [0, *cuts, len(body)]
    return body, [body[a:b] for a, b in pairwise(edges)]


def test_the_sum_is_crc64nvme() -> None:
    assert sum_of(b"123456789").hex() == "ae8b14860a799888"  # the catalogue's check value
    assert sum_of(memoryview(b"123456789")) == sum_of(b"123456789")
    assert len(sum_of(b"")) == WIDTH


@settings(deadline=None)
@given(bodies_in_pieces())
def test_a_table_is_the_same_however_the_bytes_come(given_: tuple[bytes, list[bytes]]) -> None:
    body, pieces = given_
    sums = BlockSums()
    for piece in pieces:
        sums.update(piece)
    expected = [sum_of(body[at : at + BLOCK]) for at in range(0, len(body), BLOCK)]
    assert sums.table() == b"".join(expected)
    assert sums.table() == b"".join(expected)
    assert len(expected) == blocks_in(len(body))


@pytest.mark.parametrize("length", [1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
def test_single_bytes_make_the_same_table(length: int) -> None:
    body = bytes_of(length)
    sums = BlockSums()
    for at in range(length):
        sums.update(body[at : at + 1])
    assert sums.table() == table_of(body)


@pytest.mark.parametrize(
    ("length", "blocks"), [(0, 0), (1, 1), (BLOCK, 1), (BLOCK + 1, 2), (8 * 2**20, 128)]
)
def test_blocks_in(length: int, blocks: int) -> None:
    assert blocks_in(length) == blocks


BODY = bytes_of(3 * BLOCK + 100)
TABLE = table_of(BODY)


@pytest.mark.parametrize(
    ("first", "start", "stop"),
    [
        (0, 0, BLOCK),
        (0, 0, 2 * BLOCK),
        (1, BLOCK, 3 * BLOCK),
        (2, 2 * BLOCK, len(BODY)),
        (3, 3 * BLOCK, len(BODY)),
        (0, 0, len(BODY)),
        (1, BLOCK, BLOCK),
    ],
)
def test_whole_blocks_agree(first: int, start: int, stop: int) -> None:
    assert agree(BODY[start:stop], TABLE, first)
    assert agree(memoryview(BODY)[start:stop], TABLE, first)


@pytest.mark.parametrize(
    ("blocks", "first"),
    [
        (BODY[:BLOCK], 1),
        (BODY[BLOCK : 2 * BLOCK], 0),
        (BODY[3 * BLOCK :], 4),  # there is no such block
        (BODY[3 * BLOCK :], 2),
        (BODY[: BLOCK - 1], 0),
        (BODY[3 * BLOCK : -1], 3),
        (BODY[3 * BLOCK :] + b"\0", 3),
        (BODY[1 : BLOCK + 1], 0),
        (BODY + BODY[:BLOCK], 0),
        (BODY + b"\0" * (BLOCK - 100), 0),
        (BODY[BLOCK : 2 * BLOCK] + BODY[:BLOCK], 0),
        (bytes(BLOCK), 0),
    ],
)
def test_other_blocks_do_not_agree(blocks: bytes, first: int) -> None:
    assert not agree(blocks, TABLE, first)


@settings(deadline=None)
@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_flipped_byte_shows(at: int, bits: int) -> None:
    damaged = bytearray(BODY)
    damaged[at] ^= bits
    assert not agree(bytes(damaged), TABLE, 0)
    block = at // BLOCK
    assert not agree(bytes(damaged[block * BLOCK : (block + 1) * BLOCK]), TABLE, block)


@given(st.integers(0, len(TABLE) - 1), st.integers(1, 255))
def test_any_flipped_byte_of_the_table_shows(at: int, bits: int) -> None:
    damaged = bytearray(TABLE)
    damaged[at] ^= bits
    assert not agree(BODY, bytes(damaged), 0)


@settings(deadline=None)
@given(LENGTHS, st.sampled_from([1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 10 * BLOCK]))
def test_slices_together_have_the_sum_of_the_whole(length: int, width: int) -> None:
    body = bytes_of(length)
    slices = [body[at : at + width] for at in range(0, length, width)]
    tables = [(table_of(one), len(one)) for one in slices]
    assert combined(tables) == crt.crc64nvme(body).to_bytes(8, "big")


@settings(deadline=None)
@given(bodies_in_pieces())
def test_any_cut_into_slices_has_the_sum_of_the_whole(given_: tuple[bytes, list[bytes]]) -> None:
    body, pieces = given_
    assert combined([(table_of(one), len(one)) for one in pieces]) == sum_of(body)


def test_the_order_of_slices_counts() -> None:
    one, other = (table_of(b"one"), 3), (table_of(b"other"), 5)
    assert combined([one, other]) == sum_of(b"oneother") != combined([other, one])

"""Blocks that come: decoded within bounds, and remembered only while that is right."""

from __future__ import annotations

import contextlib

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.blocks import BlockReader
from proxy.server.http2.faults import ConnectionFault, ErrorCode
from proxy.server.http2.fields import Head, read_head
from tests.server.http2.driving import GET, block


def read(reader: BlockReader, coded: bytes) -> tuple[Head, bool]:
    """As a connection reads a head, and whether it was remembered."""
    known = reader.recall(coded)
    if known is not None:
        return known, True
    head = read_head(reader.decode(coded), most_bytes=16384)
    reader.remember(coded, head)
    return head, False


def test_a_block_that_changes_nothing_is_remembered_until_the_table_changes() -> None:
    reader, encoder = BlockReader(32768), Encoder()
    first, again = encoder.encode(GET), encoder.encode(GET)
    assert not read(reader, first)[1]  # it added entries
    assert not read(reader, again)[1]
    assert read(reader, again)[1]
    read(reader, encoder.encode((*GET, (b"a", b"b"))))
    head, remembered = read(reader, encoder.encode(GET))
    assert not remembered
    assert head.target == b"/"


@given(st.lists(st.sampled_from([b"/", b"/a", b"/b", b"/" + b"c" * 300]), max_size=60))
def test_what_is_remembered_is_what_would_be_decoded(targets: list[bytes]) -> None:
    """With a table so small that entries come and go all the time."""
    reader, encoder = BlockReader(32768), Encoder()
    encoder.header_table_size = 200
    for target in targets:
        head, _ = read(reader, encoder.encode((*GET[:3], (b":path", target))))
        assert head.target == target


def test_a_change_of_the_tables_size_forgets() -> None:
    reader, encoder = BlockReader(32768), Encoder()
    read(reader, encoder.encode(GET))
    again = encoder.encode(GET)
    read(reader, again)
    assert read(reader, again)[1]
    encoder.header_table_size = 0
    read(reader, encoder.encode(((b":method", b"GET"), *GET[1:])))
    assert not read(reader, block(GET))[1]
    with pytest.raises(ConnectionFault):  # the entries it refers to are gone
        read(reader, again)


def test_not_too_much_is_remembered() -> None:
    reader = BlockReader(32768)
    large = block((*GET, (b"a", b"b" * 1000)))
    assert not read(reader, large)[1]
    assert not read(reader, large)[1]
    for number in range(100):
        read(reader, block((*GET[:3], (b":path", b"/%d" % number))))
    assert not read(reader, block((*GET[:3], (b":path", b"/99"))))[1]
    assert read(reader, block((*GET[:3], (b":path", b"/1"))))[1]


@pytest.mark.parametrize(
    "coded",
    [
        block([(b"a", b"b" * 33000)]),
        block([(b"a", b"b" * 3000)], 0x40) + b"\xbe" * 20,  # references to a large entry
        b"\x82" * 600,  # a byte each
    ],
)
def test_a_bomb_is_not_unpacked(coded: bytes) -> None:
    with pytest.raises(ConnectionFault) as caught:
        BlockReader(32768).decode(coded)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


@given(st.binary(max_size=60))
def test_no_block_raises_anything_else(coded: bytes) -> None:
    with contextlib.suppress(ConnectionFault):
        BlockReader(32768).decode(coded)

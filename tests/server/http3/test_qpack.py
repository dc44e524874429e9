"""Field blocks: aioquic's own encoder and decoder read what we write, and we what they write."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic.h3 import connection as oracle
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.field_blocks import integer
from proxy.server.hot import Prepared
from proxy.server.http3.faults import ConnectionFault, ErrorCode
from proxy.server.http3.qpack import BLOCKS, TooLarge, read_block
from proxy.server.http3.static_table import STATIC_TABLE
from proxy.server.requests import MOST_FIELDS

LSQPACK: Any = vars(oracle)["pylsqpack"]
NAMES = st.sampled_from(
    [b"accept", b"x-odd", b":path", b"cookie", b"a" * 200, b"content-type", b"user-agent"]
)
VALUES = st.one_of(
    st.binary(max_size=300), st.sampled_from([b"gzip, deflate, br", b"*/*", b"text/html"])
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=20)


def their_reading(block: bytes) -> list[tuple[bytes, bytes]]:
    _, fields = LSQPACK.Decoder(0, 0).feed_header(0, block)
    found: list[tuple[bytes, bytes]] = fields
    return found


@given(FIELDS)
def test_we_read_what_they_write(fields: list[tuple[bytes, bytes]]) -> None:
    _, block = LSQPACK.Encoder().encode(0, fields)
    assert read_block(block, 1 << 20) == fields


def test_the_static_table_is_theirs() -> None:
    assert len(STATIC_TABLE) == 99
    for index, field in enumerate(STATIC_TABLE):
        block = b"\0\0" + integer(index, 6, 0xC0)
        assert their_reading(block) == read_block(block, 1000) == [field]


@pytest.mark.parametrize("status", [200, 206, 304, 404, 503, 599])
def test_they_read_the_heads_we_write(status: int) -> None:
    headers = [(b"X-Long-Name", b"v" * 500), (b"Content-Type", b"text/plain"), (b"Via", b"a")]
    fields = their_reading(BLOCKS.head(status, headers).block)
    assert fields[:4] == [
        (b":status", b"%d" % status),
        (b"x-long-name", b"v" * 500),
        (b"content-type", b"text/plain"),
        (b"via", b"a"),
    ]
    assert [name for name, _ in fields[4:]] == [b"date"]
    assert their_reading(BLOCKS.trailers([(b"x-end", b"")])) == [(b"x-end", b"")]
    assert their_reading(BLOCKS.interim) == [(b":status", b"100")]


def test_a_prepared_answer_is_written_the_same_each_time() -> None:
    prepared = Prepared(200, ((b"etag", b'"a"'),), b"body")
    prepared.age = lambda: 7
    for request_id in (b"one", b"another"):
        block = BLOCKS.prepared(prepared, request_id) + BLOCKS.fields([(b"alt-svc", b"h3")])
        fields = dict(their_reading(block))
        assert fields.pop(b"date")
        assert fields == {
            b":status": b"200",
            b"x-request-id": request_id,
            b"age": b"7",
            b"etag": b'"a"',
            b"alt-svc": b"h3",
        }
    assert prepared.written.http3 is not None
    assert prepared.written.http2 is None


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\0",
        b"\x02\0\x80",  # needs an entry of the dynamic table
        b"\0\x80\xd1",  # a base below none
        b"\0\0\x80",  # indexed, dynamic
        b"\0\0\x10",  # indexed, behind the base
        b"\0\0\x40\x01a",  # a name of the dynamic table
        b"\0\0\x00\x01a",  # likewise, behind the base
        b"\0\0\xff\x24",  # index 99: beyond the static table
        b"\0\0\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\x51\x7f\xff\xff\xff\xff\x7f",
        b"\0\0\x51\x05ab",  # a string cut short
        b"\0\0\x51\x81\x00",  # padding that is none (RFC 7541 §5.2)
        b"\0\0\x27\x10a",
    ],
)
def test_what_can_not_be_decoded_ends_the_connection(block: bytes) -> None:
    with pytest.raises(ConnectionFault) as caught:
        read_block(block, 1000)
    assert caught.value.code == ErrorCode.DECOMPRESSION_FAILED


def test_with_no_dynamic_table_any_base_will_do() -> None:
    """RFC 9204 §4.5.1.2."""
    assert read_block(b"\0\x01\xd1", 1000) == their_reading(b"\0\x01\xd1") == [(b":method", b"GET")]


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_fault(block: bytes) -> None:
    try:
        fields = read_block(block, 2000)
    except (ConnectionFault, TooLarge):
        return
    if fields and all(name for name, _ in fields):  # they take neither nothing nor an empty name
        assert their_reading(block) == fields


def test_a_block_is_read_no_further_than_a_head_may_go() -> None:
    one = integer(31, 6, 0xC0)
    assert len(read_block(b"\0\0" + one * 10, 1000)) == 10
    for block, most in ((one * 16, 1000), (one * (MOST_FIELDS + 2), 1 << 20)):
        with pytest.raises(TooLarge):
            read_block(b"\0\0" + block, most)

"""Frames out and in again; faults of shape are in test_connection.py's table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2 import frames
from proxy.server.http2.faults import ConnectionFault
from proxy.server.http2.frames import Frame, FrameReader


def read(data: bytes) -> list[Frame]:
    reader = FrameReader()
    reader.feed(frames.PREFACE + data)
    found = []
    while (one := reader.next()) is not None:
        found.append(one)
    return found


@given(st.binary(max_size=300), st.integers(20, 100), st.booleans())
def test_a_block_is_cut_into_frames_and_whole_again(block: bytes, most: int, end: bool) -> None:
    first, *others = read(frames.headers_to_send(7, block, most, end=end))
    assert first.kind == frames.HEADERS
    assert bool(first.flags & frames.END_STREAM) == end
    assert {one.kind for one in others} <= {frames.CONTINUATION}
    assert b"".join(one.payload for one in (first, *others)) == block
    last = [bool(one.flags & frames.END_HEADERS) for one in (first, *others)]
    assert last == [False] * len(others) + [True]
    assert all(len(one.payload) <= most and one.stream_id == 7 for one in (first, *others))


def test_what_is_sent_can_be_read() -> None:
    sent = [
        frames.settings_to_send([(4, 1), (5, 16384)]),
        frames.SETTINGS_ACK,
        frames.ping_to_send(b"12345678"),
        frames.ping_to_send(b"12345678", ack=True),
        frames.reset_to_send(3, 8),
        frames.goaway_to_send(5, 11),
        frames.window_update_to_send(0, 70_000),
        frames.frame_header(0, frames.DATA, frames.END_STREAM, 2**31 - 1),
    ]
    assert read(b"".join(sent)) == [
        Frame(frames.SETTINGS, 0, 0, b"\0\4\0\0\0\1\0\5\0\0\x40\0"),
        Frame(frames.SETTINGS, frames.ACK, 0, b""),
        Frame(frames.PING, 0, 0, b"12345678"),
        Frame(frames.PING, frames.ACK, 0, b"12345678"),
        Frame(frames.RST_STREAM, 0, 3, b"\0\0\0\x08"),
        Frame(frames.GOAWAY, 0, 0, b"\0\0\0\5\0\0\0\x0b"),
        Frame(frames.WINDOW_UPDATE, 0, 0, (70_000).to_bytes(4, "big")),
        Frame(frames.DATA, frames.END_STREAM, 2**31 - 1, b""),
    ]


def test_the_reserved_bit_is_dropped() -> None:
    (one,) = read(b"\0\0\0\x00\0\x80\0\0\1")
    assert one.stream_id == 1
    assert frames.word_of(b"\xff\xff\xff\xff") == 2**31 - 1


def test_a_frame_too_large_is_told_before_it_is_here() -> None:
    reader = FrameReader()
    reader.feed(frames.PREFACE + b"\0\x40\1\0\0\0\0\0\1")
    with pytest.raises(ConnectionFault):
        reader.next()
    reader = FrameReader()
    reader.feed(frames.PREFACE + b"\0\x40\0\0\0\0\0\0\1")
    assert reader.next() is None
    assert reader.partial


@pytest.mark.parametrize(
    ("data", "update"),
    [
        (frames.window_update_to_send(3, 5), (3, 5)),
        (b"\0\0\4\x08\xff\x80\0\0\7\x80\0\0\1", (7, 1)),  # flags and reserved bits are ignored
        (frames.window_update_to_send(3, 5)[:-1], None),
        (frames.ping_to_send(bytes(8)), None),
        (frames.reset_to_send(3, 5), None),
        (frames.frame_header(5, frames.WINDOW_UPDATE, 0, 3) + bytes(5), None),
        (b"", None),
    ],
)
def test_a_window_update_may_be_taken_before_the_rest(
    data: bytes, update: tuple[int, int] | None
) -> None:
    reader = FrameReader()
    reader.feed(frames.PREFACE + frames.SETTINGS_ACK)
    reader.next()
    reader.feed(data)
    assert reader.next_update() == update
    assert reader.partial == (update is None and data != b"")

"""Frames in pieces of any size, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http3 import frames
from proxy.server.http3.faults import ConnectionFault, ErrorCode
from proxy.server.http3.frames import FrameReader, Kind, Piece, read_varint, write_varint

HEADERS_ONLY = frozenset({Kind.HEADERS})


@given(st.integers(0, 2**62 - 1))
def test_integers(number: int) -> None:
    written = write_varint(number)
    assert read_varint(b"x" + written, 1) == (number, 1 + len(written))
    assert read_varint(written[:-1], 0) is None


def test_an_integer_has_62_bits() -> None:
    with pytest.raises(ValueError, match="62"):
        write_varint(2**62)


@given(
    st.lists(
        st.tuples(st.sampled_from([Kind.HEADERS, Kind.DATA]), st.binary(max_size=90)), max_size=6
    ),
    st.integers(1, 50),
)
def test_frames_are_the_same_however_they_are_cut(
    sent: list[tuple[Kind, bytes]], size: int
) -> None:
    data = b"".join(frames.frame(kind, payload) for kind, payload in sent)
    reader, found = FrameReader(HEADERS_ONLY, 100), list[tuple[int, bytes]]()
    for at in range(0, len(data), size):
        for piece in reader.feed(data[at : at + size]):
            if piece.kind == Kind.DATA and piece.payload:
                kind, before = found.pop()
                found.append((kind, before + piece.payload))
            else:
                found.append((piece.kind, piece.payload))
    assert found == sent
    assert not reader.partial


def test_a_field_block_is_held_within_a_bound() -> None:
    reader = FrameReader(HEADERS_ONLY, 10)
    assert list(reader.feed(frames.frame_header(Kind.HEADERS, 11))) == []
    assert reader.too_large
    assert list(reader.feed(b"x" * 1000)) == []
    control = FrameReader(frozenset({Kind.SETTINGS}), 10)
    with pytest.raises(ConnectionFault) as caught:
        list(control.feed(frames.frame_header(Kind.SETTINGS, 11)))
    assert caught.value.code == ErrorCode.EXCESSIVE_LOAD


def test_what_passes_through_is_not_held() -> None:
    reader = FrameReader(HEADERS_ONLY, 10)
    first = list(reader.feed(frames.frame_header(Kind.DATA, 1 << 40) + b"ab"))
    assert first == [Piece(Kind.DATA, b"", 1 << 40), Piece(Kind.DATA, b"ab", 0)]
    assert list(reader.feed(b"cd")) == [Piece(Kind.DATA, b"cd", 0)]
    assert reader.partial


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x06", ErrorCode.FRAME_ERROR),
        (b"\x06\x40", ErrorCode.FRAME_ERROR),
        (b"\x02\x00", ErrorCode.SETTINGS_ERROR),
        (b"\x06\x01\x06\x01", ErrorCode.SETTINGS_ERROR),
    ],
)
def test_settings_that_are_none(payload: bytes, code: ErrorCode) -> None:
    with pytest.raises(ConnectionFault) as caught:
        frames.check_settings(payload)
    assert caught.value.code == code


def test_settings_and_frames_of_other_versions() -> None:
    frames.check_settings(b"\x06\x01\x21\x05\x33\x01")
    assert frames.only_varint(b"\x40\x05") == 5
    for payload in (b"", b"\x40", b"\x05\x05"):
        with pytest.raises(ConnectionFault):
            frames.only_varint(payload)
    for kind in (0x2, 0x6, 0x8, 0x9):
        with pytest.raises(ConnectionFault):
            frames.check_kind(kind)
    frames.check_kind(0x21)

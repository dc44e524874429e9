"""Frames as bytes: taken apart and put together (RFC 9113 §4 and §6, RFC 9218 §7.1).

Knows the shape of each frame and nothing of streams: what a frame means is `connection.py`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from proxy.server.http2.faults import ConnectionFault, ErrorCode, StreamFault

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # §3.4
HEADER_SIZE = 9
MAX_FRAME_SIZE = 2**14  # §6.5.2; what we accept, and what a client accepts before it says more
HIGHEST_STREAM = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0x0, 0x1, 0x2, 0x3, 0x4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x5, 0x6, 0x7, 0x8, 0x9
PRIORITY_UPDATE = 0x10

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

_HEADER = struct.Struct(">BHBBI")
_SETTING = struct.Struct(">HI")
_WORD = struct.Struct(">I")
_TWO_WORDS = struct.Struct(">II")
# A whole WINDOW_UPDATE: its size and kind, which are as said; its stream and increment.
_UPDATE, _SHAPE_OF_UPDATE = struct.Struct(">IxII"), 4 << 8 | WINDOW_UPDATE
# What §6 says of the frames of one size: a fault of the connection, or (PRIORITY) of a stream.
_SIZES = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_OF_A_STREAM = {DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION}
_OF_THE_CONNECTION = {SETTINGS, PING, GOAWAY, PRIORITY_UPDATE}
# A browser sends about six; more in one frame are work for us and nothing for the client.
_MOST_SETTINGS = 32


class Setting(IntEnum):
    """RFC 9113 §6.5.2, and RFC 9218 §2.1."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    NO_RFC7540_PRIORITIES = 0x9


# setting: its lowest and highest value, and the fault of another one
_RANGES = {
    Setting.ENABLE_PUSH: (0, 1, ErrorCode.PROTOCOL_ERROR),
    Setting.INITIAL_WINDOW_SIZE: (0, 2**31 - 1, ErrorCode.FLOW_CONTROL_ERROR),
    Setting.MAX_FRAME_SIZE: (MAX_FRAME_SIZE, 2**24 - 1, ErrorCode.PROTOCOL_ERROR),
    Setting.NO_RFC7540_PRIORITIES: (0, 1, ErrorCode.PROTOCOL_ERROR),
}


class Frame(NamedTuple):
    """One frame as it came. The reserved bit of the stream identifier is dropped (§4.1)."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class FrameReader:
    """Cuts what was received into frames. `feed`, then `next` until it says None."""

    __slots__ = ("_at", "_data", "_greeted")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._greeted = False

    @property
    def partial(self) -> bool:
        """Whether bytes of an unfinished frame wait for the rest."""
        return self._at < len(self._data)

    def feed(self, data: bytes) -> None:
        """Adds bytes from the network."""
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    def next(self) -> Frame | None:
        """The next whole frame, or None when more bytes are needed.

        Raises `ConnectionFault` for a wrong preface, and for a frame that is larger than we
        allow as soon as its header is read.
        """
        if not self._greeted and not self._greet():
            return None
        data, start = self._data, self._at + HEADER_SIZE
        if start > len(data):
            return None
        high, low, kind, flags, stream_id = _HEADER.unpack_from(data, self._at)
        end = start + (high << 16 | low)
        if end - start > MAX_FRAME_SIZE:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame larger than allowed")
        if end > len(data):
            return None
        self._at = end
        return Frame(kind, flags, stream_id & HIGHEST_STREAM, data[start:end])

    def next_update(self) -> tuple[int, int] | None:
        """The stream and the increment of the next frame if it is a WINDOW_UPDATE of the right
        size, which whoever downloads sends most; None if not. Asked behind the preface only."""
        data, at = self._data, self._at
        if len(data) - at < _UPDATE.size:
            return None
        shape, stream_id, increment = _UPDATE.unpack_from(data, at)
        if shape != _SHAPE_OF_UPDATE:
            return None
        self._at = at + _UPDATE.size
        return stream_id & HIGHEST_STREAM, increment & HIGHEST_STREAM

    def _greet(self) -> bool:
        """Takes the preface (§3.4); false while it is incomplete."""
        came = self._data[self._at : self._at + len(PREFACE)]
        if not PREFACE.startswith(came):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no connection preface")
        self._greeted = came == PREFACE
        self._at += len(PREFACE) if self._greeted else 0
        return self._greeted


def check_shape(frame: Frame) -> None:
    """Raises a fault for a frame on the wrong kind of stream, or of a wrong size (§6)."""
    kind, stream_id, size = frame.kind, frame.stream_id, len(frame.payload)
    if (stream_id == 0 and kind in _OF_A_STREAM) or (stream_id and kind in _OF_THE_CONNECTION):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a frame {kind} on stream {stream_id}")
    if size != _SIZES.get(kind, size):
        if kind == PRIORITY:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, "a PRIORITY frame of another size")
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame {kind} of {size} bytes")


def content_of(frame: Frame) -> bytes:
    """What DATA or HEADERS carries, without padding and priority (§6.1, §6.2)."""
    payload, flags = frame.payload, frame.flags
    start, end = 0, len(payload)
    if flags & PADDED:
        start = 1
        end -= payload[0] if payload else 0
    if flags & WITH_PRIORITY and frame.kind == HEADERS:
        start += 5
    if start > end:
        # A frame with a field block can't be passed over; for DATA §6.1 says so.
        size = len(payload) < start
        code = ErrorCode.FRAME_SIZE_ERROR if size else ErrorCode.PROTOCOL_ERROR
        raise ConnectionFault(code, "padding or priority beyond the frame")
    return payload[start:end]


def word_of(payload: bytes) -> int:
    """The first 31 bits: a stream identifier or an increment."""
    number: int = _WORD.unpack_from(payload)[0]
    return number & HIGHEST_STREAM


def settings_of(frame: Frame) -> list[tuple[int, int]]:
    """The settings in order; unknown ones too. Raises `ConnectionFault` for wrong values."""
    if frame.flags & ACK:
        if frame.payload:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
        return []
    count, rest = divmod(len(frame.payload), _SETTING.size)
    if rest:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a setting cut in two")
    if count > _MOST_SETTINGS:
        raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"{count} settings at once")
    settings = list(_SETTING.iter_unpack(frame.payload))
    for name, value in settings:
        low, high, code = _RANGES.get(name, (0, value, ErrorCode.NO_ERROR))
        if not low <= value <= high:
            raise ConnectionFault(code, f"setting {name} can't be {value}")
    return settings


# --- to send --------------------------------------------------------------------------------


def frame_header(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The nine bytes before a payload of so many bytes."""
    return _HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id)


def put_data_header(into: memoryview, at: int, size: int, stream_id: int) -> None:
    """Puts the header of a DATA frame that does not end its stream there."""
    _HEADER.pack_into(into, at, size >> 16, size & 0xFFFF, DATA, 0, stream_id)


def headers_to_send(stream_id: int, block: bytes, most: int, *, end: bool) -> bytes:
    """HEADERS with a field block, and CONTINUATION where one frame can't hold it."""
    flags = END_STREAM if end else 0
    if len(block) <= most:
        return frame_header(len(block), HEADERS, flags | END_HEADERS, stream_id) + block
    frames = [frame_header(most, HEADERS, flags, stream_id), block[:most]]
    for at in range(most, len(block), most):
        piece = block[at : at + most]
        last = END_HEADERS if at + most >= len(block) else 0
        frames += [frame_header(len(piece), CONTINUATION, last, stream_id), piece]
    return b"".join(frames)


def settings_to_send(settings: Iterable[tuple[int, int]]) -> bytes:
    """Our own settings."""
    payload = b"".join(_SETTING.pack(name, value) for name, value in settings)
    return frame_header(len(payload), SETTINGS, 0, 0) + payload


SETTINGS_ACK = frame_header(0, SETTINGS, ACK, 0)


def ping_to_send(payload: bytes, *, ack: bool = False) -> bytes:
    """A PING of eight bytes, or the answer to one."""
    return frame_header(8, PING, ACK if ack else 0, 0) + payload


def reset_to_send(stream_id: int, code: int) -> bytes:
    """RST_STREAM."""
    return frame_header(4, RST_STREAM, 0, stream_id) + _WORD.pack(code)


def goaway_to_send(last_stream: int, code: int) -> bytes:
    """GOAWAY, without debug data: what we found wrong is of use to an attacker first."""
    return frame_header(8, GOAWAY, 0, 0) + _TWO_WORDS.pack(last_stream, code)


def window_update_to_send(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE of a stream, or of the connection (0)."""
    return frame_header(4, WINDOW_UPDATE, 0, stream_id) + _WORD.pack(increment)

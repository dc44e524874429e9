"""Frames of HTTP/3 as bytes (RFC 9114 §7), on a request's stream and on the control stream. Pure.

A frame may come in any number of pieces. Only what must be whole to be understood (a field block,
a control frame) is held until it is, within a bound; the rest passes through.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from proxy.server.http3.faults import ConnectionFault, ErrorCode


class Kind(IntEnum):
    """§7.2, and RFC 9218 §7.2."""

    DATA = 0x0
    HEADERS = 0x1
    CANCEL_PUSH = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    GOAWAY = 0x7
    MAX_PUSH_ID = 0xD
    PRIORITY_UPDATE = 0xF0700
    PRIORITY_UPDATE_OF_PUSH = 0xF0701


class StreamKind(IntEnum):
    """What a stream in one direction is (§6.2, RFC 9204 §4.2)."""

    CONTROL = 0x0
    PUSH = 0x1
    ENCODER = 0x2
    DECODER = 0x3


# Frames of HTTP/2 that have no counterpart here: an error wherever they come (§7.2.8).
_OF_HTTP2 = {0x2, 0x6, 0x8, 0x9}
MAX_FIELD_SECTION_SIZE = 0x06
_SETTINGS_OF_HTTP2 = {0x2, 0x3, 0x4, 0x5}  # §7.2.4.1


class Piece(NamedTuple):
    """A whole frame, or bytes of one that passes through.

    Attributes:
        size: of the frame, as it says itself; only with its first piece, else 0.
    """

    kind: int
    payload: bytes
    size: int


class FrameReader:
    """Takes frames out of the bytes of one stream.

    Args:
        whole: kinds that are held until they are complete.
        most: bytes that such a frame may have.

    Attributes:
        too_large: whether a field block was larger: nothing more is read then.
    """

    __slots__ = ("_buffer", "_kind", "_left", "_most", "_whole", "too_large")

    def __init__(self, whole: frozenset[int], most: int) -> None:
        self._whole, self._most = whole, most
        self._buffer = b""
        self._kind = self._left = -1
        self.too_large = False

    @property
    def partial(self) -> bool:
        """Whether a frame is only half here."""
        return bool(self._buffer) or self._left >= 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What can be said after these bytes. Raises `ConnectionFault` for a control frame that
        is too large; other rules are the caller's."""
        buffer, at = self._buffer + data if self._buffer else data, 0
        self._buffer = b""
        while not self.too_large:
            if self._left < 0:
                begun = _read_header(buffer, at)
                if begun is None:
                    break
                self._kind, self._left, at = begun
                if self._kind in self._whole and self._left > self._most:
                    self._refuse()
                    return
                if self._kind not in self._whole:
                    yield Piece(self._kind, b"", self._left)
            here = len(buffer) - at
            if self._kind in self._whole:
                if here < self._left:
                    break
                end = at + self._left
                yield Piece(self._kind, buffer[at:end], self._left)
            else:
                end = at + min(here, self._left)
                if end > at:
                    yield Piece(self._kind, buffer[at:end], 0)
            self._left -= end - at
            at = end
            if self._left:
                return
            self._left = -1
        self._buffer = b"" if self.too_large else buffer[at:]

    def _refuse(self) -> None:
        if self._kind != Kind.HEADERS:
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, "too large a control frame")
        self.too_large = True


def _read_header(buffer: bytes, at: int) -> tuple[int, int, int] | None:
    """Kind, length, and where the payload begins; None if that is not all here."""
    kind = read_varint(buffer, at)
    length = None if kind is None else read_varint(buffer, kind[1])
    return None if kind is None or length is None else (kind[0], *length)


def read_varint(buffer: bytes, at: int) -> tuple[int, int] | None:
    """An integer (RFC 9000 §16) and where it ends, or None if it is not all here."""
    if at >= len(buffer):
        return None
    size = 1 << (buffer[at] >> 6)
    if at + size > len(buffer):
        return None
    number = int.from_bytes(buffer[at : at + size], "big")
    return number & ((1 << (8 * size - 2)) - 1), at + size


def write_varint(number: int) -> bytes:
    """RFC 9000 §16."""
    for size, mark in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if number < 1 << (8 * size - 2):
            return (number | mark << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError("an integer beyond 62 bits")


def frame_header(kind: Kind, size: int) -> bytes:
    """What goes before a payload."""
    return write_varint(kind) + write_varint(size)


def frame(kind: Kind, payload: bytes) -> bytes:
    """A whole frame."""
    return frame_header(kind, len(payload)) + payload


def settings(max_field_section_size: int) -> bytes:
    """Our settings: no dynamic table, which is the default, and the largest head."""
    pair = write_varint(MAX_FIELD_SECTION_SIZE) + write_varint(max_field_section_size)
    return frame(Kind.SETTINGS, pair)


def check_settings(payload: bytes) -> None:
    """Raises `ConnectionFault` for settings that are none (§7.2.4); no value matters to us."""
    at, seen = 0, set[int]()
    while at < len(payload):
        name = read_varint(payload, at)
        value = None if name is None else read_varint(payload, name[1])
        if name is None or value is None:
            raise ConnectionFault(ErrorCode.FRAME_ERROR, "settings cut short")
        if name[0] in _SETTINGS_OF_HTTP2 or name[0] in seen:
            raise ConnectionFault(ErrorCode.SETTINGS_ERROR, "a setting of HTTP/2, or given twice")
        seen.add(name[0])
        at = value[1]


def only_varint(payload: bytes) -> int:
    """The one integer a frame consists of; raises `ConnectionFault` for anything else."""
    read = read_varint(payload, 0)
    if read is None or read[1] != len(payload):
        raise ConnectionFault(ErrorCode.FRAME_ERROR, "a frame that is not one integer")
    return read[0]


def check_kind(kind: int) -> None:
    """Raises `ConnectionFault` for a frame of HTTP/2."""
    if kind in _OF_HTTP2:
        raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "a frame of HTTP/2")

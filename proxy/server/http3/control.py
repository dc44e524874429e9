"""Streams that carry no request: the control stream, and QPACK's two (RFC 9114 §6.2)."""

from __future__ import annotations

from proxy.server.http2.budgets import Budget, Kind
from proxy.server.http3 import frames
from proxy.server.http3.faults import ConnectionFault, ErrorCode
from proxy.server.http3.frames import FrameReader, StreamKind, read_varint
from proxy.server.http3.quic import Quic

# Bytes of a control frame: those of settings and priorities are a few dozen.
_MOST = 2**12
_WHOLE = frozenset(frames.Kind) - {frames.Kind.DATA, frames.Kind.HEADERS}
_NO_CAPACITY = 0x20  # the one instruction a client may give: a dynamic table of no size


class Control:
    """Our control stream and the client's.

    Attributes:
        leaving: whether the client said it makes no more requests.
    """

    def __init__(self, quic: Quic, budget: Budget) -> None:
        self._quic, self._budget = quic, budget
        self._own = -1
        self._kinds: dict[int, int] = {}
        self._begun: dict[int, bytes] = {}
        self._reader = FrameReader(_WHOLE, _MOST)
        self._greeted = False
        self._most_push = -1
        self.leaving = False

    def start(self, max_field_section_size: int) -> None:
        """Opens our stream with our settings."""
        self._own = self._quic.get_next_available_stream_id(is_unidirectional=True)
        begin = frames.write_varint(StreamKind.CONTROL)
        self._quic.send_stream_data(self._own, begin + frames.settings(max_field_section_size))

    def say_goaway(self, stream_id: int) -> None:
        """§5.2."""
        if self._own >= 0:
            payload = frames.write_varint(stream_id)
            self._quic.send_stream_data(self._own, frames.frame(frames.Kind.GOAWAY, payload))

    def receive(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Bytes of a stream in one direction, or its end; raises `ConnectionFault`."""
        kind = self._kinds.get(stream_id)
        if kind is None:
            begun = self._begun.pop(stream_id, b"") + data
            read = read_varint(begun, 0)
            if read is None:
                if not end:
                    self._begun[stream_id] = begun
                return
            kind, data = read[0], begun[read[1] :]
            self._open(stream_id, kind)
        if end and kind in (StreamKind.CONTROL, StreamKind.ENCODER, StreamKind.DECODER):
            raise ConnectionFault(ErrorCode.CLOSED_CRITICAL_STREAM, "a stream that must not end")
        if kind == StreamKind.CONTROL:
            self._receive_frames(data)
        elif kind == StreamKind.ENCODER:
            if data.strip(bytes((_NO_CAPACITY,))):
                raise ConnectionFault(ErrorCode.ENCODER_STREAM_ERROR, "there is no dynamic table")
        elif end and kind != StreamKind.DECODER:
            self._kinds.pop(stream_id, None)

    def _open(self, stream_id: int, kind: int) -> None:
        known = kind in (StreamKind.CONTROL, StreamKind.ENCODER, StreamKind.DECODER)
        if kind == StreamKind.PUSH or (known and kind in self._kinds.values()):
            raise ConnectionFault(ErrorCode.STREAM_CREATION_ERROR, "a push, or a second stream")
        self._kinds[stream_id] = kind
        if not known:  # §6.2.3
            self._budget.spend(Kind.OTHER)
            self._quic.stop_reading(stream_id, ErrorCode.STREAM_CREATION_ERROR)

    def _receive_frames(self, data: bytes) -> None:
        for piece in self._reader.feed(data):
            if not self._greeted and piece.kind != frames.Kind.SETTINGS:
                raise ConnectionFault(ErrorCode.MISSING_SETTINGS, "no settings at first")
            self._receive_frame(piece)

    def _receive_frame(self, piece: frames.Piece) -> None:
        kind = piece.kind
        if kind == frames.Kind.SETTINGS:
            if self._greeted:
                raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "settings given twice")
            self._greeted = True
            frames.check_settings(piece.payload)
        elif kind == frames.Kind.GOAWAY:
            self._budget.spend(Kind.OTHER)
            frames.only_varint(piece.payload)
            self.leaving = True
        elif kind == frames.Kind.MAX_PUSH_ID:
            self._receive_max_push(frames.only_varint(piece.payload))
        elif kind == frames.Kind.PRIORITY_UPDATE:
            self._receive_priority(piece.payload)
        elif kind in (frames.Kind.CANCEL_PUSH, frames.Kind.PRIORITY_UPDATE_OF_PUSH):
            raise ConnectionFault(ErrorCode.ID_ERROR, "there are no pushes")
        elif kind in (frames.Kind.DATA, frames.Kind.HEADERS, frames.Kind.PUSH_PROMISE):
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "a frame of requests")
        elif not piece.payload:
            frames.check_kind(kind)
            self._budget.spend(Kind.OTHER)

    def _receive_max_push(self, most: int) -> None:
        self._budget.spend(Kind.OTHER)
        if most < self._most_push:
            raise ConnectionFault(ErrorCode.ID_ERROR, "fewer pushes than before")
        self._most_push = most

    def _receive_priority(self, payload: bytes) -> None:
        """RFC 9218 §7.2: looked at only for its form, since streams take turns."""
        self._budget.spend(Kind.PRIORITY)
        read = read_varint(payload, 0)
        if read is None:
            raise ConnectionFault(ErrorCode.FRAME_ERROR, "PRIORITY_UPDATE of no stream")
        if read[0] & 3:
            raise ConnectionFault(ErrorCode.ID_ERROR, "PRIORITY_UPDATE of no request")

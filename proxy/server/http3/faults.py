"""What can be wrong with what a client sends over HTTP/3, and what to tell it. Pure.

Streams, fields and budgets are those of HTTP/2, and so are their faults; here they get the codes
of HTTP/3.
"""

from __future__ import annotations

from enum import IntEnum

from proxy.server.http2.faults import ErrorCode as Http2Code


class ErrorCode(IntEnum):
    """RFC 9114 §8.1 and RFC 9204 §6."""

    NO_ERROR = 0x100
    GENERAL_PROTOCOL_ERROR = 0x101
    INTERNAL_ERROR = 0x102
    STREAM_CREATION_ERROR = 0x103
    CLOSED_CRITICAL_STREAM = 0x104
    FRAME_UNEXPECTED = 0x105
    FRAME_ERROR = 0x106
    EXCESSIVE_LOAD = 0x107
    ID_ERROR = 0x108
    SETTINGS_ERROR = 0x109
    MISSING_SETTINGS = 0x10A
    REQUEST_REJECTED = 0x10B
    REQUEST_CANCELLED = 0x10C
    REQUEST_INCOMPLETE = 0x10D
    MESSAGE_ERROR = 0x10E
    DECOMPRESSION_FAILED = 0x200
    ENCODER_STREAM_ERROR = 0x201


class ConnectionFault(Exception):
    """A connection error (RFC 9114 §8): the connection is closed.

    Attributes:
        code: what CONNECTION_CLOSE says.
    """

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code
        self.why = why


_OF_STREAMS = {
    Http2Code.NO_ERROR: ErrorCode.NO_ERROR,
    Http2Code.PROTOCOL_ERROR: ErrorCode.MESSAGE_ERROR,  # a malformed message (§4.1.2)
    Http2Code.INTERNAL_ERROR: ErrorCode.INTERNAL_ERROR,
    Http2Code.STREAM_CLOSED: ErrorCode.FRAME_UNEXPECTED,
    Http2Code.REFUSED_STREAM: ErrorCode.REQUEST_REJECTED,
    Http2Code.CANCEL: ErrorCode.REQUEST_CANCELLED,
    Http2Code.ENHANCE_YOUR_CALM: ErrorCode.EXCESSIVE_LOAD,
}


def code_of(code: Http2Code) -> ErrorCode:
    """What a stream is reset with where HTTP/2 would use this code."""
    return _OF_STREAMS.get(code, ErrorCode.GENERAL_PROTOCOL_ERROR)

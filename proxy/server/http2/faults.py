"""What can be wrong with what a client sends: with a stream, or with the whole connection.

Pure, like every file of this package but `protocol.py` and `exchange.py`.
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """RFC 9113 §7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class StreamFault(Exception):
    """A stream error (RFC 9113 §5.4.2): reset the stream, its siblings go on.

    Attributes:
        code: what the reset says.
    """

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code


class ConnectionFault(Exception):
    """A connection error (RFC 9113 §5.4.1): say GOAWAY and close.

    Attributes:
        code: what GOAWAY says.
    """

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code


class Malformed(StreamFault):
    """A message that breaks RFC 9113 §8.1.1: a stream error of type PROTOCOL_ERROR."""

    def __init__(self, why: str) -> None:
        super().__init__(ErrorCode.PROTOCOL_ERROR, why)

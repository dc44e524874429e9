"""Drives a connection without a network: frames by hand in, what it told and what it sent out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.server.http2 import frames
from proxy.server.http2.connection import Connection
from proxy.server.http2.fields import Head
from proxy.server.http2.frames import Frame, FrameReader
from proxy.server.http2.streams import Stream

Fields = Iterable[tuple[bytes, bytes]]

GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/"))
POST = ((b":method", b"POST"), *GET[1:])


def block(fields: Fields, first: int = 0) -> bytes:
    """A field block of literals; with 0x40 they go to the table, with 0 they do not."""
    coded = b""
    for name, value in fields:
        coded += bytes((first,)) + _string(name) + _string(value)
    return coded


def _string(value: bytes) -> bytes:
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    size -= 127
    head = b"\x7f"
    while size >= 128:
        head += bytes((size & 127 | 128,))
        size >>= 7
    return head + bytes((size,)) + value


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return frames.frame_header(len(payload), kind, flags, stream) + payload


def headers(
    stream: int, fields: Fields = GET, *, end: bool = True, whole: bool = True, extra: int = 0
) -> bytes:
    flags = (frames.END_STREAM if end else 0) | (frames.END_HEADERS if whole else 0) | extra
    return frame(frames.HEADERS, block(fields), stream, flags)


def data(stream: int, payload: bytes, *, end: bool = False, flags: int = 0) -> bytes:
    return frame(frames.DATA, payload, stream, flags | (frames.END_STREAM if end else 0))


def settings(*pairs: tuple[int, int]) -> bytes:
    return frames.settings_to_send(pairs)


def update(stream: int, increment: int) -> bytes:
    return frames.window_update_to_send(stream, increment)


def reset(stream: int, code: int = 8) -> bytes:
    return frames.reset_to_send(stream, code)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Told:
    """Everything a connection tells its handler."""

    heads: dict[int, Head] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def request(self, stream: Stream, head: Head) -> None:
        self.heads[stream.id] = head
        self.bodies[stream.id] = b""
        if stream.request_ended:
            self.ended.append(stream.id)

    def body(self, stream: Stream, data: bytes) -> None:
        self.bodies[stream.id] += data

    def request_ended(self, stream: Stream) -> None:
        self.ended.append(stream.id)

    def over(self, stream: Stream) -> None:
        self.gone.append(stream.id)


class Driven:
    """A connection that has been greeted, and whose own greeting is dropped."""

    def __init__(self, *, greeted: bool = True, max_streams: int = 100) -> None:
        self.told = Told()
        self.clock = Clock()
        self.connection = Connection(
            self.told, max_streams=max_streams, max_header_size=16384, clock=self.clock
        )
        self.connection.start()
        self.sent()
        if greeted:
            self.give(frames.PREFACE + settings())
            self.sent()

    def give(self, *pieces: bytes) -> None:
        self.connection.receive(b"".join(pieces))
        while self.connection.step(10):
            pass

    def sent(self, most: int = 1 << 24) -> list[Frame]:
        """The frames that left since the last time."""
        reader = FrameReader()
        reader.feed(frames.PREFACE + b"".join(self.connection.sender.take(most)))
        found = []
        while (one := reader.next()) is not None:
            found.append(one)
        assert not reader.partial
        return found

    def resets(self) -> list[tuple[int, int]]:
        """(stream, code) of the resets that left since the last time."""
        return [
            (one.stream_id, frames.word_of(one.payload))
            for one in self.sent()
            if one.kind == frames.RST_STREAM
        ]

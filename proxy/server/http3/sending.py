"""What leaves: aioquic is given no more of a response than it may soon send.

What the client has no window for stays with the app's own buffer, uncopied. Streams take turns:
each is given a little, and QUIC sends of those that may be sent, one packet after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from proxy.server.http2.flow import Outflow
from proxy.server.http2.streams import Stream
from proxy.server.http3.frames import Kind, frame, frame_header
from proxy.server.http3.quic import Quic

# Less than this is not worth a turn: two dozen packets.
_FEWEST = 2**14

Buffer = bytes | memoryview


class Sender:
    """The sending side of one connection, with the face of HTTP/2's.

    Args:
        quic: where it goes.
        ended: called when all of a response was handed to QUIC.
    """

    def __init__(self, quic: Quic, ended: Callable[[Stream], None]) -> None:
        self._quic = quic
        self._ended = ended
        self.outflow = Outflow()
        self.moved: list[Stream] = []
        self._waiting: dict[int, Stream] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the client."""
        return not self._waiting

    def room(self, stream: Stream) -> int:
        """How many bytes of it would be taken at once."""
        room = self._quic.room(stream.id)
        return room if room >= _FEWEST else 0

    def head(self, stream: Stream, block: bytes, *, end: bool = False) -> None:
        """Sends HEADERS; an informational one too."""
        self._write(stream, frame(Kind.HEADERS, block), end=end)
        if end:
            self._end(stream)

    def whole(self, stream: Stream, block: bytes, body: Buffer, largest: int = 0) -> bool:
        """Sends a whole response at once, if there is room for it; `largest` is not needed."""
        del largest
        if len(body) > self.room(stream):
            return False
        data = frame_header(Kind.DATA, len(body)) if body else b""
        self._write(stream, b"".join((frame(Kind.HEADERS, block), data, body)), end=True)
        self._end(stream)
        return True

    def body(self, stream: Stream, data: Buffer, *, end: bool, trailers: bytes = b"") -> None:
        """Sends more of a body as there is room; `end` after its last piece."""
        if data:
            stream.put(frame_header(Kind.DATA, len(data)))
            stream.put(data)
        stream.ending, stream.trailers = end, trailers
        self._waiting[stream.id] = stream
        self._feed(stream)

    def feed(self) -> None:
        """Hands over what there is room for now; `moved` then holds the streams concerned."""
        for stream in list(self._waiting.values()):
            self._feed(stream)

    def forget(self, stream: Stream) -> None:
        """The stream is over."""
        self._waiting.pop(stream.id, None)

    def _feed(self, stream: Stream) -> None:
        while stream.unsent:
            size = min(stream.unsent, self.room(stream))
            if not size:
                return
            for piece in stream.take(size):
                self._write(stream, piece)
            self.moved.append(stream)
        self._waiting.pop(stream.id, None)
        if stream.ending:
            if stream.trailers:
                self.head(stream, stream.trailers, end=True)
            else:
                self._write(stream, b"", end=True)
                self._end(stream)

    def _write(self, stream: Stream, data: Buffer, *, end: bool = False) -> None:
        if self._quic.can_send(stream.id):  # else the client has stopped it: we hear of it soon
            # A bytearray takes it, which any buffer can be added to.
            self._quic.send_stream_data(stream.id, cast("bytes", data), end)

    def _end(self, stream: Stream) -> None:
        stream.response_ended = True
        self._ended(stream)

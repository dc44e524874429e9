"""What leaves: control frames at once, and of bodies what windows and priorities allow.

Holds what is ready to be written until `take` is asked for it; knows no transport. A stream's
bytes stay in its pieces, uncopied, until they are framed.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.server.http2 import frames
from proxy.server.http2.flow import Outflow
from proxy.server.http2.schedule import Schedule
from proxy.server.http2.streams import Stream

# One stream's turn: some full frames; more would make its siblings wait.
_TURN = 2**16
# We make frames no larger than this, even where the client would take 16 MiB.
_LARGEST_FRAME = 2**16

Buffer = bytes | memoryview


def _ignore(stream: Stream) -> None:
    del stream


class Sender:
    """The sending side of one connection.

    Args:
        ended: called when the last frame of a response is ready to be written.

    Attributes:
        ready: bytes of whole responses that wait to be written.
    """

    def __init__(self, ended: Callable[[Stream], None]) -> None:
        self.outflow = Outflow()
        self.most_in_frame = frames.MAX_FRAME_SIZE
        self.schedule = Schedule()
        self.moved: list[Stream] = []
        self.ready = 0
        self._ready: list[Buffer] = []
        self._ended = ended

    @property
    def idle(self) -> bool:
        """Whether `take` would give nothing."""
        return not self._ready and (self.outflow.size <= 0 or not len(self.schedule))

    @property
    def backlog(self) -> int:
        """How many pieces wait to be written that no window holds back."""
        return len(self._ready)

    def control(self, frame: bytes) -> None:
        """Sends a whole frame before any body."""
        self._ready.append(frame)

    def head(self, stream: Stream, block: bytes, *, end: bool = False) -> None:
        """Sends HEADERS; an informational one too."""
        self._ready.append(frames.headers_to_send(stream.id, block, self.most_in_frame, end=end))
        if end:
            self._end(stream)

    def whole(self, stream: Stream, block: bytes, body: Buffer, largest: int = 0) -> bool:
        """Sends a whole response as one piece, if the windows have room for its body.

        `largest` is how much that may be at once; else it is what fits into one frame.
        """
        size, most = len(body), self.most_in_frame
        room = min(stream.outflow.size, self.outflow.size, largest or most)
        if size > room or len(block) > most:
            return False
        stream.outflow.size -= size
        self.outflow.size -= size
        self.ready += size
        ready, number = self._ready, stream.id
        ready.append(frames.frame_header(len(block), frames.HEADERS, frames.END_HEADERS, number))
        ready.append(block)
        while len(body) > most:
            ready.append(frames.frame_header(most, frames.DATA, 0, number))
            ready.append(memoryview(body)[:most])
            body = memoryview(body)[most:]
        ready.append(frames.frame_header(len(body), frames.DATA, frames.END_STREAM, number))
        ready.append(body)
        self._end(stream)
        return True

    def body(self, stream: Stream, data: Buffer, *, end: bool, trailers: bytes = b"") -> None:
        """Sends more of a body when it is the stream's turn; `end` after its last piece."""
        stream.put(data)
        stream.ending, stream.trailers = end, trailers
        if not stream.unsent:
            if end:
                self._finish(stream)
        elif stream.outflow.size > 0:
            self.schedule.add(stream)

    def opened(self, stream: Stream) -> None:
        """The stream's window grew."""
        if stream.unsent and stream.outflow.size > 0:
            self.schedule.add(stream)

    def take(self, most: int) -> list[Buffer]:
        """What to write now, in order: all control frames, and about `most` bytes of bodies.

        `moved` then holds the streams of which something was taken.
        """
        out, self._ready = self._ready, []
        self.ready = 0
        while most > 0 and self.outflow.size > 0:
            stream = self.schedule.next()
            if stream is None:
                break
            if stream.unsent:
                most -= self._turn(stream, out, min(most, _TURN))
        if self._ready:  # what came after the last bytes of a stream: its trailers, a reset
            out += self._ready
            self._ready = []
        return out

    def close(self) -> None:
        """The connection is over: drops what waits, and tells of no more that ends."""
        self.take(0)
        self._ended = _ignore

    def sent_straight(self, stream: Stream, size: int) -> None:
        """So many bytes of a body were written past the schedule, which was empty."""
        self.outflow.size -= size
        stream.outflow.size -= size

    def _turn(self, stream: Stream, out: list[Buffer], most: int) -> int:
        """Frames so many bytes of a stream at most; returns how many."""
        size = left = min(stream.outflow.size, self.outflow.size, stream.unsent, most)
        if size <= 0:
            return 0
        self.outflow.size -= size
        stream.outflow.size -= size
        largest = min(self.most_in_frame, _LARGEST_FRAME)
        last = stream.ending and stream.unsent == size and not stream.trailers
        while left:
            length = min(left, largest)
            left -= length
            flags = frames.END_STREAM if last and not left else 0
            out.append(frames.frame_header(length, frames.DATA, flags, stream.id))
            out += stream.take(length)
        self.moved.append(stream)
        if last:
            self._end(stream)
        elif stream.unsent == 0 and stream.ending:
            self._finish(stream)
        elif stream.unsent and stream.outflow.size > 0:
            self.schedule.add(stream)
        return size

    def _finish(self, stream: Stream) -> None:
        """Ends a response whose bytes are all framed."""
        if stream.trailers:
            self.head(stream, stream.trailers, end=True)
        else:
            self.control(frames.frame_header(0, frames.DATA, frames.END_STREAM, stream.id))
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        stream.response_ended = True
        self._ended(stream)

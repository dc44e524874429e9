"""One stream: how far its request and its response are (RFC 9113 §5.1).

A stream that is over is forgotten, but for a moment it is remembered how it ended, since that
decides what a late frame on it means.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from enum import Enum

from proxy.server.http2.faults import ConnectionFault, ErrorCode, Malformed, StreamFault
from proxy.server.http2.flow import Inflow, Outflow
from proxy.server.http2.priority import UNSAID, Priority

# How many ended streams are remembered: what a client may have under way when it hears of it.
_REMEMBERED = 256


class Stream:
    """A request and its response.

    Attributes:
        outflow: how much of the response the client takes now.
        inflow: how much of the request we take now.
        unsent: bytes of the response that wait for the client, `pieces` of them.
        waiting: whether it is in the schedule.
        request_ended, response_ended: half-closed on the client's side, and on ours.
        trailers: a field block that ends the response, instead of its last DATA.
    """

    __slots__ = (
        "_to_come", "ending", "id", "inflow", "outflow", "pieces", "priority", "request_ended",
        "response_ended", "trailers", "unsent", "waiting",
    )  # fmt: skip

    def __init__(self, stream_id: int, window: int, promised: int | None) -> None:
        self.id = stream_id
        self.outflow = Outflow(window)
        self.inflow = Inflow()
        self.pieces: deque[memoryview] = deque()
        self.unsent = 0
        self.priority: Priority = UNSAID
        self.waiting = self.ending = False
        self.request_ended = self.response_ended = False
        self.trailers = b""
        self._to_come = promised

    def receive_body(self, size: int, content: int, *, end: bool) -> None:
        """DATA came: `size` bytes with padding, `content` without. Raises a fault when the
        stream is half-closed, its window is exceeded, or the Content-Length is (§8.1.1)."""
        if self.request_ended:
            raise StreamFault(ErrorCode.STREAM_CLOSED, "DATA after the end of the request")
        if not self.inflow.take(size):
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the window allows")
        if self._to_come is not None:
            self._to_come -= content
            if self._to_come < 0:
                raise Malformed("more DATA than Content-Length")
        if end:
            self.end_request()

    def end_request(self) -> None:
        """The request is complete; raises `Malformed` when it is shorter than it said."""
        if self._to_come:
            raise Malformed("less DATA than Content-Length")
        self.request_ended = True

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """Adds bytes of the response."""
        if data:
            self.pieces.append(memoryview(data))
            self.unsent += len(data)

    def take(self, size: int) -> Sequence[memoryview]:
        """Takes exactly so many of the bytes that wait, uncopied."""
        taken: list[memoryview] = []
        self.unsent -= size
        while size:
            piece = self.pieces[0]
            if len(piece) <= size:
                self.pieces.popleft()
            else:
                self.pieces[0] = piece[size:]
                piece = piece[:size]
            taken.append(piece)
            size -= len(piece)
        return taken

    def drop(self) -> None:
        """Forgets what is not sent."""
        self.pieces.clear()
        self.unsent = 0


class End(Enum):
    """How a stream ended."""

    COMPLETE = "by both sides"
    RESET_BY_US = "by our reset"
    RESET_BY_CLIENT = "by the client's reset"


class Ended:
    """How the last streams ended."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: OrderedDict[int, End] = OrderedDict()

    def add(self, stream_id: int, end: End) -> None:
        """A stream ended so."""
        self._ends[stream_id] = end
        if len(self._ends) > _REMEMBERED:
            self._ends.popitem(last=False)

    def get(self, stream_id: int) -> End | None:
        """How the stream ended, or None if that is forgotten."""
        return self._ends.get(stream_id)

    def reset_again(self, stream_id: int) -> bool:
        """The client resets a stream that is over; whether it could not know that it was."""
        known = self._ends.get(stream_id) is End.RESET_BY_US
        if known:
            self._ends[stream_id] = End.RESET_BY_CLIENT
        return known

    def check_late(self, stream_id: int) -> None:
        """Raises the fault of DATA or HEADERS on a stream that is over (§5.1).

        None for a stream we reset: the client had not heard of it yet.
        """
        end = self._ends.get(stream_id)
        if end is End.COMPLETE:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame after the end of its stream")
        if end is not End.RESET_BY_US:
            raise StreamFault(ErrorCode.STREAM_CLOSED, "a frame on a stream that is over")

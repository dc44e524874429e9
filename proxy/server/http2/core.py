"""What a connection is made of: its open streams, what they may send, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.server.http2 import frames
from proxy.server.http2.budgets import Budget, Kind
from proxy.server.http2.faults import ConnectionFault, ErrorCode
from proxy.server.http2.fields import Head
from proxy.server.http2.flow import DEFAULT, Inflow
from proxy.server.http2.priority import Priority
from proxy.server.http2.sending import Sender
from proxy.server.http2.streams import End, Ended, Stream

# Unread request bodies of one connection; each stream's own window is the default 64 KiB.
CONNECTION_WINDOW = 2**19


class Handler(Protocol):
    """What a connection tells. None of these may wait."""

    def request(self, stream: Stream, head: Head) -> None:
        """A request came; raises `StreamFault` to refuse it."""

    def body(self, stream: Stream, data: bytes) -> None:
        """Bytes of its body; when they are read, `credit` them."""

    def request_ended(self, stream: Stream) -> None:
        """The request is complete."""

    def over(self, stream: Stream) -> None:
        """The stream has ended: `response_ended` tells whether with its whole response."""


class _Nobody:
    """Whom a connection tells that is over."""

    def request(self, stream: Stream, head: Head) -> None:
        """Nothing."""

    def body(self, stream: Stream, data: bytes) -> None:
        """Nothing."""

    def request_ended(self, stream: Stream) -> None:
        """Nothing."""

    def over(self, stream: Stream) -> None:
        """Nothing."""


_NOBODY = _Nobody()


class Core:
    """The streams of one connection.

    Attributes:
        streams: those that are open.
        sender: what is to be written; see there.
        budget: what the client may still send of costly frames.
        leaving: whether the client said it opens no more streams.
        last_stream: the highest stream the client opened.
        announced: priorities of streams that are not open yet.
    """

    def __init__(self, handler: Handler, clock: Callable[[], float]) -> None:
        self.streams: dict[int, Stream] = {}
        self.sender = Sender(self._response_ended)
        self.budget = Budget(clock)
        self.leaving = False
        self.last_stream = 0
        self.initial_window = DEFAULT
        self.announced: dict[int, Priority] = {}
        self._handler: Handler = handler
        self._ended = Ended()
        self._inflow = Inflow(CONNECTION_WINDOW)

    def is_idle(self, stream_id: int) -> bool:
        """Whether it was never opened: those of even number are the server's, which pushes none."""
        return stream_id > self.last_stream or not stream_id & 1

    def check_opened(self, stream_id: int) -> None:
        """Raises `ConnectionFault` for an idle stream (RFC 9113 §5.1)."""
        if self.is_idle(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame on an idle stream")

    def credit(self, stream: Stream, size: int) -> None:
        """So many bytes of a request's body were read: the client may send as many more."""
        self.credit_connection(size)
        increment = stream.inflow.give_back(size)
        if increment and not stream.request_ended and stream.id in self.streams:
            self.sender.control(frames.window_update_to_send(stream.id, increment))

    def credit_connection(self, size: int) -> None:
        """Bytes of a stream that is over were dropped."""
        increment = self._inflow.give_back(size)
        if increment:
            self.sender.control(frames.window_update_to_send(0, increment))

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Breaks a stream off, on both sides."""
        self.sender.control(frames.reset_to_send(stream.id, code))
        self._forget(stream, End.RESET_BY_US)

    def reset_faulty(self, stream_id: int, code: ErrorCode) -> None:
        """A stream error. An idle stream can't be reset, so that it is the connection's then."""
        if self.is_idle(stream_id):
            raise ConnectionFault(code, "a fault on an idle stream")
        self.budget.spend(Kind.RESET)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.reset(stream, code)
        else:
            self.sender.control(frames.reset_to_send(stream_id, code))
            if stream_id == self.last_stream or self._ended.get(stream_id) is not None:
                self._ended.add(stream_id, End.RESET_BY_US)

    def receive_reset(self, stream_id: int) -> None:
        """The client resets a stream, whether it is still open or not."""
        self.check_opened(stream_id)
        stream = self.streams.get(stream_id)
        if stream is not None or not self._ended.reset_again(stream_id):
            self.budget.spend(Kind.RESET)
        if stream is not None:
            self._forget(stream, End.RESET_BY_CLIENT)

    def _response_ended(self, stream: Stream) -> None:
        """The rest of a request whose response is complete is of no use to anybody (§8.1)."""
        if stream.request_ended:
            self._forget(stream, End.COMPLETE)
        else:
            self.reset(stream, ErrorCode.NO_ERROR)

    def _forget(self, stream: Stream, end: End) -> None:
        self.streams.pop(stream.id, None)
        self._ended.add(stream.id, end)
        stream.drop()
        self._handler.over(stream)

    def abandon(self) -> None:
        """The connection is over: drops every stream, and with it what was to be sent."""
        for stream in list(self.streams.values()):
            self._forget(stream, End.RESET_BY_US)
        self._handler = _NOBODY  # those two, who know each other, are then freed at once
        self.sender.close()

    def say_goaway(self, code: ErrorCode = ErrorCode.NO_ERROR, *, soon: bool = False) -> None:
        """Says which stream was the last; `soon`, that one will be (§6.8)."""
        last = frames.HIGHEST_STREAM if soon else self.last_stream
        self.sender.control(frames.goaway_to_send(last, code))

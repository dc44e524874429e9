"""One HTTP/2 connection as a state machine: bytes in, calls to a handler out; no input or output.

What each frame does, and which fault it is where it must not come (RFC 9113 §5 and §6). The bytes
to write are in `sender`. Decisions: docs/decisions/0006-own-frame-layer-for-http2.md.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.server.http2 import frames
from proxy.server.http2.blocks import BlockReader, Field
from proxy.server.http2.budgets import Kind
from proxy.server.http2.control import receive_control, receive_update
from proxy.server.http2.core import CONNECTION_WINDOW, Core, Handler
from proxy.server.http2.faults import ConnectionFault, ErrorCode, Malformed, StreamFault
from proxy.server.http2.fields import Head, check_trailers, read_head
from proxy.server.http2.flow import DEFAULT
from proxy.server.http2.frames import Frame, Setting
from proxy.server.http2.heads import bare_head
from proxy.server.http2.streams import Stream

_UPDATE = bytes((frames.WINDOW_UPDATE,))


class Connection(Core):
    """The state of one connection.

    Attributes:
        failed: the fault that ended the connection. GOAWAY is in `sender`; nothing that comes
            after is looked at.
        refusing: set it to refuse new streams.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_streams: int,
        max_header_size: int,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(handler, clock)
        self.failed: ErrorCode | None = None
        self.refusing = False
        self._max_streams = max_streams
        self._max_header_size = max_header_size
        self._frames = frames.FrameReader()
        # Up to twice the limit a head is decoded and answered with 431 on its own stream.
        self._blocks = BlockReader(2 * max_header_size)
        self._partial: tuple[int, int, list[bytes]] | None = None
        self._partial_size = 0
        self._greeted = False
        self._updates = False  # whether what came last looks as if it begins with WINDOW_UPDATE
        self._effort = 0

    def start(self) -> None:
        """Sends our settings, and widens the connection's window."""
        settings = (
            (Setting.MAX_CONCURRENT_STREAMS, self._max_streams),
            (Setting.MAX_HEADER_LIST_SIZE, self._max_header_size),
            (Setting.NO_RFC7540_PRIORITIES, 1),
        )
        self.sender.control(frames.settings_to_send(settings))
        self.sender.control(frames.window_update_to_send(0, CONNECTION_WINDOW - DEFAULT))

    @property
    def partial(self) -> bool:
        """Whether a frame or a field block is only half here."""
        return self._frames.partial or self._partial is not None

    # --- from the network -------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Adds bytes; `step` then handles them."""
        self._frames.feed(data)
        self._updates = data[3:4] == _UPDATE and self._greeted

    def step(self, effort: int) -> bool:
        """Handles frames worth so much effort (a plain frame, or a decoded field, is one; a
        request is one more).

        Returns whether more wait; let others have their turn then.
        """
        self._effort = effort
        try:
            if self._updates and self._partial is None and self.failed is None:
                self._receive_updates()
            while self.failed is None:
                if self._effort <= 0:
                    return True
                frame = self._frames.next()
                if frame is None:
                    return False
                self._effort -= 1
                self._receive_frame(frame)
        except ConnectionFault as fault:
            self.fail(fault.code)
        return False

    def _receive_updates(self) -> None:
        """Takes WINDOW_UPDATEs as far as nothing else comes between: a client with a small window
        sends hardly anything else."""
        while self._effort > 0 and (update := self._frames.next_update()) is not None:
            self._effort -= 1
            try:
                receive_update(self, *update)
            except StreamFault as fault:
                self.reset_faulty(update[0], fault.code)

    def _receive_frame(self, frame: Frame) -> None:
        kind = frame.kind
        if not self._greeted:
            if kind != frames.SETTINGS or frame.flags & frames.ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no settings at first")
            self._greeted = True
        if (kind == frames.CONTINUATION) != (self._partial is not None):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a field block interrupted or missing")
        try:
            frames.check_shape(frame)
            if kind == frames.HEADERS:
                self._receive_headers(frame)
            elif kind == frames.DATA:
                self._receive_data(frame)
            elif kind == frames.CONTINUATION:
                self._receive_continuation(frame)
            else:
                receive_control(self, frame)
        except StreamFault as fault:
            self.reset_faulty(frame.stream_id, fault.code)

    # --- heads ------------------------------------------------------------------------------

    def _receive_headers(self, frame: Frame) -> None:
        block = frames.content_of(frame)
        if frame.flags & frames.END_HEADERS:
            self._receive_block(frame.stream_id, frame.flags, block)
        else:
            self._partial = (frame.stream_id, frame.flags, [block])
            self._partial_size = len(block)

    def _receive_continuation(self, frame: Frame) -> None:
        if self._partial is None or self._partial[0] != frame.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of another stream")
        stream_id, flags, pieces = self._partial
        last = frame.flags & frames.END_HEADERS
        self.budget.spend(Kind.CONTINUATION)
        if not frame.payload and not last:
            self.budget.spend(Kind.EMPTY)
        pieces.append(frame.payload)
        self._partial_size += len(frame.payload)
        if self._partial_size > 2 * self._max_header_size:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too large a field block")
        if last:
            self._partial = None
            self._receive_block(stream_id, flags, b"".join(pieces))

    def _receive_block(self, stream_id: int, flags: int, block: bytes) -> None:
        """A whole field block: it must be decoded, whatever becomes of its stream."""
        end = bool(flags & frames.END_STREAM)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._receive_trailers(stream, self._decode(block), end=end)
        elif stream_id > self.last_stream and stream_id & 1:
            self.last_stream = stream_id
            self._open(stream_id, self._read_head(block), end=end)
        else:
            self._decode(block)
            if self._ended.get(stream_id) is None:  # §5.1.1: numbers only rise
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream of a lower number")
            self._ended.check_late(stream_id)

    def _decode(self, block: bytes) -> list[Field]:
        fields = self._blocks.decode(block)
        self._effort -= len(fields)
        return fields

    def _read_head(self, block: bytes) -> Head:
        head = self._blocks.recall(block)
        if head is None:
            head = read_head(self._decode(block), most_bytes=self._max_header_size)
            self._blocks.remember(block, head)
        return head

    def _open(self, stream_id: int, head: Head, *, end: bool) -> None:
        if len(self.streams) >= self._max_streams or self.refusing:
            raise StreamFault(ErrorCode.REFUSED_STREAM, "too many streams, or leaving")
        stream = Stream(stream_id, self.initial_window, head.length)
        stream.priority = self.announced.pop(stream_id, head.priority)
        if end:
            stream.end_request()
        self.streams[stream_id] = stream
        self._effort -= 1
        self.budget.earn_request()
        if head.refused:
            self.budget.spend(Kind.RESET)
            self.sender.head(stream, bare_head(head.refused), end=True)
        else:
            self._handler.request(stream, head)

    def _receive_trailers(self, stream: Stream, fields: list[Field], *, end: bool) -> None:
        if stream.request_ended:
            raise StreamFault(ErrorCode.STREAM_CLOSED, "HEADERS after the end of the request")
        if not end:
            raise Malformed("a second head that is no trailer")
        check_trailers(fields)
        stream.end_request()
        self._handler.request_ended(stream)

    # --- bodies -----------------------------------------------------------------------------

    def _receive_data(self, frame: Frame) -> None:
        size = len(frame.payload)
        if not self._inflow.take(size):
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")
        content, end = frames.content_of(frame), bool(frame.flags & frames.END_STREAM)
        if not content and not end:
            self.budget.spend(Kind.EMPTY)
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            self.check_opened(frame.stream_id)
            self.credit_connection(size)
            self._ended.check_late(frame.stream_id)
            return
        try:
            stream.receive_body(size, len(content), end=end)
        except StreamFault:
            self.credit_connection(size)
            raise
        self.credit(stream, size - len(content))
        if content:
            self._handler.body(stream, content)
        if end:
            self._handler.request_ended(stream)

    def fail(self, code: ErrorCode) -> None:
        """Ends the connection for a fault of the client's."""
        self.failed = code
        self._frames = frames.FrameReader()
        self.say_goaway(code)

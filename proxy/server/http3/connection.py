"""One HTTP/3 connection as a state machine: QUIC's events in, calls to a handler out.

Which frame may come where, and which fault it is where it must not (RFC 9114 §4, §6 and §7). Knows
no transport and no clock but the budget's.
"""

from __future__ import annotations

from aioquic.quic.events import (
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from proxy.server.http2.budgets import Budget, Kind
from proxy.server.http2.core import Handler
from proxy.server.http2.faults import ConnectionFault as Http2Fault
from proxy.server.http2.faults import ErrorCode as Http2Code
from proxy.server.http2.faults import Malformed, StreamFault
from proxy.server.http2.fields import Head, check_trailers, read_head
from proxy.server.http2.streams import Stream as AnyStream
from proxy.server.http3 import frames
from proxy.server.http3.control import Control
from proxy.server.http3.faults import ConnectionFault, ErrorCode, code_of
from proxy.server.http3.qpack import BLOCKS, TooLarge, read_block
from proxy.server.http3.quic import Quic
from proxy.server.http3.sending import Sender
from proxy.server.http3.streams import Known, Stream

# Heads of one connection that are remembered by their blocks, and the size of such a block.
_MOST_KNOWN, _LARGEST_KNOWN = 32, 512
_TOO_LARGE = 431
# "No request is refused yet" (§5.2): the highest number of a request's stream.
_HIGHEST_STREAM = 2**62 - 4


class Connection:
    """The state of one connection.

    Attributes:
        streams: those that are open.
        sender: takes what is to be sent.
        failed: the fault that ended the connection.
        refusing: set it to refuse new requests.
    """

    def __init__(
        self, handler: Handler, quic: Quic, budget: Budget, *, max_streams: int, most: int
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.sender = Sender(quic, self._response_ended)
        self.budget = budget
        self.failed: ConnectionFault | None = None
        self.refusing = False
        self._handler = handler
        self._quic = quic
        self._max_streams, self._most = max_streams, most
        self._control = Control(quic, budget)
        self._known = Known()
        self._heads: dict[bytes, Head] = {}

    def start(self) -> None:
        """Opens our control stream, and says our settings."""
        self._control.start(self._most)

    @property
    def leaving(self) -> bool:
        """Whether the client said it makes no more requests."""
        return self._control.leaving

    @property
    def headless(self) -> list[Stream]:
        """Streams whose head is not here yet."""
        return [one for one in self.streams.values() if not one.begun]

    # --- from the network -----------------------------------------------------------------------

    def handle(self, event: QuicEvent) -> None:
        """Takes one event; after a fault of the client's, no more are looked at."""
        if self.failed is not None:
            return
        try:
            if isinstance(event, StreamDataReceived):
                self._receive(event.stream_id, event.data, end=event.end_stream)
            elif isinstance(event, StreamReset):
                self._receive_reset(event.stream_id)
            elif isinstance(event, StopSendingReceived):
                self._receive_stop(event.stream_id)
        except ConnectionFault as fault:
            self._fail(fault)
        except Http2Fault as fault:  # over a budget
            self._fail(ConnectionFault(ErrorCode.EXCESSIVE_LOAD, str(fault)))

    def _fail(self, fault: ConnectionFault) -> None:
        self.failed = fault
        self._quic.close(fault.code, None, fault.why)

    def _receive(self, stream_id: int, data: bytes, *, end: bool) -> None:
        if stream_id & 2:
            self._quic.credit(stream_id, len(data))
            self._control.receive(stream_id, data, end=end)
            return
        stream = self.streams.get(stream_id)
        if stream is None and self._known.add(stream_id):
            stream = self._open(stream_id)
        if stream is None or not stream.reading:
            self._quic.credit(stream_id, len(data))
            return
        self._quic.credit(stream_id, len(data) - self._receive_frames(stream, data, end=end))

    def _open(self, stream_id: int) -> Stream | None:
        stream = Stream(stream_id, self._most)
        if self.refusing or len(self.streams) >= self._max_streams:
            self.reset_faulty(stream, ErrorCode.REQUEST_REJECTED)
            return None
        self.streams[stream_id] = stream
        self.budget.earn_request()
        return stream

    def _receive_frames(self, stream: Stream, data: bytes, *, end: bool) -> int:
        """Handles what came; returns how many bytes of a body are with the handler."""
        kept = 0
        try:
            for piece in stream.reader.feed(data):
                kept += self._receive_piece(stream, piece)
                if not stream.reading:
                    return kept
            if stream.reader.too_large:
                self._refuse_head(stream)
            elif end:
                self._receive_end(stream)
        except Malformed:
            self.reset_faulty(stream, ErrorCode.MESSAGE_ERROR)
        except StreamFault as fault:
            self.reset_faulty(stream, code_of(fault.code))
        return kept

    def _receive_piece(self, stream: Stream, piece: frames.Piece) -> int:
        kind = piece.kind
        if kind == frames.Kind.HEADERS:
            self._receive_block(stream, piece.payload)
        elif kind == frames.Kind.DATA:
            return self._receive_body(stream, piece)
        elif kind in _NOT_OF_REQUESTS:
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "a frame of the control stream")
        elif not piece.payload:  # §9: of a kind unknown to us; counted once, passed over
            frames.check_kind(kind)
            self.budget.spend(Kind.OTHER)
        return 0

    def _receive_block(self, stream: Stream, block: bytes) -> None:
        if not stream.begun:
            self._begin(stream, block)
            return
        if stream.request_ended:
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "a frame behind trailers")
        try:
            check_trailers(read_block(block, self._most))
        except TooLarge:
            raise Malformed("too large trailers") from None
        self._finish_request(stream)

    def _begin(self, stream: Stream, block: bytes) -> None:
        head = self._heads.get(block)
        if head is None:
            try:
                head = read_head(read_block(block, self._most), most_bytes=self._most)
            except TooLarge:
                self._refuse_head(stream)
                return
            if len(block) <= _LARGEST_KNOWN and len(self._heads) < _MOST_KNOWN:
                self._heads[block] = head
        stream.begun = True
        stream.priority = head.priority
        stream.promise(head.length)
        if head.refused:
            self._answer_refused(stream, head.refused)
        else:
            self._handler.request(stream, head)

    def _refuse_head(self, stream: Stream) -> None:
        stream.begun = True
        self._answer_refused(stream, _TOO_LARGE)

    def _answer_refused(self, stream: Stream, status: int) -> None:
        self.budget.spend(Kind.RESET)
        self.sender.head(stream, BLOCKS.bare(status), end=True)

    def _receive_body(self, stream: Stream, piece: frames.Piece) -> int:
        if not stream.begun or stream.request_ended:
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, "DATA where none may be")
        size = len(piece.payload)
        if not size:
            if not piece.size:
                self.budget.spend(Kind.EMPTY)
            return 0
        stream.receive_body(size, size, end=False)
        self._handler.body(stream, piece.payload)
        return size

    def _receive_end(self, stream: Stream) -> None:
        if stream.reader.partial:
            raise ConnectionFault(ErrorCode.FRAME_ERROR, "a frame cut short")
        if not stream.begun:
            self.reset_faulty(stream, ErrorCode.REQUEST_INCOMPLETE)
        elif not stream.request_ended:
            self._finish_request(stream)
        stream.reading = False

    def _finish_request(self, stream: Stream) -> None:
        stream.end_request()
        self._handler.request_ended(stream)

    def _receive_reset(self, stream_id: int) -> None:
        """The client gives its request up, or a stream that must not end (§6.2.1)."""
        if stream_id & 2:
            self._control.receive(stream_id, b"", end=True)
            return
        self._known.add(stream_id)
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.reading = False
            self._break_off(stream, ErrorCode.REQUEST_CANCELLED)

    def _receive_stop(self, stream_id: int) -> None:
        """The client wants no response any more; aioquic has answered with a reset."""
        if stream_id & 1:
            raise ConnectionFault(ErrorCode.CLOSED_CRITICAL_STREAM, "our control stream is stopped")
        self._known.add(stream_id)
        self._quic.drop_unsent(stream_id)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._break_off(stream, ErrorCode.REQUEST_CANCELLED)

    # --- ends -----------------------------------------------------------------------------------

    def credit(self, stream: AnyStream, size: int) -> None:
        """So many bytes of a request's body were read: the client may send as many more."""
        stream.inflow.give_back(size)
        self._quic.credit(stream.id, size)

    def credit_connection(self, size: int) -> None:
        """Bytes of a stream that is over were dropped."""
        self._quic.credit(-1, size)

    def reset(self, stream: AnyStream, code: Http2Code) -> None:
        """Breaks a stream off, on both sides."""
        known = self.streams.get(stream.id)
        if known is not None:
            self._break_off(known, code_of(code))

    def reset_faulty(self, stream: Stream, code: ErrorCode) -> None:
        """A stream error, which counts as a reset by the client."""
        self.budget.spend(Kind.RESET)
        self._break_off(stream, code)

    def _break_off(self, stream: Stream, code: ErrorCode) -> None:
        self._quic.reset_stream(stream.id, code)
        self._quic.drop_unsent(stream.id)
        self._stop_reading(stream, code)
        self._forget(stream)

    def _stop_reading(self, stream: Stream, code: ErrorCode) -> None:
        if stream.reading:
            stream.reading = False
            self._quic.stop_reading(stream.id, code)

    def _response_ended(self, stream: AnyStream) -> None:
        """The rest of a request whose response is complete is of no use to anybody (§4.1)."""
        known = self.streams.get(stream.id)
        if known is not None:
            self._stop_reading(known, ErrorCode.NO_ERROR)
            self._forget(known)

    def _forget(self, stream: Stream) -> None:
        self.sender.forget(stream)
        stream.drop()
        if self.streams.pop(stream.id, None) is not None:
            self._handler.over(stream)

    def abandon(self) -> None:
        """The connection is over: drops every stream, and with it what was to be sent."""
        for stream in list(self.streams.values()):
            self._forget(stream)

    def say_goaway(self, *, soon: bool = False) -> None:
        """Says from which stream on requests are refused; `soon`, that some will be (§5.2)."""
        self._control.say_goaway(_HIGHEST_STREAM if soon else self._known.highest + 4)


_NOT_OF_REQUESTS = {
    frames.Kind.CANCEL_PUSH,
    frames.Kind.SETTINGS,
    frames.Kind.PUSH_PROMISE,  # §7.2.5: a client sends none
    frames.Kind.GOAWAY,
    frames.Kind.MAX_PUSH_ID,
    frames.Kind.PRIORITY_UPDATE,
    frames.Kind.PRIORITY_UPDATE_OF_PUSH,
}

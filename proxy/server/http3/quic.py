"""One QUIC connection: aioquic's, within our bounds.

Everything that touches aioquic's inner parts is in this file; tests/server/http3/test_quic.py
holds what it takes them to be. As it comes, aioquic widens a client's windows whether or not
anybody reads, takes whatever it is given to send, and counts no frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    CONNECTION_LIMIT_FRAME_CAPACITY,
    END_STATES,
    MAX_STREAM_DATA_FRAME_CAPACITY,
    QuicConnection,
    QuicConnectionError,
    QuicReceiveContext,
)
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from proxy.server.http2.budgets import Budget, Kind
from proxy.server.http2.faults import ConnectionFault as OverBudget
from proxy.server.http3.faults import ErrorCode

# Unread request bodies: of one stream, and of one connection (bytes), as with HTTP/2.
STREAM_WINDOW, CONNECTION_WINDOW = 2**16, 2**19
# What one stream may have in aioquic that is not yet sent, and not yet acknowledged. The second is
# what a distant client's speed needs; one that stops reading leaves the first.
MOST_UNSENT, MOST_HELD = 2**16, 2**20
# Of the second the streams of a connection have a share of this, but never less than the first
# twice: a client that acknowledges all but the first packet of each stream leaves that.
MOST_SHARED = 2**22
# What may be on the wire of one connection: a client that acknowledges nothing leaves this.
MOST_IN_FLIGHT = 2**21
# Streams that carry no request: control and QPACK's two, and what a client tries out.
_ONE_WAY_STREAMS = 8
# Pieces with gaps between them; to find the place of one costs time in proportion.
_MOST_GAPS = 128


class Quic(QuicConnection):
    """A server's connection. `budget` counts what a client may send of costly frames."""

    def __init__(
        self,
        configuration: QuicConfiguration,
        *,
        original_id: bytes,
        retry_id: bytes | None,
        max_streams: int,
        budget: Budget,
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_id,
            retry_source_connection_id=retry_id,
        )
        for limit, most in (
            (self._local_max_streams_bidi, max_streams),
            (self._local_max_streams_uni, _ONE_WAY_STREAMS),
        ):
            limit.value = limit.sent = most
        self._budget = budget

    # --- what we send ---------------------------------------------------------------------------

    def room(self, stream_id: int) -> int:
        """How many more bytes the stream takes now."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.sender.is_finished or self._is_reset(stream):
            return 0
        sender = stream.sender
        written = sender._buffer_stop  # noqa: SLF001
        unsent = written - sender.highest_offset
        held = written - sender._buffer_start  # noqa: SLF001
        share = max(2 * MOST_UNSENT, MOST_SHARED // len(self._streams))
        return max(0, min(MOST_UNSENT - unsent, MOST_HELD - held, share - held))

    @property
    def all_taken(self) -> bool:
        """Whether the client has acknowledged all that was written of responses."""
        return all(
            number & 2 or one.sender.is_finished or self._is_reset(one)
            for number, one in self._streams.items()
        )

    @property
    def sent(self) -> int:
        """How many bytes of all streams were sent, each counted once: what windows let us."""
        return self._remote_max_data_used

    @property
    def ending(self) -> bool:
        """Whether either side has closed the connection, or something has broken it."""
        return self._close_event is not None or self._state in END_STATES

    def can_send(self, stream_id: int) -> bool:
        """Whether the stream is there and not reset."""
        stream = self._streams.get(stream_id)
        return stream is not None and not (stream.sender.is_finished or self._is_reset(stream))

    @staticmethod
    def _is_reset(stream: QuicStream) -> bool:
        return stream.sender._reset_error_code is not None  # noqa: SLF001

    def drop_unsent(self, stream_id: int) -> None:
        """A stream that was reset keeps nothing: aioquic holds its bytes until that is known."""
        stream = self._streams.get(stream_id)
        if stream is not None and self._is_reset(stream):
            stream.sender._buffer.clear()  # noqa: SLF001

    def hold_flight(self) -> None:
        """Keeps the congestion window within what we are willing to hold for one client."""
        control = self._loss._cc  # noqa: SLF001
        control.congestion_window = min(control.congestion_window, MOST_IN_FLIGHT)

    # --- what the client may send ---------------------------------------------------------------

    def stop_reading(self, stream_id: int, code: ErrorCode) -> None:
        """Asks the client to send no more of a stream, if some may still come."""
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            stream.receiver.stop(code)

    def credit(self, stream_id: int, size: int) -> None:
        """So many bytes of a stream were read: the client may send as many more."""
        self._local_max_data.value += size
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.max_stream_data_local += size

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        """MAX_DATA once half of the window was read, MAX_STREAMS once half may be opened anew."""
        del space
        data, requests = self._local_max_data, self._local_max_streams_bidi
        others = self._local_max_streams_uni
        for limit, due in (
            (data, data.value - data.sent >= CONNECTION_WINDOW // 2),
            (requests, requests.sent - requests.used < requests.value - requests.sent),
            (others, others.sent - others.used < others.value - others.sent),
        ):
            if due:
                buffer = builder.start_frame(
                    limit.frame_type,
                    capacity=CONNECTION_LIMIT_FRAME_CAPACITY,
                    handler=self._on_connection_limit_delivery,
                    handler_args=(limit,),
                )
                buffer.push_uint_var(limit.value)
                limit.sent = limit.value

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        """MAX_STREAM_DATA once half of the window was read."""
        del space
        due = stream.max_stream_data_local - stream.max_stream_data_local_sent
        if due < STREAM_WINDOW // 2 or stream.receiver.is_finished:
            return
        buffer = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA,
            capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
            handler=self._on_max_stream_data_delivery,
            handler_args=(stream,),
        )
        buffer.push_uint_var(stream.stream_id or 0)
        buffer.push_uint_var(stream.max_stream_data_local)
        stream.max_stream_data_local_sent = stream.max_stream_data_local

    # --- what is counted ------------------------------------------------------------------------

    def _spend(self, kind: Kind) -> None:
        try:
            self._budget.spend(kind)
        except OverBudget:
            raise _excessive(f"too many of {kind.name}") from None

    def _check_gaps(self, stream: QuicStream | None) -> None:
        if stream is not None and len(stream.receiver._ranges) > _MOST_GAPS:  # noqa: SLF001
            raise _excessive("too many gaps")

    def _handle_stream_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        start = buf.tell()
        stream_id = buf.pull_uint_var()
        buf.seek(start)
        before = self._local_max_data.used
        super()._handle_stream_frame(context, frame_type, buf)
        if self._local_max_data.used == before and not frame_type & 1:
            self._spend(Kind.UPDATE)  # nothing new: sent again, or empty
        self._check_gaps(self._streams.get(stream_id))

    def _handle_crypto_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        super()._handle_crypto_frame(context, frame_type, buf)
        self._check_gaps(self._crypto_streams.get(context.epoch))


def _excessive(why: str) -> QuicConnectionError:
    """An error of the application's, not of QUIC's: there is no type of frame in it."""
    return QuicConnectionError(ErrorCode.EXCESSIVE_LOAD, cast("int", None), why)


def _counted(name: str, kind: Kind) -> None:
    handle: Callable[[Quic, QuicReceiveContext, int, Buffer], None] = getattr(QuicConnection, name)

    def counted(self: Quic, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self._spend(kind)
        handle(self, context, frame_type, buf)

    setattr(Quic, name, counted)


# Frames that carry nothing, and how they are counted. PADDING and ACK are part of any packet.
for _name, _kind in (
    ("_handle_ping_frame", Kind.UPDATE),
    ("_handle_max_data_frame", Kind.UPDATE),
    ("_handle_max_stream_data_frame", Kind.UPDATE),
    ("_handle_stop_sending_frame", Kind.RESET),
    ("_handle_reset_stream_frame", Kind.RESET),
    ("_handle_max_streams_bidi_frame", Kind.OTHER),
    ("_handle_max_streams_uni_frame", Kind.OTHER),
    ("_handle_data_blocked_frame", Kind.OTHER),
    ("_handle_stream_data_blocked_frame", Kind.OTHER),
    ("_handle_streams_blocked_frame", Kind.OTHER),
    ("_handle_new_connection_id_frame", Kind.OTHER),
    ("_handle_retire_connection_id_frame", Kind.OTHER),
    ("_handle_path_challenge_frame", Kind.PING),
    ("_handle_path_response_frame", Kind.PING),
):
    _counted(_name, _kind)

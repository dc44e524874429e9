"""HTTP/2 on Hypercorn's protocol for it, with what it lacks mended.

- Backpressure: the app waits until what it sent before has left (`Outbox`).
- A body broken off resets its stream at once, with INTERNAL_ERROR; its siblings go on.
- Request bodies are bounded by the stream's window, reopened as the app reads; a request whose
  response is complete is reset with NO_ERROR (RFC 9113 §8.1.1).
- PRIORITY is ignored (RFC 9113 §5.3.2 deprecates it): streams take turns.
- A head the app must not see gets its status, or a reset, on its own stream.
- Too many handlers at once, counting those whose stream was reset: REFUSED_STREAM.
- Frames that cost us more than the client have a budget; beyond it, ENHANCE_YOUR_CALM.
- A drain says GOAWAY twice (RFC 9113 §6.8), so that no request is lost between.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import partial

import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as IOEvent
from hypercorn.protocol.events import (
    Body,
    EndBody,
    Event,
    Request,
    Response,
    StreamClosed,
    Trailers,
)
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.utils import filter_pseudo_headers
from hyperframe.frame import GoAwayFrame

from proxy.server.exchange import ClosedSoon, Exchange, Failed, Tally
from proxy.server.floods import Budget
from proxy.server.http2_turns import Turns
from proxy.server.requests import MOST_FIELDS, Refused, check_head, origin_form

# Events between two looks at other connections: about a millisecond of work.
_BATCH = 32
# Seconds after the first GOAWAY in which requests are still taken that crossed it on the way.
_LAST_CALL = 1.0
_HIGHEST_STREAM = 2**31 - 1


class Http2(H2Protocol):
    """One HTTP/2 connection. Set `tally` before the first byte is handled."""

    tally: Tally

    def _set_up(self) -> None:
        most = self.config.h2_max_header_list_size
        self.connection.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: self.config.h2_max_concurrent_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: most,
            },
        )
        # Up to here a head is decoded and refused with 431 on its own stream; beyond it the
        # decoder stops, which ends the connection.
        self.connection.decoder.max_header_list_size = 2 * most
        self._exchanges: dict[int, Exchange] = {}
        self._turns = Turns(self.connection)
        self._uploading: set[int] = set()
        self._running = 0
        self._last_call = math.inf
        self._budget = Budget(self.context.time)

    @property
    def idle(self) -> bool:
        """Whether no response is under way."""
        return not self._exchanges

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Sends our settings and starts the sending task. There are no upgrades from HTTP/1.1,
        which is what the arguments would be for."""
        del headers, settings
        self._set_up()
        await super().initiate()

    # --- from the network -------------------------------------------------------------------

    async def handle(self, event: IOEvent) -> None:
        """Takes bytes of the connection, or its end."""
        if isinstance(event, RawData):
            await self._receive(event.data)
        elif isinstance(event, Closed) and not self.closed:
            self.closed = True
            for stream_id in list(self._exchanges):
                await self._drop(stream_id)
            await self.has_data.set()

    async def _receive(self, data: bytes) -> None:
        try:
            events = self.connection.receive_data(data)
        except ProtocolError:
            await self._end()
        else:
            await self._handle_events(events)

    async def _end(self) -> None:
        await self._flush()
        await self.send(ClosedSoon())
        await self.handle(Closed())

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for count, event in enumerate(events, start=1):
            if self.closed:
                return
            if not self._budget.allows(event):
                self.connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                await self._end()
                return
            await self._handle_event(event)
            if count % _BATCH == 0:
                await self._flush()
                await asyncio.sleep(0)
        await self._flush()

    async def _handle_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                await self._begin(event)
            case h2.events.DataReceived():
                await self._take_body(event)
            case h2.events.StreamEnded(stream_id=stream_id):
                self._uploading.discard(stream_id)
                if stream_id in self._exchanges:
                    await self._exchanges[stream_id].handle(EndBody(stream_id))
            case h2.events.StreamReset(stream_id=stream_id):
                await self._drop(stream_id)
                await self._look_idle()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                await self._offer_turns()
            case h2.events.ConnectionTerminated():
                await self.send(Closed())

    async def _begin(self, event: h2.events.RequestReceived) -> None:
        if event.stream_ended is None:
            self._uploading.add(event.stream_id)
        fields = [(bytes(name), bytes(value)) for name, value in event.headers]
        pseudo = dict(one for one in fields if one[0].startswith(b":"))
        method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
        limits = {"most_bytes": self.config.h2_max_header_list_size, "most_fields": MOST_FIELDS}
        try:
            check_head(method, target, fields, **limits)
        except Refused as refused:
            self._answer(event.stream_id, refused.status)
            return
        full = self._running >= self.config.h2_max_concurrent_streams
        if full or self.context.time() > self._last_call:
            self._reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        await self._start(event.stream_id, method, target, fields)

    async def _start(
        self, stream_id: int, method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]
    ) -> None:
        ends = (self.app, self.config, self.context, self.task_group)
        where = (self.ssl, self.client, self.server)
        exchange = Exchange(*ends, *where, self.stream_send, stream_id)
        exchange.prepare(self.tally, left=self._left, credit=partial(self._credit, stream_id))
        self._exchanges[stream_id] = exchange
        self._turns.add(stream_id)
        self._running += 1
        await self.send(Updated(idle=False))
        await exchange.handle(
            Request(
                stream_id=stream_id,
                headers=filter_pseudo_headers(fields),
                http_version="2",
                method=method.decode("ascii", "replace"),
                raw_path=origin_form(target)[0],
                state=self.connection_state,
            )
        )

    def _left(self) -> None:
        self._running -= 1

    async def _take_body(self, event: h2.events.DataReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        taken = len(event.data) if exchange is not None else 0
        padding = event.flow_controlled_length - taken
        if exchange is not None:
            await exchange.handle(Body(event.stream_id, event.data))
        if padding:
            self._acknowledge(event.stream_id, padding)

    async def _credit(self, stream_id: int, size: int) -> None:
        self._acknowledge(stream_id, size)
        await self._flush()

    def _acknowledge(self, stream_id: int, size: int) -> None:
        try:
            self.connection.acknowledge_received_data(size, stream_id)
        except (ProtocolError, KeyError):
            pass  # the stream or the connection is gone, and its window with it

    async def _drop(self, stream_id: int) -> None:
        """Forgets a stream that ended before its response did."""
        self._uploading.discard(stream_id)
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is not None:
            unread = exchange.inbox.close()
            await exchange.handle(StreamClosed(stream_id))
            self._turns.remove(stream_id)
            if unread:
                self._acknowledge(stream_id, unread)

    # --- to the network ---------------------------------------------------------------------

    async def stream_send(self, event: Event) -> None:
        """Sends one event of an exchange; raises `ConnectionResetError` if its stream is gone."""
        stream_id = event.stream_id
        if isinstance(event, StreamClosed):
            await self._retire(stream_id)
        elif isinstance(event, Failed):
            await self._drop(stream_id)
            self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)
            await self._flush()
            await self._look_idle()
        elif stream_id not in self._turns:
            raise ConnectionResetError("the stream is closed")
        elif isinstance(event, Response):
            await self._send_head(event)
        elif isinstance(event, Body):
            self._turns[stream_id].put(event.data)
            await self._take_turn(stream_id)
        elif isinstance(event, EndBody):
            self._turns[stream_id].end()
            await self._take_turn(stream_id)
        elif isinstance(event, Trailers):
            self._turns[stream_id].end(event.headers)
            await self._take_turn(stream_id)

    async def _take_turn(self, stream_id: int) -> None:
        """Lets a stream send, and waits until it may be given more, or has ended."""
        outbox = self._turns[stream_id]
        self._turns.offer(stream_id)
        await self.has_data.set()
        await (outbox.sent() if outbox.ended else outbox.room())

    async def _send_head(self, event: Response) -> None:
        fields = [one for one in event.headers if one[0] != b"connection"]
        try:
            self._send_fields(event.stream_id, event.status_code, fields)
        except ProtocolError:
            raise ConnectionResetError("the stream is closed") from None
        await self._flush()

    def _send_fields(
        self,
        stream_id: int,
        status: int,
        fields: Sequence[tuple[bytes, bytes]],
        *,
        end: bool = False,
    ) -> None:
        head = [(b":status", b"%d" % status), *fields, *self.config.response_headers("h2")]
        self.connection.send_headers(stream_id, head, end_stream=end)

    def _answer(self, stream_id: int, status: int) -> None:
        """A bare status for a request the app does not see."""
        self._send_fields(stream_id, status, [(b"content-length", b"0")], end=True)
        if stream_id in self._uploading:
            self._reset(stream_id, ErrorCodes.NO_ERROR)

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        self._uploading.discard(stream_id)
        try:
            self.connection.reset_stream(stream_id, code)
        except (ProtocolError, KeyError):
            pass  # closed by the client in the meantime

    async def _retire(self, stream_id: int) -> None:
        """A response is complete: the rest of its request is of no use to anybody."""
        uploading = stream_id in self._uploading
        await self._drop(stream_id)
        if uploading:
            self._reset(stream_id, ErrorCodes.NO_ERROR)
        await self._flush()
        await self._look_idle()

    async def _look_idle(self) -> None:
        if self.idle and not self.closed:
            await self.send(Updated(idle=True))

    async def _offer_turns(self) -> None:
        self._turns.offer_all()
        await self.has_data.set()

    async def send_task(self) -> None:
        """Gives each stream that can send its turn, until the connection is closed."""
        while not self.closed:
            stream_id = self._turns.next()
            if stream_id is None:
                await self.has_data.wait()
                await self.has_data.clear()
            else:
                self._budget.earn(self._turns.frame(stream_id))
                await self._flush()
                self._turns.settle(stream_id)

    # --- the end ----------------------------------------------------------------------------

    async def begin_drain(self) -> None:
        """Tells the client to open no more streams; those it has just opened are still served."""
        self._last_call = self.context.time() + _LAST_CALL
        frame = GoAwayFrame(0, last_stream_id=_HIGHEST_STREAM, error_code=ErrorCodes.NO_ERROR)
        await self.send(RawData(frame.serialize()))

    async def goodbye(self) -> None:
        """Tells the client which stream was the last."""
        try:
            self.connection.close_connection()
        except ProtocolError:
            return
        await self._flush()

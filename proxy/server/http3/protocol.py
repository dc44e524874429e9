"""HTTP/3 on a UDP socket: reads, writes, timers, and the app's tasks.

What the frames mean is decided in `connection.py`, what QUIC may hold in `quic.py`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Protocol

from aioquic.quic import events

from proxy.server.files import FileToSend
from proxy.server.hot import client_of, new_request_id
from proxy.server.http2.budgets import Budget
from proxy.server.http2.exchange import Exchange
from proxy.server.http2.faults import ErrorCode as Http2Code
from proxy.server.http2.faults import StreamFault
from proxy.server.http2.fields import Head
from proxy.server.http2.owner import Waiter
from proxy.server.http2.streams import Stream
from proxy.server.http3.connection import Connection
from proxy.server.http3.datagrams import Datagram
from proxy.server.http3.faults import ErrorCode
from proxy.server.http3.link import Opening
from proxy.server.http3.qpack import BLOCKS
from proxy.server.http3.quic import Quic
from proxy.server.state import ClientProtocol, Peer, ServerState

# Seconds. aioquic paces by microseconds; this is what the loop's timers can do.
_TICK = 0.001
# Seconds for a handshake, and for a request's head once it has begun.
_HANDSHAKE_TIMEOUT, _HEAD_TIMEOUT = 10.0, 10.0
# Seconds in which something must be taken when there is something to take. The app has a limit of
# its own for each response; this one is for what is left without an app.
_STALL_TIMEOUT = 60.0
# Seconds of silence after which a client with a response under way is asked whether it is there.
_ASK_AFTER = 10.0
# Seconds after the first GOAWAY in which requests are still taken that crossed it on the way.
_LAST_CALL = 1.0
# Seconds an app may go on whose client is gone: it hears of it at once, and is cancelled then.
_GRACE = 1.0
# Handlers in one process: beyond it streams are refused, which clients may try again.
_MOST_RUNNING = 4096


class Way(Protocol):
    """The endpoint a connection came in by."""

    def take(self, datagram: Datagram) -> None:
        """Finds out whose a datagram is."""


class Registry(Protocol):
    """The connections of this worker by their ids."""

    handshakes: int

    def add(self, connection: Http3, id_: bytes) -> None:
        """One more id."""

    def retire(self, id_: bytes) -> None:
        """One less."""

    def remove(self, connection: Http3) -> None:
        """The connection is over."""


class Http3(ClientProtocol):
    """One HTTP/3 connection.

    Attributes:
        connection: its state.
        also: fields that every answer has, as `blocks` writes them.
        paused: whether it is over, so that nothing can be written.
        waiting: exchanges that have more to send when there is room.
    """

    version, blocks = "3", BLOCKS

    def __init__(
        self, state: ServerState, peer: Peer, way: Way, registry: Registry, opening: Opening
    ) -> None:
        super().__init__(state, peer)
        self._loop = asyncio.get_running_loop()
        self._way, self._registry = way, registry
        self._link = opening.link
        limits, budget = state.limits, Budget(monotonic)
        self._quic = Quic(
            opening.configuration,
            original_id=opening.original_id,
            retry_id=opening.retry_id,
            max_streams=limits.max_streams,
            budget=budget,
        )
        self.connection = Connection(
            self,
            self._quic,
            budget,
            max_streams=limits.max_streams,
            most=limits.max_header_size,
        )
        self.also = BLOCKS.fields(state.also_for(peer))
        self.paused = False
        self.waiting: set[Waiter] = set()
        self._client = client_of(peer.client)
        self._exchanges: dict[int, Exchange] = {}
        self._tasks: dict[Exchange, asyncio.Task[None]] = {}
        self._late: dict[int, float] = {}
        self._flushing: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shaking = True
        self._began = self._idle_since = self._heard = self._progress = monotonic()
        self._earned = self._sent = 0
        registry.add(self, self._quic.host_cid)
        registry.handshakes += 1
        state.enter(self)
        self._link.open(self._receive_some, self.flush_soon)
        self._ticking = self._loop.call_later(1.0, self._tick)

    # --- from the network -----------------------------------------------------------------------

    def _receive_some(self) -> None:
        for data in self._link.receive():
            self._way.take(Datagram(data, self._link.client, ""))
            if self.paused:
                return

    def receive(self, datagram: Datagram) -> None:
        """Handles a datagram of this connection."""
        if self.paused:
            return
        self._heard = monotonic()
        self._quic.receive_datagram(datagram.data, datagram.client, self._heard)
        self._quic.hold_flight()
        self._handle_events()
        self.flush_soon()

    def _handle_events(self) -> None:
        while not self.paused and (event := self._quic.next_event()) is not None:
            if isinstance(event, events.ProtocolNegotiated):
                self.connection.start()
            elif isinstance(event, events.HandshakeCompleted):
                self._end_handshake()
            elif isinstance(event, events.ConnectionIdIssued):
                self._registry.add(self, event.connection_id)
            elif isinstance(event, events.ConnectionIdRetired):
                self._registry.retire(event.connection_id)
            elif isinstance(event, events.ConnectionTerminated):
                self._leave()
            else:
                self.connection.handle(event)

    def _end_handshake(self) -> None:
        if self._shaking:
            self._shaking = False
            self._registry.handshakes -= 1
        if self.state.draining:
            self.begin_drain()

    # --- what the connection tells --------------------------------------------------------------

    def request(self, stream: Stream, head: Head) -> None:
        """Starts a handler, if there are not too many, counting those whose stream is gone."""
        if self._answer_at_once(stream, head):
            return
        full = len(self._tasks) >= self.state.limits.max_streams
        if full or self.state.tally.running >= _MOST_RUNNING:
            raise StreamFault(Http2Code.REFUSED_STREAM, "too many handlers")
        exchange = Exchange(self, stream, head)
        self._exchanges[stream.id] = exchange
        task = self._tasks[exchange] = self.state.spawn(exchange.run())
        task.add_done_callback(partial(self._left, exchange))

    def _answer_at_once(self, stream: Stream, head: Head) -> bool:
        """Whether the application had a whole answer, and QUIC has room for it.

        The end of a request is seen behind its head, so that only the method tells here that
        there is no body; one that comes all the same is not read.
        """
        hot = self.state.hot
        if hot is None or head.length or head.method not in (b"GET", b"HEAD"):
            return False
        begun = monotonic()
        prepared = hot.hot(head.method, head.target, head.fields)
        if prepared is None:
            return False
        request_id = new_request_id()
        block = BLOCKS.prepared(prepared, request_id) + self.also
        if prepared.bodyless or not prepared.body:
            self.connection.sender.head(stream, block, end=True)
        elif not self.connection.sender.whole(stream, block, prepared.body):
            return False
        hot.answered(prepared, request_id, self._client, "3", begun)
        self.state.tally.finished += 1
        self._idle_since = monotonic()
        return True

    def body(self, stream: Stream, data: bytes) -> None:
        """Passes bytes of a request on."""
        self._exchanges[stream.id].put(data)

    def request_ended(self, stream: Stream) -> None:
        """Passes the end of a request on."""
        self._exchanges[stream.id].end_body()

    def over(self, stream: Stream) -> None:
        """Takes a stream from its handler, and in the end the handler itself."""
        exchange = self._exchanges.pop(stream.id, None)
        if exchange is None:
            return
        self.connection.credit_connection(exchange.end())
        if exchange.gone:
            self._give_up(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        task = self._tasks.get(exchange)
        if task is not None and not exchange.started:
            task.cancel()
        elif task is not None:
            late = self._loop.call_later(_GRACE, task.cancel)
            task.add_done_callback(lambda _: late.cancel())

    def _left(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        del task
        self._tasks.pop(exchange, None)
        self._idle_since = monotonic()
        if not self._tasks:
            self._close_if_done()

    # --- to the network -------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Writes what is ready, once all who have something to say have said it."""
        if self._flushing is None and not self.paused:
            self._flushing = self._loop.call_soon(self._flush)

    def send_straight(self, stream: Stream, file: FileToSend, left: int) -> int:
        """Nothing: QUIC makes packets of what it is given."""
        del stream, file, left
        return 0

    def room_for(self, stream: Stream) -> int:
        """How many bytes of the stream QUIC would take at once."""
        return 0 if self.paused else self.connection.sender.room(stream)

    def _flush(self) -> None:
        self._flushing = None
        if self.paused:
            return
        self.connection.sender.feed()
        self._settle()
        if not self._link.full:
            self._send()
            if self._quic.ending:
                self._leave()
                return
        self._earn()
        for exchange in tuple(self.waiting):
            exchange.try_again()
        self._arm()
        if not self._tasks:
            self._close_if_done()

    def taken_beside(self, stream: Stream) -> int | None:
        """Of none but the stream itself: what one is given it has at once, as windows allow."""
        del stream
        return None

    def readers(self) -> int:
        """Of no use without the count of what they take."""
        return 1

    def _settle(self) -> None:
        """Lets those go on whose bytes QUIC has taken."""
        moved = self.connection.sender.moved
        for stream in moved:
            exchange = self._exchanges.get(stream.id)
            if exchange is not None:
                exchange.moved()
        moved.clear()

    def _send(self) -> None:
        self._link.send(self._quic.datagrams_to_send(monotonic()))
        self._link.follow(self._quic.get_peer_address())

    def _earn(self) -> None:
        """What the client took entitles it to window updates."""
        sent, self._earned = self._quic.sent - self._earned, self._quic.sent
        self.connection.budget.earn(sent)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._quic.get_timer()
        if at is None or self.paused:
            self._timer = None
        else:
            self._timer = self._loop.call_later(max(_TICK, at - monotonic()), self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._quic.handle_timer(monotonic())
        self._handle_events()
        if self._flushing is not None:
            self._flushing.cancel()
        self._flush()

    # --- the end --------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Looks after the time once a second, or more often for a short keep-alive."""
        now, keep_alive = monotonic(), self.state.limits.keep_alive_timeout
        self._ticking = self._loop.call_later(min(1.0, keep_alive / 4), self._tick)
        if self._quic.sent != self._sent or self._quic.all_taken:
            self._sent, self._progress = self._quic.sent, now
        if self._shaking:
            if now - self._began >= _HANDSHAKE_TIMEOUT:
                self._leave()
        elif not self._tasks and now - self._idle_since >= keep_alive:
            self._say_goodbye()
        elif now - self._progress >= _STALL_TIMEOUT:
            self.abort()
        else:
            self._reset_late(now)
            if self._tasks and now - self._heard >= _ASK_AFTER:
                self._quic.send_ping(0)
                self.flush_soon()

    def _reset_late(self, now: float) -> None:
        """Gives up on requests whose head does not come."""
        late, self._late = self._late, {}
        for stream in self.connection.headless:
            since = self._late[stream.id] = late.get(stream.id, now)
            if now - since >= _HEAD_TIMEOUT:
                self.connection.reset(stream, Http2Code.CANCEL)
                self.flush_soon()

    def _close_if_done(self) -> None:
        """Ends a connection on which nothing runs and nothing more will."""
        last = self.connection.refusing or self.connection.leaving
        if last and not (self._tasks or self.paused) and self._quic.all_taken:
            self._close(ErrorCode.NO_ERROR)

    def _say_goodbye(self) -> None:
        self.connection.refusing = True
        self.connection.say_goaway()
        self.flush_soon()

    def begin_drain(self) -> None:
        """Tells the client to make no more requests; those it has just made are still served."""
        if not self._shaking:
            self.connection.say_goaway(soon=True)
            self.flush_soon()
        self._loop.call_later(_LAST_CALL, self._last_call)

    def _last_call(self) -> None:
        if self.paused:
            return
        if self._shaking:
            self._leave()
        else:
            self._say_goodbye()

    def cut(self) -> None:
        """Cancels the handlers; what they leave open is reset."""
        for task in list(self._tasks.values()):
            task.cancel()
        self._last_call()

    def abort(self) -> None:
        """Closes at once; what has not left is lost."""
        self._close(ErrorCode.INTERNAL_ERROR)

    def _close(self, code: ErrorCode) -> None:
        """Says so once, and is gone: a client that missed it finds out by itself."""
        if not self.paused:
            self._quic.close(code)
            self._send()
            self._leave()

    def _leave(self) -> None:
        """Gives everything back, and tells the handlers. Safe twice."""
        if self.paused:
            return
        self.paused = True
        for handle in (self._timer, self._flushing, self._ticking):
            if handle is not None:
                handle.cancel()
        self._link.close()
        if self._shaking:
            self._shaking = False
            self._registry.handshakes -= 1
        self._registry.remove(self)
        self.connection.abandon()
        self.state.leave(self)

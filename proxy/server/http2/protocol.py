"""HTTP/2 on a transport: reads, writes, timers, and the app's tasks.

What the frames mean is decided in `connection.py`; this file never looks into one.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from proxy.server.hot import client_of, new_request_id
from proxy.server.http2.connection import Connection
from proxy.server.http2.exchange import Exchange
from proxy.server.http2.faults import ErrorCode
from proxy.server.http2.fields import Head
from proxy.server.http2.handlers import Handlers
from proxy.server.http2.heads import BLOCKS
from proxy.server.http2.lingering import Lingering, linger
from proxy.server.http2.streams import Stream
from proxy.server.http2.writing import WRITE, Writing
from proxy.server.room import behind
from proxy.server.state import Peer, ServerState

# Frames or decoded fields between two looks at other connections: about a quarter of a millisecond.
_EFFORT = 64
# A client as fast as we are never makes us wait; after so many bytes, others get their turn.
_FAIR_SHARE = 2**20
# Frames that wait for a client which does not read, while it makes us send more and more.
_MOST_BACKLOG = 1024
# Seconds in which a frame or a head, once begun, must be here.
_HEAD_TIMEOUT = 10.0
# Seconds in which a connection must take something when there is something to take. The app has
# a limit of its own for each response; this one is for what is left without an app.
_STALL_TIMEOUT = 60.0
# So many bytes taken are progress of a connection.
_PROGRESS = 2**14
# Seconds after the first GOAWAY in which requests are still taken that crossed it on the way.
_LAST_CALL = 1.0


class Http2(Writing):
    """One HTTP/2 connection.

    Attributes:
        connection: its state.
        also: fields that every answer has, as `blocks` writes them.
        paused: whether the transport holds as much as it should.
        waiting: exchanges that have more to send when there is room.
    """

    version, blocks = "2", BLOCKS

    def __init__(self, state: ServerState, peer: Peer) -> None:
        super().__init__(state, peer)
        self.also = BLOCKS.fields(state.also_for(peer))
        clock = self._loop.time
        most, largest = state.limits.max_streams, state.limits.max_header_size
        self.connection = Connection(self, max_streams=most, max_header_size=largest, clock=clock)
        self._behind = 0
        self._client = client_of(peer.client)
        self._handlers = Handlers(state, self._returned)
        self._lingering: Lingering | None = None
        self._flushing: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self._idle_since = self._progress = self._whole_since = self._loop.time()

    # --- from the transport -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends our settings."""
        super().connection_made(transport)
        self.connection.start()
        self._flush()
        self._tick()

    def data_received(self, data: bytes) -> None:
        """Handles what came, some of it later if it is much, or if others send much."""
        if not self._closing:
            self.connection.receive(data)
            if self.state.turns.take(self):
                self._hold(True)

    def work(self) -> bool:
        """Handles some frames, and when all are handled starts some handlers."""
        if self._over():
            self._handlers.wind_up()
            return self._handlers.wait
        more = self.connection.step(_EFFORT)
        self._hold(more)
        if not self.connection.partial:
            self._whole_since = self._loop.time()
        if self.connection.failed is not None:
            self._end()
        elif self.paused and self.connection.sender.backlog > _MOST_BACKLOG:
            self.abort()
        else:
            self._flush()
            if not more:
                self._handlers.start_some()
        return more or self._handlers.wait

    def _hold(self, held: bool) -> None:
        """Reads no more as long as what was read is not handled."""
        if held != self._held:
            self._held = held
            if held:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def eof_received(self) -> bool | None:
        """The client sends no more: it can't open its windows, so that it is gone."""
        return False

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        self._progress = self._loop.time()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Tells the handlers."""
        self._closing = True
        for handle in (self._timer, self._flushing):
            if handle is not None:
                handle.cancel()
        if self._lingering is not None:
            self._lingering.end()
        self.connection.abandon()
        self._handlers.forget()
        self.state.turns.take(self)
        super().connection_lost(error)

    # --- what the connection tells --------------------------------------------------------------

    def request(self, stream: Stream, head: Head) -> None:
        """Starts a handler, if there are not too many, counting those whose stream is gone."""
        if self._answer_at_once(stream, head):
            return
        self._handlers.add(stream, Exchange(self, stream, head))

    def _answer_at_once(self, stream: Stream, head: Head) -> bool:
        """Whether the application had a whole answer, and the client's windows room for it."""
        hot, sender = self.state.hot, self.connection.sender
        if hot is None or not stream.request_ended or self._is_full():
            return False
        begun = monotonic()
        prepared = hot.hot(head.method, head.target, head.fields)
        if prepared is None:
            return False
        request_id = new_request_id()
        block = BLOCKS.prepared(prepared, request_id) + self.also
        if prepared.bodyless or not prepared.body:
            sender.head(stream, block, end=True)
        elif not sender.whole(stream, block, prepared.body, WRITE):
            return False
        hot.answered(prepared, request_id, self._client, "2", begun)
        self.state.tally.finished += 1
        self._idle_since = self._loop.time()
        return True

    def _is_full(self) -> bool:
        """Whether as much waits to be written as should; writes it before, if that may be."""
        ready = self.connection.sender.ready
        if ready >= self._most and not (self.paused or self._over()) and self._may_write():
            self._write()
        return self.paused or self._over()

    def body(self, stream: Stream, data: bytes) -> None:
        """Passes bytes of a request on."""
        self._handlers.exchanges[stream.id].put(data)

    def request_ended(self, stream: Stream) -> None:
        """Passes the end of a request on."""
        self._handlers.exchanges[stream.id].end_body()

    def over(self, stream: Stream) -> None:
        """Takes a stream from its handler, and in the end the handler itself."""
        self.connection.credit_connection(self._handlers.over(stream, later=self._closing))

    def _returned(self) -> None:
        self._idle_since = self._loop.time()
        self._close_if_done()

    # --- to the transport -----------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Writes what is ready, once all who have something to say have said it."""
        if self._flushing is None and not self._closing:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        sender, share = self.connection.sender, _FAIR_SHARE
        while share > 0 and not (self.paused or sender.idle or self._over()):
            if not self._may_write():
                break
            share -= self._write()
            self._settle()
        if share <= 0:
            self.flush_soon()
        if self.waiting and not self.paused:
            for exchange in tuple(self.waiting):
                exchange.try_again()
        self._close_if_done()

    def _settle(self) -> None:
        """Lets those go on whose bytes were written."""
        if moved := self.connection.sender.moved:
            self._progress = self._loop.time()
            self._handlers.moved(moved)
            moved.clear()

    # --- the end ----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Looks after the time once a second, or more often for a short keep-alive."""
        now, keep_alive = self._loop.time(), self.state.limits.keep_alive_timeout
        self._timer = self._loop.call_later(min(1.0, keep_alive / 4), self._tick)
        if self._over():
            return
        if self.paused:
            self._look_at_progress(now)
        if self.connection.partial and not self._held and now - self._whole_since >= _HEAD_TIMEOUT:
            self.connection.fail(ErrorCode.PROTOCOL_ERROR)
            self._end()
        elif not self._handlers.busy and self.paused and now - self._progress >= keep_alive:
            self.abort()  # it takes nothing, a goodbye neither
        elif not self._handlers.busy and now - self._idle_since >= keep_alive:
            self._say_goodbye()
        elif not self._has_more():
            self._progress = now
        elif now - self._progress >= _STALL_TIMEOUT:
            self.abort()

    def _look_at_progress(self, now: float) -> None:
        """The kernel takes more only when it can take much: what it has may be taken meanwhile."""
        left = behind(self.transport)
        if self._behind - left >= _PROGRESS:
            self._progress = now
        if left > self._behind or self._progress == now:
            self._behind = left

    def _has_more(self) -> bool:
        """Whether there is something for the client to take."""
        return self.paused or any(one.unsent for one in self.connection.streams.values())

    def _close_if_done(self) -> None:
        """Ends a connection on which nothing runs and nothing more will."""
        last = self.connection.refusing or self.connection.leaving
        if last and not (self._handlers.busy or self._closing) and self.connection.sender.idle:
            self._close()

    def _say_goodbye(self) -> None:
        self.connection.refusing = True
        self.connection.say_goaway()
        self._flush()

    def _end(self) -> None:
        """The client's fault: says GOAWAY, and reads on for a moment so that it arrives."""
        self.transport.write(b"".join(self.connection.sender.take(0)))
        self._closing = True
        self.connection.abandon()
        self.state.turns.take(self)
        self._lingering = linger(self.transport, self.state.turns, self.party)

    def abort(self) -> None:
        """Closes at once; what has not left is lost."""
        self._closing = True
        super().abort()

    def _close(self) -> None:
        self._closing = True
        self.transport.close()

    def begin_drain(self) -> None:
        """Tells the client to open no more streams; those it has just opened are still served."""
        self.connection.say_goaway(soon=True)
        self._flush()
        self._loop.call_later(_LAST_CALL, self._last_call)

    def _last_call(self) -> None:
        """Says which stream was the last (RFC 9113 §6.8), and closes when it is over."""
        if not self._over():
            self._say_goodbye()

    def cut(self) -> None:
        """Cancels the handlers; what they leave open is reset."""
        for stream in tuple(self._handlers.unstarted()):
            self.connection.reset(stream, ErrorCode.REFUSED_STREAM)
        self._handlers.cancel()
        self._last_call()

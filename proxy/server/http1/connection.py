"""One HTTP/1.1 connection: when it reads and writes, its deadlines, and how it ends.

Requests are answered one after the other; the next head is not looked at before. What a client
sends ahead stays in the kernel but for one read (RFC 9112 §9.3.2 lets a server do so).

There is one deadline, and no timer, lock or queue for a request.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from proxy.server.http1.at_once import AtOnce
from proxy.server.http1.deadline import Deadline
from proxy.server.http1.exchange import Exchange
from proxy.server.http1.heads import CONTINUE, REQUEST_TIMEOUT, bare_answer, write_fields
from proxy.server.http1.parser import RequestHead, RequestParser
from proxy.server.requests import Refused
from proxy.server.room import ENOUGH, Room, behind, tls_piece
from proxy.server.state import ClientProtocol, Peer, ServerState

# Seconds for a whole head, from its first byte. nginx and Apache give 20 to 60; heads fit into a
# few packets.
_HEAD_TIMEOUT = 10.0
# Seconds between two pieces of a request's body that the app waits for.
_BODY_TIMEOUT = 30.0
# A keep-alive connection may be given up at the very moment the next request is sent. During a
# drain one that was used so recently (seconds) is kept for that request.
_LINGER = 1.0
# Seconds an unread request may go on after our last byte before the connection is torn down; a
# close before that would send a reset, which takes our answer with it (RFC 9112 §9.6).
_READ_ON = 2.0
# Seconds in which what was sent must be taken once a connection is being closed.
_CLOSE_TIMEOUT = 30.0
# What may wait unread before we stop reading: requests sent ahead, and the body of this one.
_MOST_AHEAD, _MOST_BODY = 16 * 1024, 64 * 1024
# In clear the app waits until the kernel has taken everything: what waits is the app's own buffer,
# which nobody copies. TLS encrypts at once what it is given, so it gets small pieces, and the app
# waits while more than one is left. (uvloop's TLS never wakes a writer whose high water is 0.)
_HIGH_WATER = 0
_PIECE = 32 * 1024
# Requests that are answered one after the other before others get their turn: below a millisecond.
_MOST_AT_ONCE = 16
# A client as fast as we are never makes us wait; after so much, others get their turn.
_FAIR_SHARE = 1024 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once


class Http1(ClientProtocol):
    """An HTTP/1.1 connection."""

    def __init__(self, state: ServerState, peer: Peer) -> None:
        super().__init__(state, peer)
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(state.limits.max_header_size)
        self._exchange: Exchange | None = None
        self._closes = self._discards = self._lost = self._holds_on = False
        self.also = write_fields(state.also_for(peer)).lines
        self._at_once = AtOnce(state, peer, self.also)
        self._reading = True
        self._writable: asyncio.Event | None = None
        self._paused = False
        self._share = self._unwritten = self._copied = 0
        self._idle_since = self._loop.time()
        self._deadline = Deadline()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the first request."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(_PIECE if self.peer.tls else _HIGH_WATER)
        self._wait_for_request()

    # --- from the network -------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._discards:
            return
        self._parser.receive(data)
        if self._exchange is None and not self._holds_on:
            self._look_for_request()
        elif self._exchange is not None:
            self._read_body(self._exchange)
            self._choose_reading()
        else:
            self._choose_reading()

    def _look_for_request(self) -> None:
        """Begins the next request, if its head is there; answers those before it that are hot."""
        for _ in range(_MOST_AT_ONCE):
            try:
                head = self._parser.next_head()
            except Refused as refused:
                self._refuse(refused.status)
                return
            if head is None:
                if self._parser.unread and not self._deadline.is_for(self._give_up_head):
                    self._deadline.set(_HEAD_TIMEOUT, self._give_up_head)
                return
            if not self._answer_at_once(head):
                self._begin(head)
                return
            if self._holds_on or not self._parser.unread or self.transport.is_closing():
                return
        self._hold_on()
        self._loop.call_soon(self._go_on)

    def _begin(self, head: RequestHead) -> None:
        self._deadline.clear()
        self._exchange = Exchange(self, head, body_ended=self._parser.body_read)
        if not self._parser.body_read:
            self._read_body(self._exchange)
        if self._parser.unread:
            self._choose_reading()

    # --- without a task ---------------------------------------------------------------------

    def _answer_at_once(self, head: RequestHead) -> bool:
        """Whether there was an answer without a task, which is written then."""
        if self._paused or not self.goes_on(head):
            return False
        given = self._at_once.write(head, self.transport)
        if given is None:
            return False
        if self._paused:  # until the client has taken all of it, nothing else is looked at
            self._hold_on()
            self._deadline.set(self._at_once.wait(given), self._give_up_reader)
        else:
            self._at_once.taken(given)
            self._wait_for_request()
        return True

    def _hold_on(self) -> None:
        self._holds_on = True
        self._choose_reading()

    def _go_on(self) -> None:
        """Others have had their turn, or the client has taken what it was given."""
        if self._lost or self._discards or self._paused or not self._holds_on:
            return
        self._holds_on = False
        self._wait_for_request()
        if self._parser.unread:
            self._look_for_request()
        self._choose_reading()

    def _read_body(self, exchange: Exchange) -> None:
        if self._parser.body_read:
            return
        try:
            body = self._parser.next_body()
        except Refused as refused:
            if exchange.answered:
                self._linger()
            else:
                self._refuse(refused.status)
            exchange.disconnect()
            return
        if self._deadline.is_for(self._give_up_body):
            self._deadline.set(_BODY_TIMEOUT, self._give_up_body)
        if body or self._parser.body_read:
            exchange.take_body(body, ended=self._parser.body_read)

    def _choose_reading(self) -> None:
        """Stops reading when enough is unread, and goes on when it has been read."""
        exchange = self._exchange
        much = self._parser.unread >= _MOST_AHEAD
        much = much or (exchange is not None and exchange.unread >= _MOST_BODY)
        idle = exchange is None and not self._holds_on
        reading = self._discards or idle or not much
        if reading == self._reading or self._lost or self.transport.is_closing():
            return
        self._reading = reading
        if reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def eof_received(self) -> bool | None:
        """The client sends no more: it is taken as gone, as nginx and Hypercorn do."""
        if self._exchange is not None and not self._exchange.complete:
            self._exchange.disconnect()
            self.abort()
        else:
            self._finish()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._lost = True
        self._deadline.stop()
        if self._writable is not None:
            self._writable.set()
        self._at_once.end()
        self._parser.close()
        if self._exchange is None:
            super().connection_lost(error)
        else:
            self._exchange.disconnect()  # `exchange_over` will take us out of the state

    # --- for the exchange -------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost

    def wants_body(self, *, waits: bool) -> None:
        """The app waits for a body that is not complete."""
        if waits and self._exchange is not None and not self._exchange.answered:
            self.transport.write(CONTINUE)
        self._deadline.set(_BODY_TIMEOUT, self._give_up_body)

    def took_body(self) -> None:
        """The app took what there was of the body."""
        self._deadline.clear()
        if not self._reading:
            self._choose_reading()

    def goes_on(self, head: RequestHead) -> bool:
        """Whether the connection can be used for another request after this one."""
        parser = self._parser
        goes_on = head.keep_alive and parser.body_read and not parser.must_close
        return goes_on and not (self._closes or self.state.draining)

    def closes_after_this(self) -> None:
        """The response says that it is the last."""
        self._closes = True

    def must_wait(self, size: int) -> bool:
        """Whether whoever sent so much must `wait` before it sends more."""
        self._share += size
        return self._paused or self._share >= _FAIR_SHARE

    async def wait(self) -> None:
        """Waits for the client to take what was sent, or for the others to have their turn."""
        self._share = 0
        if not self._paused:
            await asyncio.sleep(0)
        while self._paused and not self._lost:
            if self._writable is None:
                self._writable = asyncio.Event()
            self._writable.clear()
            await self._writable.wait()

    async def write_large(self, body: bytes) -> None:
        """Writes a body so that the transport never holds much of it."""
        view = memoryview(body)
        step = _PIECE if self.peer.tls else len(view)
        for at in range(0, len(view), step):
            self._unwritten = len(view) - at
            if self._paused:
                await self.wait()
            if self._lost:
                return
            self._unwritten = max(0, len(view) - at - step)
            self.transport.write(view[at : at + step])

    def write_scratch(self, body: memoryview, room: Room | None) -> int:
        """Writes as much of a body as there is room for, ENOUGH at least; returns how much."""
        write, step = self.transport.write, tls_piece(self._copied) if self.peer.tls else ENOUGH
        for at in range(0, len(body), step):
            if at and not at % ENOUGH and (room is None or not room.there()):
                break
            write(body[at : at + step])
        else:
            at = len(body)
        self._copied += at
        return at

    def untaken(self) -> int:
        """How many bytes of what was to be written the client does not have yet."""
        if self._lost:
            return 0
        return self._unwritten + behind(self.transport)

    def pause_writing(self) -> None:
        """The transport is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """The transport has room."""
        self._paused = False
        if self._writable is not None:
            self._writable.set()
        if self._at_once.waits:
            self._at_once.end()
            self._loop.call_soon(self._go_on)

    def break_off(self, *, reset: bool) -> None:
        """Ends a response that can't be completed. With a reset where the end of the connection
        would be the end of the body (RFC 9112 §8: else it looks complete)."""
        if reset:
            self._reset()
        elif self._paused:
            self.abort()  # it does not read: what it has not taken would keep the connection
        else:
            self._finish()

    def exchange_over(self, *, complete: bool) -> None:
        """The app has returned, and its response is complete or broken off."""
        self._exchange = None
        if self._lost:
            self.state.leave(self)
        elif self.transport.is_closing() or self._discards:
            pass
        elif self._paused:  # the app has given up waiting for its client
            self.abort()
        elif self._closes or not complete or not self._parser.body_read:
            self._end()
        else:
            self._wait_for_request()
            if self._parser.unread:
                self._look_for_request()
            self._choose_reading()

    def _end(self) -> None:
        """Closes; gently, if something it sent is still unread."""
        if self._parser.body_read and not self._parser.unread:
            self._finish()
        else:
            self._linger()

    # --- deadlines --------------------------------------------------------------------------

    def _wait_for_request(self) -> None:
        self._idle_since = self._loop.time()
        draining = self.state.draining
        seconds = _LINGER if draining else self.state.limits.keep_alive_timeout
        self._deadline.set(seconds, self._finish)

    def _give_up_head(self) -> None:
        self._refuse(REQUEST_TIMEOUT)

    def _give_up_reader(self) -> None:
        self._at_once.end(given_up=True)
        self.abort()

    def _give_up_body(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.answered:
            self.abort()
        else:
            self._refuse(REQUEST_TIMEOUT)
        exchange.disconnect()

    # --- the end ----------------------------------------------------------------------------

    def _refuse(self, status: int) -> None:
        """Answers a request that the app does not get to see, or not to its end."""
        self.transport.write(bare_answer(status))
        self._linger()

    def _linger(self) -> None:
        """Says that nothing more comes, and reads on for a moment so that it arrives."""
        self._discards = True
        self._choose_reading()
        if not self.transport.can_write_eof():
            self._finish()  # TLS has no half-closed connection; its close reads on by itself
            return
        try:
            self.transport.write_eof()
        except OSError:
            self._finish()  # the client is gone
        else:
            self._deadline.set(_READ_ON, self._finish)

    def _finish(self) -> None:
        """Closes when what was sent has been taken."""
        self._discards = True
        self.transport.close()
        self._deadline.set(_CLOSE_TIMEOUT, self.abort)

    def _reset(self) -> None:
        own = self.transport.get_extra_info("socket")
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # already gone, or a Unix socket
        self.abort()

    def begin_drain(self) -> None:
        """Gives a request that may be on its way a moment, if the last answer was just now."""
        if self._exchange is None and not (self._discards or self._holds_on or self._parser.unread):
            left = self._idle_since + _LINGER - self._loop.time()
            if left > 0:
                self._deadline.set(left, self._finish)
            else:
                self._finish()

    def cut(self) -> None:
        """The drain's time is up."""
        if self._exchange is not None:
            self._exchange.cut()
        else:
            self._finish()

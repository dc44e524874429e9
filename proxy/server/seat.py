"""Which protocol a connection speaks: by ALPN with TLS, by its first bytes in clear.

The seat holds an accepted connection until that is known, then hands the transport over and is
gone. HTTP/2 in clear is known by its preface (RFC 9113 §3.3, prior knowledge); there are no
upgrades from HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass

from proxy.server.state import ClientProtocol, MakeProtocol, Peer, ServerState

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
# Seconds for the first bytes that tell the protocol apart; the head that follows has its own.
FIRST_BYTES_TIMEOUT = 10.0
# Seconds during a drain, in which a request that is on its way arrives.
LAST_MOMENT = 1.0


@dataclass(frozen=True, slots=True)
class Protocols:
    """What serves HTTP/1.1, and what serves HTTP/2."""

    http1: MakeProtocol
    http2: MakeProtocol


class Seat(ClientProtocol):
    """A connection of which it is not yet known what it speaks."""

    def __init__(self, state: ServerState, protocols: Protocols, party: str) -> None:
        super().__init__(state, Peer())
        self.party = party
        self.entered = False
        self._protocols = protocols
        self._first = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hands a TLS connection over at once, and waits for the first bytes of one in clear."""
        super().connection_made(transport)
        self.entered = True
        self.peer = peer_of(self.transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None:
            http2 = tls.selected_alpn_protocol() == "h2"
            self._hand_over(self._protocols.http2 if http2 else self._protocols.http1)
        else:
            self._wait(LAST_MOMENT if self.state.draining else FIRST_BYTES_TIMEOUT)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Decides as soon as the bytes can, or can't, be the preface. HTTP/2 waits for its turn."""
        self._first += data
        if self._first.startswith(PREFACE):
            if self.state.turns.take(self):
                self.transport.pause_reading()
        elif not PREFACE.startswith(self._first):
            self._hand_over(self._protocols.http1)

    def work(self) -> bool:
        """Makes an HTTP/2 connection, which costs more than all before it."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._hand_over(self._protocols.http2)
        return False

    def _hand_over(self, make: MakeProtocol) -> None:
        protocol = make(self.state, self.peer)
        protocol.party, self.party = self.party, None
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        self._forget()
        if self.state.draining:
            protocol.begin_drain()
        if self._first:
            protocol.data_received(self._first)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.state.leave(self)

    def connection_lost(self, error: Exception | None) -> None:
        """It never said what it speaks."""
        del error
        self._forget()

    def begin_drain(self) -> None:
        """Waits a moment for the first request: it may be on its way."""
        self._wait(LAST_MOMENT)

    def cut(self) -> None:
        """Nothing runs."""


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Both ends of a transport; a client that has already left has none."""
    own: socket.socket = transport.get_extra_info("socket")
    tls = transport.get_extra_info("ssl_object") is not None
    if own.family == socket.AF_UNIX:
        return Peer(None, (str(own.getsockname()), None), tls)
    client = transport.get_extra_info("peername")
    server = transport.get_extra_info("sockname")
    return Peer(client[:2] if client else None, server[:2] if server else None, tls)

"""Accepting connections from one bound socket.

asyncio's own `create_server` is not used: it knows no limit on connections, loses sight of those
in their TLS handshake, and when descriptors run out it goes deaf for a second without refusing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from proxy.server.seat import Protocols, Seat
from proxy.server.state import ServerState

logger = logging.getLogger(__name__)

# Connections the kernel holds until they are accepted; net.core.somaxconn may allow fewer.
_BACKLOG = 1024
# Accepted in one turn of the loop: about a millisecond.
_AT_ONCE = 64
# Seconds. An honest handshake takes two round trips.
HANDSHAKE_TIMEOUT = 10.0
# Seconds to wait for the client's close_notify; it owes us none.
_TLS_SHUTDOWN_TIMEOUT = 2.0


class Acceptor:
    """Accepts from `listener`, which it owns, until `close`."""

    def __init__(
        self,
        state: ServerState,
        protocols: Protocols,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._state = state
        self._protocols = protocols
        self._listener = listener
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self._loop.add_reader(listener, self._accept_some)

    def close(self) -> None:
        """Takes what is already queued, and stops. Safe twice."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            while self._accept_some() == _AT_ONCE:
                pass
            self._listener.close()

    def _accept_some(self) -> int:
        """Accepts what is there, up to a bound; returns how many."""
        for count in range(_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return count
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError:
                logger.exception("a connection could not be accepted")
                return count
            self._state.spawn(self._begin(accepted))
        return _AT_ONCE

    async def _begin(self, accepted: socket.socket) -> None:
        secure = self._tls is not None
        try:
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: Seat(self._state, self._protocols),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if secure else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT if secure else None,
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and a timeout are such errors
            accepted.close()

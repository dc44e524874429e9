"""Accepting connections from one bound socket.

asyncio's own `create_server` is not used: it knows no limit on connections, loses sight of those
in their TLS handshake, and when descriptors run out it goes deaf for a second without refusing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import ssl

from proxy.server.admission import party_of
from proxy.server.descriptors import Spare
from proxy.server.fair_queue import FairQueue
from proxy.server.room import UNSENT
from proxy.server.seat import Protocols, Seat
from proxy.server.state import ServerState

logger = logging.getLogger(__name__)

# Connections the kernel holds until they are accepted; net.core.somaxconn may allow fewer.
_BACKLOG = 1024
# Bytes of a connection that the kernel keeps until we read them, about: requests are small. With
# more a hundred clients that flood make one turn of the loop copy megabytes.
_UNREAD = 2**15
# Accepted in one turn of the loop, and of these begun, in clear and with TLS, which takes a
# millisecond each for the handshake: all three about as much. The others wait, those of each party
# in its turn: who connects again and again waits behind itself.
_AT_ONCE, _BEGUN, _BEGUN_TLS = 64, 12, 4
# Seconds. An honest handshake takes two round trips.
HANDSHAKE_TIMEOUT = 10.0
# Seconds to wait for the client's close_notify; it owes us none.
_TLS_SHUTDOWN_TIMEOUT = 2.0
# A refused client is given this long (seconds) to read why; so many at once, the others none.
_EXPLAINED_FOR, _MOST_EXPLAINED = 1.0, 64
# Seconds without accepting, when there is not even a descriptor to refuse with.
_DEAF = 0.1
# Seconds between two lines of log about refused connections.
_LOG_EVERY = 60.0
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


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
        self._spare = Spare()
        self._explained: set[socket.socket] = set()
        self._accepted: FairQueue[tuple[socket.socket, str]] = FairQueue()
        self._begun = _BEGUN if tls is None else _BEGUN_TLS
        self._beginning: asyncio.Handle | None = None
        self._refused, self._logged = 0, -math.inf
        self._loop = asyncio.get_running_loop()
        listener.setblocking(False)
        if listener.family != socket.AF_UNIX:  # what is accepted inherits these
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        listener.listen(_BACKLOG)
        self._loop.add_reader(listener, self._be_ready)

    def close(self) -> None:
        """Takes what is already queued, and stops. Safe twice."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            while self._accept_some() == _AT_ONCE:
                pass
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._spare.close()
            if self._beginning is not None:
                self._beginning.cancel()
            self._begin_some(len(self._accepted))
            for refused in list(self._explained):
                self._forget(refused)

    def _be_ready(self) -> None:
        """Somebody is at the door."""
        self._accept_some()
        if self._beginning is None:
            self._begin_some()

    def _accept_some(self) -> int:
        """Accepts what is there, up to a bound; returns how many."""
        for count in range(_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return count
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                if not self._refuse_with_spare():
                    return count
            else:
                self._take(accepted, address)
        return _AT_ONCE

    def _take(self, accepted: socket.socket, address: object) -> None:
        party = party_of(str(address[0])) if isinstance(address, tuple) else ""
        if not self._state.admission.admit(party):
            self._refuse(accepted)
            return
        self._accepted.add(party, (accepted, party))

    def _begin_some(self, most: int = 0) -> None:
        """Begins connections that were accepted; the rest in the next turn of the loop."""
        for _ in range(min(most or self._begun, len(self._accepted))):
            self._state.spawn(self._begin(*self._accepted.next()))
        self._beginning = self._loop.call_soon(self._begin_some) if self._accepted else None

    async def _begin(self, accepted: socket.socket, party: str) -> None:
        secure = self._tls is not None
        seat = Seat(self._state, self._protocols, party)
        try:
            await self._loop.connect_accepted_socket(
                lambda: seat,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if secure else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT if secure else None,
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and a timeout are such errors
            accepted.close()
            if not seat.entered:
                self._state.admission.dismiss(party)

    # --- refusing ---------------------------------------------------------------------------

    def _refuse(self, accepted: socket.socket) -> None:
        """Says why, in clear, and closes; with TLS it closes only."""
        reason = "connections" if self._state.admission.full else "address"
        self._note_refusal(reason, "the limit of connections is reached")
        explain = self._tls is None and len(self._explained) < _MOST_EXPLAINED
        try:
            if explain:
                accepted.setblocking(False)
                accepted.send(_REFUSAL)
                accepted.shutdown(socket.SHUT_WR)
        except OSError:
            explain = False  # it has left already
        if explain:
            self._explained.add(accepted)
            self._loop.call_later(_EXPLAINED_FOR, self._forget, accepted)
        else:
            accepted.close()

    def _forget(self, accepted: socket.socket) -> None:
        self._explained.discard(accepted)
        accepted.close()

    def _refuse_with_spare(self) -> bool:
        """Takes a connection only to close it, with the descriptor that was kept for that. False
        if that can't be done, or nobody waits: the kernel looks for a descriptor first."""
        if not self._spare.give():
            self._be_deaf()
            return False
        try:
            self._listener.accept()[0].close()
        except OSError:
            return False
        finally:
            self._spare.take()
        self._note_refusal("descriptors", "there are no descriptors left")
        return True

    def _be_deaf(self) -> None:
        """Leaves the queue to the kernel for a moment, rather than ask again at once."""
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_DEAF, self._listen_again)

    def _listen_again(self) -> None:
        self._spare.take()
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._be_ready)

    def _note_refusal(self, reason: str, why: str) -> None:
        self._state.refused[reason] += 1
        self._refused += 1
        now = self._loop.time()
        if now - self._logged >= _LOG_EVERY:
            logger.warning("%d connections refused: %s", self._refused, why)
            self._refused, self._logged = 0, now

"""Accepting connections on sockets that are already bound, and stopping without losing one.

The same for the workers, which serve the app, and for the supervisor, which serves the
operator's door. Hypercorn's own `worker_serve` is not used: it drops connections that are still
in their TLS handshake when it stops, one unexpected fault in any connection ends the wait for all
others, and it does not say what was cut.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp

from proxy.observability.flow import Crowd
from proxy.server.accepting import Acceptor
from proxy.server.hot import HotPath
from proxy.server.http1.connection import Http1
from proxy.server.http2.protocol import Http2
from proxy.server.seat import Protocols
from proxy.server.state import Limits, ServerState, Tally
from proxy.server.tls import TLSFiles

__all__ = ["Drained", "Limits", "Serving", "check_http3"]

# Seconds given to what was cut, to say so to its client.
_CUT_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended: responses that were completed during it, and those that were cut."""

    finished: int = 0
    cut: int = 0


class _Door(Protocol):
    """What takes connections from a socket."""

    def close(self) -> None:
        """Takes no more."""


def check_http3(files: TLSFiles) -> None:
    """Raises `StartError` in one line when HTTP/3 can't be served with these files, or at all."""
    # Imported only here and below: what it needs is optional.
    from proxy.server.http3.opening import configure  # noqa: PLC0415

    configure(files)


class Serving:
    """An app on sockets. `open`, then `drain` once."""

    def __init__(self, app: ASGIApp, limits: Limits, hot: HotPath | None = None) -> None:
        self._state = ServerState(app, limits, hot)
        self._protocols = Protocols(http1=Http1, http2=Http2)
        self._doors: list[_Door] = []
        self._hurry = asyncio.Event()

    @property
    def tally(self) -> Tally:
        """How many responses run, and how the others ended."""
        return self._state.tally

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._state.connections)

    def crowd(self) -> Crowd:
        """How many clients there are, and what was refused."""
        state = self._state
        return Crowd(state.admission.count, state.admission.most, dict(state.refused))

    async def open(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Starts to accept on bound sockets, which it owns from here on."""
        for one in sockets:
            self._doors.append(Acceptor(self._state, self._protocols, one, tls))

    def open_http3(self, sockets: Sequence[socket.socket], files: TLSFiles) -> None:
        """Starts to take datagrams from bound UDP sockets, which it owns from here on."""
        from proxy.server.http3.opening import open_endpoints  # noqa: PLC0415

        self._doors += open_endpoints(self._state, sockets, files)

    async def drain(self, grace: float) -> Drained:
        """Stops accepting, lets what is in flight end for so many seconds, and cuts the rest."""
        deadline = asyncio.get_running_loop().time() + grace
        before = self.tally.finished
        for door in self._doors:
            door.close()
        self._state.draining = True
        for connection in list(self._state.connections):
            connection.begin_drain()
        await self._wait(deadline)
        already_cut, running = self.tally.cut, self.tally.running
        await self._cut()
        cut = max(self.tally.cut - already_cut, running)
        return Drained(self.tally.finished - before, cut)

    def hurry(self) -> None:
        """Ends a drain that is under way as if its time were up."""
        self._hurry.set()

    async def _wait(self, deadline: float) -> None:
        """Waits for all connections, those too that only now come out of a handshake."""
        waits = [asyncio.create_task(self._hurry.wait()), asyncio.create_task(self._empty())]
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            for one in waits:
                one.cancel()

    async def _empty(self) -> bool:
        await self._state.empty()
        return True

    async def _cut(self) -> None:
        for connection in list(self._state.connections):
            connection.cut()
        try:
            async with asyncio.timeout(_CUT_TIMEOUT):
                await self._state.empty()
        except TimeoutError:
            self._state.cancel_tasks()
        for connection in list(self._state.connections):
            connection.abort()

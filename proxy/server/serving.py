"""Accepting connections on sockets that are already bound, and stopping without losing one.

The same for the workers, which serve the app, and for the supervisor, which serves the
operator's door. Hypercorn's own `worker_serve` is not used: it drops connections that are still
in their TLS handshake when it stops, one unexpected fault in any connection ends the wait for all
others, and it does not say what was cut.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

from proxy.server import hypercorn_shape
from proxy.server.connection import Connection
from proxy.server.exchange import Tally

logger = logging.getLogger(__name__)

hypercorn_shape.check()

# Connections the kernel holds until they are accepted; net.core.somaxconn may allow fewer.
_BACKLOG = 1024
# Seconds. An honest handshake takes two round trips.
_HANDSHAKE_TIMEOUT = 10.0
# Seconds to wait for the client's close_notify; it owes us none.
_TLS_SHUTDOWN_TIMEOUT = 2.0
# Seconds given to what was cut, to say so to its client.
_CUT_TIMEOUT = 2.0
# Seconds in which a connection accepted just before the drain shows itself: in clear, and in TLS.
_SETTLE, _SETTLE_TLS = 0.02, 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may take. Times in seconds, sizes in bytes."""

    keep_alive_timeout: float = 5.0
    max_header_size: int = 16 * 1024
    max_streams: int = 100


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended: responses that were completed during it, and those that were cut."""

    finished: int = 0
    cut: int = 0


def make_config(limits: Limits) -> Config:
    """Hypercorn's configuration: what it logs, counts and announces by itself is off."""
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.keep_alive_timeout = limits.keep_alive_timeout
    config.keep_alive_max_requests = 2**62  # it would cut downloads in flight on HTTP/2
    config.read_timeout = None  # it would cut downloads during which the client is silent
    config.h11_max_incomplete_size = limits.max_header_size
    config.h2_max_header_list_size = limits.max_header_size
    config.h2_max_concurrent_streams = limits.max_streams
    return config


class Serving:
    """An app on sockets. `open`, then `drain` once."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = ASGIWrapper(cast("ASGIFramework", app))
        self._config = make_config(limits)
        self._context = WorkerContext(None)
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._settle = _SETTLE
        self._hurry = asyncio.Event()
        self.tally = Tally()

    async def open(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Starts to accept on bound sockets, which it owns from here on."""
        if tls is not None:
            self._settle = _SETTLE_TLS
        for one in sockets:
            unix = one.family == socket.AF_UNIX
            start = asyncio.start_unix_server if unix else asyncio.start_server
            server = await start(
                self._serve,
                sock=one,
                backlog=_BACKLOG,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_TIMEOUT if tls is not None else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT if tls is not None else None,
            )
            self._servers.append(server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._app, self._config, self._context, self.tally, reader, writer)
        self._connections[connection] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # cut by the drain, which waits for this task
        finally:
            del self._connections[connection]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def drain(self, grace: float) -> Drained:
        """Stops accepting, lets what is in flight end for so many seconds, and cuts the rest."""
        deadline = asyncio.get_running_loop().time() + grace
        before = self.tally.finished
        self._stop_accepting()
        await asyncio.sleep(min(self._settle, grace))
        await self._context.terminated.set()
        telling = [asyncio.create_task(one.begin_drain()) for one in list(self._connections)]
        await self._wait(deadline)
        for task in telling:
            task.cancel()
        await asyncio.gather(*telling, return_exceptions=True)
        already_cut, running = self.tally.cut, self.tally.running
        await self._cut()
        cut = max(self.tally.cut - already_cut, running)
        return Drained(self.tally.finished - before, cut)

    def hurry(self) -> None:
        """Ends a drain that is under way as if its time were up."""
        self._hurry.set()

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()  # not wait_closed: since Python 3.12 that waits for connections too

    async def _wait(self, deadline: float) -> None:
        """Waits for all connections, those too that only now come out of a handshake."""
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            async with asyncio.timeout_at(deadline):
                while self._connections and not hurry.done():
                    waited_for = {hurry, *self._connections.values()}
                    await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            hurry.cancel()

    async def _cut(self) -> None:
        for task in self._connections.values():
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections.values()), timeout=_CUT_TIMEOUT)
        for connection in list(self._connections):
            connection.abort()

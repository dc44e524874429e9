"""What all connections of one server share, and what the seat asks of a protocol.

A protocol is made for each connection, gets the transport with `connection_made`, and from then on
talks to it directly: there are no streams, queues or tasks in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import ASGIApp

from proxy.observability.flow_metrics import SHED
from proxy.server.admission import Admission
from proxy.server.descriptors import most_connections
from proxy.server.hot import HotPath
from proxy.server.turns import Turns


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may take. Times in seconds, sizes in bytes.

    `max_connections` 0: as many as the descriptors of the process allow, which bounds any other
    number too; `max_connections_per_address` 0: no limit. `http3_max_age`: for how many
    seconds clients over TLS are told to remember that there is HTTP/3, 0 for not told;
    `http3_port`: at which port, 0 for the one they came to.
    """

    keep_alive_timeout: float = 5.0
    max_header_size: int = 16 * 1024
    max_streams: int = 100
    max_connections: int = 0
    max_connections_per_address: int = 0
    http3_port: int = 0
    http3_max_age: int = 0


@dataclass(slots=True)
class Tally:
    """Responses of one process: how many run, how those ended that have, and how many handlers wait
    to be started."""

    running: int = 0
    finished: int = 0
    failed: int = 0
    cut: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """The two ends of a connection, as an ASGI scope tells them (None for a Unix socket)."""

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    tls: bool = False

    @property
    def scheme(self) -> str:
        """As in a URL."""
        return "https" if self.tls else "http"


class ServerState:
    """The app, the limits, and what is open. One for each `Serving`.

    Attributes:
        hot: what is asked before the app is called, or None.
        admission: counts connections, from the accept on.
        draining: whether connections should take no more requests than are on their way.
        connections: those that are open.
        refused: how many connections and requests were, by reason.
        turns: whose HTTP/2 frames are handled next.
    """

    def __init__(self, app: ASGIApp, limits: Limits, hot: HotPath | None = None) -> None:
        self.app = app
        self.hot = hot
        self.limits = limits
        self.tally = Tally()
        self.draining = False
        self.turns = Turns()
        most = most_connections(limits.max_connections)
        self.admission = Admission(most, limits.max_connections_per_address)
        self.connections: set[ClientProtocol] = set()
        self.refused: dict[str, int] = dict.fromkeys(SHED, 0)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._less = asyncio.Event()

    def also_for(self, peer: Peer) -> tuple[tuple[bytes, bytes], ...]:
        """Fields that every answer to this peer has beside its own (RFC 7838 §3)."""
        limits = self.limits
        port = limits.http3_port or (peer.server[1] if peer.server is not None else None)
        if not (limits.http3_max_age and peer.tls and port):
            return ()
        return ((b"alt-svc", b'h3=":%d"; ma=%d' % (port, limits.http3_max_age)),)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task that a drain waits for, and cancels in the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._less.set()

    def enter(self, connection: ClientProtocol) -> None:
        """A connection is open."""
        self.connections.add(connection)

    def leave(self, connection: ClientProtocol) -> None:
        """A connection is closed. Safe twice."""
        if connection in self.connections:
            self.connections.remove(connection)
            if connection.party is not None:
                self.admission.dismiss(connection.party)
            self._less.set()

    async def empty(self) -> None:
        """Waits until no connection is open and no task runs."""
        while self.connections or self._tasks:
            self._less.clear()
            await self._less.wait()

    def cancel_tasks(self) -> None:
        """Cancels what still runs."""
        for task in list(self._tasks):
            task.cancel()


class ClientProtocol(asyncio.Protocol):
    """A connection with a client, from the moment it is known which protocol it speaks.

    `connection_made` enters it in the state and `connection_lost` takes it out; a subclass that
    has more to do calls these too.

    Attributes:
        party: whom it is counted for in the admission; None when another object is counted.
    """

    def __init__(self, state: ServerState, peer: Peer) -> None:
        self.state = state
        self.peer = peer
        self.party: str | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open; the bytes read so far follow by `data_received`."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no such class
        self.state.enter(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; handlers that still run are tasks of the state."""
        del error
        self.state.leave(self)

    def begin_drain(self) -> None:
        """Lets the client know that no more requests are taken, and closes when none is left."""
        raise NotImplementedError

    def cut(self) -> None:
        """The drain's time is up: cancels the handlers and breaks off what they were sending."""
        raise NotImplementedError

    def abort(self) -> None:
        """Closes at once; what has not left is lost."""
        self.transport.abort()


MakeProtocol = Callable[[ServerState, Peer], ClientProtocol]

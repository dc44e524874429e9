"""Protocols that are built on Hypercorn's, on a transport that the seat hands over."""

from __future__ import annotations

import asyncio
from typing import cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from proxy.server import hypercorn_shape
from proxy.server.connection import Connection
from proxy.server.state import ClientProtocol, Limits, Peer, ServerState

hypercorn_shape.check()

# What a stream reader buffers before it stops reading; asyncio's own default.
_READER_LIMIT = 2**16


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


class Bridge(ClientProtocol):
    """Gives one of Hypercorn's connections the two streams it works on."""

    def __init__(self, state: ServerState, peer: Peer, context: WorkerContext) -> None:
        super().__init__(state, peer)
        self._context = context
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(_READER_LIMIT, loop)
        self._streams = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._connection: Connection
        self._task: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the connection's task."""
        super().connection_made(transport)
        self._streams.connection_made(transport)
        loop = asyncio.get_running_loop()
        writer = asyncio.StreamWriter(self.transport, self._streams, self._reader, loop)
        app = ASGIWrapper(cast("ASGIFramework", self.state.app))
        config, tally = make_config(self.state.limits), self.state.tally
        self._connection = Connection(app, config, self._context, tally, self._reader, writer)
        self._task = self.state.spawn(self._run())

    async def _run(self) -> None:
        try:
            await self._connection.run()
        except asyncio.CancelledError:
            pass  # cut by the drain, which waits for this task

    def data_received(self, data: bytes) -> None:
        """Passes bytes on to the reader."""
        self._streams.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._streams.eof_received()

    def pause_writing(self) -> None:
        """Makes the writer's `drain` wait."""
        self._streams.pause_writing()

    def resume_writing(self) -> None:
        """Lets it go on."""
        self._streams.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the reader."""
        self._streams.connection_lost(error)
        super().connection_lost(error)

    def begin_drain(self) -> None:
        """Tells the client."""
        self.state.spawn(self._begin_drain())

    async def _begin_drain(self) -> None:
        await self._context.terminated.set()
        await self._connection.begin_drain()

    def cut(self) -> None:
        """Cancels the connection's task, and with it its handlers."""
        self._task.cancel()


class Bridges:
    """Makes bridges that share what Hypercorn shares between connections."""

    def __init__(self) -> None:
        self._context = WorkerContext(None)

    def __call__(self, state: ServerState, peer: Peer) -> ClientProtocol:
        """A bridge for one connection."""
        return Bridge(state, peer, self._context)

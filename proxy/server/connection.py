"""One HTTP/2 connection: Hypercorn's `TCPServer` with our protocol in it.

Hypercorn resolves its classes as module globals; here they are subclassed and put together anew,
so that nothing of Hypercorn is replaced behind its back. What is relied on is checked by
`proxy.server.hypercorn_shape`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from proxy.server.exchange import Broken, ClosedSoon, Tally
from proxy.server.http2 import Http2

logger = logging.getLogger(__name__)

# Read at once. The h2 library takes about 50 µs a frame, and the smallest frame is 9 bytes: a
# larger read of nothing but frames would hold the loop for longer than other clients should wait.
_READ = 2**14
# A client as fast as we are never makes us wait; after so much, others get their turn.
_FAIR_SHARE = 2**20
# A keep-alive connection may be given up at the very moment the next request is sent. During a
# drain one that was used so recently (seconds) is kept for that request.
_LINGER = 1.0
# Seconds an unread request may go on after our last byte before the connection is torn down; a
# close before that would send a reset, which takes our answer with it.
_READ_ON = 2.0
# Seconds in which what was sent must be taken once a connection is being closed.
_CLOSE_TIMEOUT = 30.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once


class Protocols(ProtocolWrapper):
    """Puts our HTTP/2 in the place of Hypercorn's."""

    protocol: Http2

    def choose(self, tally: Tally) -> None:
        """Makes it."""
        self.protocol = Http2(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.state,
            self.ssl,
            self.client,
            self.server,
            self.send,
        )
        self.protocol.tally = tally

    async def handle(self, event: Event) -> None:
        """Takes bytes of the connection, or its end."""
        await self.protocol.handle(event)


class Connection(TCPServer):
    """One connection, from the accept to its end. `run` never raises but when cancelled."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        tally: Tally,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(app, loop, config, context, {}, reader, writer)
        self.protocol: Protocols
        self._tally = tally
        self._share = 0
        self._reading_on = False

    async def run(self) -> None:
        """Serves until either side ends the connection."""
        try:
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                self.protocol = self._make_protocols(group)
                await self.protocol.initiate()
                if self.context.terminated.is_set():
                    await self.begin_drain()
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
        except* OSError:
            pass  # the client is gone
        except* Exception:
            logger.exception("a connection was closed by an unexpected fault")
        finally:
            await self._close()

    def _make_protocols(self, group: TaskGroup) -> Protocols:
        own = self.writer.get_extra_info("socket")
        tls = self.writer.get_extra_info("ssl_object")
        protocols = Protocols(
            self.app,
            self.config,
            self.context,
            group,
            ConnectionState(self.state),
            tls is not None,
            parse_socket_addr(own.family, own.getpeername()),
            parse_socket_addr(own.family, own.getsockname()),
            self.protocol_send,
        )
        protocols.choose(self._tally)
        return protocols

    async def _read_data(self) -> None:
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(_READ)
            except OSError:
                break
            if not self._reading_on:
                await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())

    async def protocol_send(self, event: Event) -> None:
        """What a protocol has to say to the network."""
        if isinstance(event, RawData):
            async with self.send_lock:
                await self._write(event.data)
        elif isinstance(event, Broken):
            self._reset()
        elif isinstance(event, ClosedSoon):
            await self._close_soon()
        else:
            await super().protocol_send(event)

    async def _write(self, data: bytes) -> None:
        if self.writer.is_closing():
            await self.protocol.handle(Closed())
            return
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (OSError, RuntimeError):
            await self.protocol.handle(Closed())
            return
        self._share += len(data)
        if self._share >= _FAIR_SHARE:
            self._share = 0
            await asyncio.sleep(0)

    def _reset(self) -> None:
        own = self.writer.get_extra_info("socket")
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # already gone, or a Unix socket
        self.abort()

    async def _close_soon(self) -> None:
        """Says that nothing more comes, and reads on for a moment so that it arrives."""
        self._reading_on = True
        try:
            self.writer.write_eof()
        except (NotImplementedError, OSError, RuntimeError):
            self.writer.close()  # TLS knows no half-closed connection
        self.loop.call_later(_READ_ON, self.writer.close)

    async def _close(self) -> None:
        try:
            self.writer.close()
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.writer.wait_closed()
        except (OSError, RuntimeError, TimeoutError, asyncio.CancelledError):
            self.abort()
        finally:
            await self.idle_task.stop()

    def abort(self) -> None:
        """Closes at once; what has not left is lost."""
        self.writer.transport.abort()

    async def _idle_timeout(self) -> None:
        since = self.loop.time()
        try:
            async with asyncio.timeout(self.config.keep_alive_timeout):
                await self.context.terminated.wait()
        except TimeoutError:
            pass
        else:
            await asyncio.sleep(max(0.0, since + _LINGER - self.loop.time()))
        await asyncio.shield(self._initiate_server_close())

    async def _initiate_server_close(self) -> None:
        await self.protocol.protocol.goodbye()
        await super()._initiate_server_close()

    async def begin_drain(self) -> None:
        """Lets the client know that this connection takes no more requests."""
        await self.protocol.protocol.begin_drain()

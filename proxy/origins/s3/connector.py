"""Connections to the store: which are reused, and the one retry that this allows.

A connection that lay idle may be dead without our knowing (the store restarted, a NAT forgot it).
aiohttp sends a GET or HEAD once more when a connection broke before the answer began; this
connector decides on what: never again after a new connection failed, and on a new one after an
idle one did, because its siblings in the pool are older than it was.

aiohttp takes the connection that lay idle for longest. Then a few requests a second, each by
another one, keep all that a burst has left from ever being idle for long enough to be closed. Here
it is the one that was used last: what is not needed ages, and who is asked by a connection is
least likely to have forgotten it.
"""

from __future__ import annotations

import ssl
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from proxy.origins.s3.receiving import LARGE, Handler


@dataclass(slots=True)
class Attempt:
    """What became of one request so far. `reused`: whether its last connection had lain idle."""

    reused: bool | None = None


# The request that the current task is sending: aiohttp hands no value of ours through to here.
ATTEMPT: ContextVar[Attempt] = ContextVar("ATTEMPT")


class OneRetryConnector(aiohttp.TCPConnector):
    """A pool of connections. `ATTEMPT` must be set in the task that sends."""

    def __init__(self, *, limit: int, tls: ssl.SSLContext | bool) -> None:
        # 15 s idle: AWS closes after about 20. DNS for 30 s: S3's own records live for 5 to 60.
        super().__init__(limit=limit, ssl=tls, keepalive_timeout=15, ttl_dns_cache=30)
        memory = memoryview(bytearray(LARGE))
        handler: Callable[..., ResponseHandler] = Handler
        self._factory = partial(handler, self._loop, memory)
        self._used: weakref.WeakSet[object] = weakref.WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's signature
    ) -> Connection:
        """An idle connection or a new one; on a second call for one request only a new one."""
        attempt = ATTEMPT.get()
        if attempt.reused is False:
            raise aiohttp.ServerDisconnectedError("a new connection broke before the answer")
        connection = await super().connect(req, traces, timeout)
        while attempt.reused and connection.protocol in self._used:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        attempt.reused = connection.protocol in self._used
        if connection.protocol is not None:
            self._used.add(connection.protocol)
        return connection

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Puts a connection back; aiohttp takes from the left what it has put in on the right."""
        super()._release(key, protocol, should_close=should_close)
        idle = self._conns.get(key)
        if idle and idle[-1][0] is protocol:
            idle.rotate(1)

"""An app behind our HTTP/2 in this very process, so that a test can look inside and turn clocks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from proxy.server.hot import HotPath
from proxy.server.http2 import frames
from proxy.server.http2.protocol import Http2
from proxy.server.state import Limits, Peer, ServerState
from tests.server import talk


@dataclass
class Served:
    """The server's side of what a test does."""

    state: ServerState
    port: int
    protocols: list[Http2] = field(default_factory=list)


@contextlib.asynccontextmanager
async def served(
    app: ASGIApp, limits: Limits, hot: HotPath | None = None
) -> AsyncGenerator[Served, None]:
    state = ServerState(app, limits, hot)
    made: list[Http2] = []

    def make() -> Http2:
        made.append(Http2(state, Peer(("192.0.2.1", 1), ("192.0.2.2", 2))))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Served(state, port, made)
    finally:
        server.close()
        for one in list(state.connections):
            one.cut()
            one.abort()
        async with asyncio.timeout(30):
            await state.empty()


@contextlib.asynccontextmanager
async def connected(
    app: ASGIApp,
    *,
    window: bool = True,
    max_streams: int = 100,
    keep_alive_timeout: float = 5,
    hot: HotPath | None = None,
) -> AsyncGenerator[tuple[Served, talk.H2], None]:
    """The server, and a client on it."""
    limits = Limits(max_streams=max_streams, keep_alive_timeout=keep_alive_timeout)
    async with (
        served(app, limits, hot) as side,
        talk.http2(side.port, window=window) as client,
    ):
        yield side, client


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def last_words(client: talk.H2, seconds: float = 30) -> list[int]:
    """What GOAWAY says until the server closes, to a client that does not look at the rest."""
    reader = frames.FrameReader()
    reader.feed(frames.PREFACE)
    said = []
    async with asyncio.timeout(seconds):
        while came := await client.reader.read(65536):
            reader.feed(came)
            while (one := reader.next()) is not None:
                said += [frames.word_of(one.payload[4:])] if one.kind == frames.GOAWAY else []
    return said

"""Readers of large buffers, on sockets: one that stops is given up in its time, a slow one is not.

Pieces are so large that nothing but what the server tells of them says which is which.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Literal

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.errors import ClientGone
from proxy.semantics.plan import Plan
from proxy.semantics.representation import Representation, Span
from proxy.server.http2 import frames
from proxy.server.patience import BYTES_PER_STALL, Progress
from proxy.server.response import send_plan
from proxy.server.state import Limits
from proxy.server.zero_copy import taken_since
from tests.server.http1.test_exchange import GET, _trust, served
from tests.server.http2.driving import GET as FIELDS
from tests.server.http2.driving import headers, settings, update

SIZE, PIECE = 64 * 2**20, 4 * 2**20
# By the size of a piece it would have 64 of them.
STALL = 1.0
SMALL, COUNT = 32 * 2**10, 200
LARGEST = 2**31 - 1
INITIAL_WINDOW_SIZE = 4

How = Literal["http1", "socket", "two", "window"]
WAYS: list[tuple[How, bool]] = [
    ("http1", False),
    ("http1", True),
    ("socket", False),
    ("socket", True),
    ("two", False),
    ("window", False),
]


class Zeros:
    """An object that gives large buffers."""

    representation = Representation(SIZE)

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        for _ in range(span.start, span.stop, PIECE):
            yield bytes(PIECE)

    async def aclose(self) -> None: ...


class App:
    """Sends the object. `ended` is what came of it."""

    def __init__(self) -> None:
        self.ended: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        progress = Progress(taken_since=taken_since(scope))
        plan = Plan(200, ((b"content-length", b"%d" % SIZE),), (Span(0, SIZE),))
        try:
            await send_plan(plan, Zeros(), (), (receive, send), progress, STALL)
        except BaseException as error:
            self.ended = error
            raise


def request(how: How) -> bytes:
    """What asks for the object; over HTTP/2 with all the window there can be, or with none.

    Of two streams the second waits for the first by their priority, with a buffer that is its own.
    """
    if how == "http1":
        return GET
    window = 0 if how == "window" else LARGEST
    opening = settings((INITIAL_WINDOW_SIZE, window)), update(0, LARGEST - 65535)
    streams = [headers(number, FIELDS) for number in ((1, 3) if how == "two" else (1,))]
    return b"".join((frames.PREFACE, *opening, *streams))


class Reader:
    """A client that holds as little as may be, so that what it has not read lies with the server.

    What it does is for a thread.
    """

    def __init__(self, port: int, trusting: ssl.SSLContext | None) -> None:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        one.settimeout(20)
        one.connect(("127.0.0.1", port))
        self._socket = trusting.wrap_socket(one, server_hostname="localhost") if trusting else one

    def say(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, count: int) -> None:
        while count:
            data = self._socket.recv(min(count, 16 * 1024))
            assert data, "it is closed"
            count -= len(data)

    def close(self) -> None:
        self._socket.close()


@contextlib.asynccontextmanager
async def connected(app: ASGIApp, how: How, *, tls: bool) -> AsyncGenerator[Reader, None]:
    """A reader that has asked, and has taken a byte."""
    own, trusting = _trust() if tls else (None, None)
    for context in (own, trusting):
        if context is not None:
            context.set_alpn_protocols(["http/1.1" if how == "http1" else "h2"])
    async with served(app, Limits(keep_alive_timeout=60), own) as (_, port):
        reader = await asyncio.to_thread(Reader, port, trusting)
        try:
            await asyncio.to_thread(reader.say, request(how))
            await asyncio.to_thread(reader.read, 1)
            yield reader
        finally:
            reader.close()


@contextlib.asynccontextmanager
async def asked(how: How, *, tls: bool) -> AsyncGenerator[tuple[App, Reader], None]:
    app = App()
    async with connected(app, how, tls=tls) as reader:
        yield app, reader


async def until(condition: Callable[[], object], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("how", "tls"), WAYS)
async def test_who_stops_is_given_up(how: How, tls: bool) -> None:
    async with asked(how, tls=tls) as (app, _):
        await until(lambda: app.ended, 20 * STALL)
        assert isinstance(app.ended, ClientGone)
        assert "read too slowly" in str(app.ended)


@pytest.mark.parametrize(("how", "tls"), WAYS)
async def test_who_is_slow_is_not(how: How, tls: bool) -> None:
    """It takes no whole piece in that time. Its kernel tells ours of it in lumps of 64 KiB or
    more, and ours takes 256 KiB at a time."""
    async with asked(how, tls=tls) as (app, reader):
        begun = monotonic()
        while monotonic() - begun < 3 * STALL:
            if how == "window":
                await asyncio.to_thread(reader.say, update(1, BYTES_PER_STALL))
            await asyncio.to_thread(reader.read, BYTES_PER_STALL)
            await asyncio.sleep(STALL / 6)
            assert app.ended is None


class Counting:
    """Sends the object in small pieces and asks behind each what was taken; `told` is all of it."""

    def __init__(self) -> None:
        self.told = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        since = taken_since(scope)
        assert since is not None
        fields = [(b"content-length", b"%d" % (SMALL * COUNT))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for left in range(COUNT - 1, -1, -1):
            await send({"type": "http.response.body", "body": bytes(SMALL), "more_body": left > 0})
            self.told += since()
        while self.told < SMALL * (COUNT - 1):
            await asyncio.sleep(0.01)
            self.told += since()


@pytest.mark.parametrize("tls", [False, True])
async def test_what_was_taken_is_told_whatever_is_sent_meanwhile(tls: bool) -> None:
    app = Counting()
    async with connected(app, "http1", tls=tls) as reader:
        await asyncio.to_thread(reader.read, SMALL * COUNT - 1)
        await until(lambda: app.told >= SMALL * (COUNT - 1), 10)
        assert app.told <= SMALL * COUNT * 1.01

"""One request and its response over the wire, in this process: framing, waiting, giving up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from proxy.server.http1 import connection as http1
from proxy.server.serving import Limits, Serving
from tests.server import talk

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(
    app: App, limits: Limits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[tuple[Serving, int]]:
    serving = Serving(app, limits or Limits())
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
    await serving.open([one], tls)
    try:
        yield serving, port
    finally:
        await serving.drain(0)
        assert serving.connections == 0


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def saying(*messages: dict[str, Any]) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


LENGTH = (b"content-length", b"5")
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")


@pytest.mark.parametrize(
    ("request_bytes", "messages", "in_head", "answer"),
    [
        (GET, [start(200, LENGTH), body(b"hello")], b"content-length: 5", b"hello"),
        (GET, [start(), body(b"hello")], b"content-length: 5", b"hello"),
        (GET, [start(), body(b"hel", more=True), body(b"lo")], b"transfer-encoding: chunked",
         b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        (GET, [start(), body(b"", more=True), body(b"x" * 40_000)], b"chunked",
         b"9c40\r\n" + b"x" * 40_000 + b"\r\n0\r\n\r\n"),
        (OLD, [start(), body(b"hel", more=True), body(b"lo")], b"connection: close", b"hello"),
        (HEAD, [start(200, LENGTH), body(b"hello")], b"content-length: 5", b""),
        (HEAD, [start(200, LENGTH), body()], b"content-length: 5", b""),
        (GET, [start(204, LENGTH), body()], b"204 No Content", b""),
        (GET, [start(304, LENGTH), body()], b"content-length: 5", b""),
        (GET, [start(200, LENGTH), body(b"hello!")], b"500 Internal", b""),
        (GET, [start(200, LENGTH), body(b"hell")], b"500 Internal", b""),
        (GET, [], b"500 Internal", b""),
        (GET, [start(200, LENGTH)], b"500 Internal", b""),
        (GET, [start(200, LENGTH), start()], b"500 Internal", b""),
        (GET, [start(200, (b"date", b"x")), body(b"hello")], b"\r\ndate: x\r\n", b"hello"),
    ],
)  # fmt: skip
async def test_framing(
    request_bytes: bytes, messages: list[dict[str, Any]], in_head: bytes, answer: bytes
) -> None:
    async with served(saying(*messages)) as (_, port):
        head, _, rest = (await talk.http1(port, request_bytes)).partition(b"\r\n\r\n")
    assert in_head in head
    assert rest == answer
    assert head.count(b"date: ") == 1
    assert (b"content-length" in head) + (b"transfer-encoding" in head) <= 1


async def test_a_response_without_a_body_says_no_length() -> None:
    async with served(saying(start(204, LENGTH), body())) as (_, port):
        assert b"content-length" not in await talk.http1(port, GET)


async def test_http_1_0_may_keep_its_connection() -> None:
    async with (
        served(saying(start(200, LENGTH), body(b"hello"))) as (_, port),
        talk.connected(port) as (reader, writer),
    ):
        for _ in range(2):
            writer.write(OLD_KEPT)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: keep-alive" in head
            await reader.readexactly(5)


async def test_a_client_is_told_to_continue_only_when_its_body_is_wanted() -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/read":
            assert (await receive())["body"] == b"hello"
        await send(start())
        await send(body(b"done"))

    ask = b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    async with served(reads) as (_, port):
        async with talk.connected(port) as (reader, writer):
            writer.write(ask % b"/read")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        answer = await talk.http1(port, ask % b"/ignore")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer


async def test_a_bad_chunk_ends_the_request() -> None:
    heard: list[str] = []

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            heard.append(message["type"])
            if message["type"] == "http.disconnect":
                return

    bad = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    async with served(reads) as (_, port), talk.connected(port) as (reader, writer):
        writer.write(bad)
        while not heard:
            await asyncio.sleep(0.001)
        writer.write(b"zz\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert heard == ["http.request", "http.disconnect"]


async def test_the_app_hears_at_once_that_its_client_left() -> None:
    heard = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(ConnectionResetError):
            await send(start())
        heard.set()

    async with served(waits) as (_, port):
        async with talk.connected(port) as (_, writer):
            writer.write(GET)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            await heard.wait()


async def test_a_head_has_so_long_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_HEAD_TIMEOUT", 0.3)
    async with (
        served(saying(start(), body())) as (_, port),
        talk.connected(port) as (reader, writer),
        asyncio.timeout(30),
    ):
        for one in GET[:-4]:  # a byte now and then does not put it off
            writer.write(bytes([one]))
            await asyncio.sleep(0.02)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_BODY_TIMEOUT", 0.2)

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"

    async with served(reads) as (_, port):
        stalled = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        assert (await talk.http1(port, stalled)).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed() -> None:
    limits = Limits(keep_alive_timeout=0.2)
    async with (
        served(saying(start(), body(b"x")), limits) as (serving, port),
        talk.connected(port) as (reader, writer),
        asyncio.timeout(30),
    ):
        writer.write(GET.replace(b"close", b"keep-alive"))
        assert (await reader.read()).endswith(b"\r\n\r\nx")
        assert serving.tally.finished == 1


async def test_requests_sent_ahead_wait_outside() -> None:
    begun = 0
    go_on = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()
        await send(start())
        await send(body(b"x"))

    one = GET.replace(b"close", b"keep-alive")  # 20,000 of them are more than the kernel takes
    async with served(waits) as (serving, port), talk.connected(port) as (reader, writer):
        writer.write(one * 20_000)
        await asyncio.sleep(0.3)
        assert begun == 1
        [connection] = serving._state.connections
        assert isinstance(connection, http1.Http1)
        assert connection._parser.unread <= 256 * 1024  # one read; the rest is in the kernel
        go_on.set()
        async with asyncio.timeout(60):
            for _ in range(20_000):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                await reader.readexactly(1)
        assert serving.tally.finished == 20_000


@pytest.mark.parametrize("secure", [False, True])
async def test_a_reader_that_stops_makes_the_app_wait(secure: bool) -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start(200, (b"content-length", b"%d" % 2**40)))
        while True:
            await send(body(bytes(65536), more=True))
            sent += 65536

    tls, trusting = _trust()
    async with (
        served(endless, tls=tls if secure else None) as (serving, port),
        talk.connected(port, trusting if secure else None) as (_, writer),
    ):
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(GET)
        before = -1
        while before < sent or not sent:
            before = sent
            await asyncio.sleep(0.3)
        [connection] = serving._state.connections
        assert connection.transport.get_write_buffer_size() <= 65536
        await asyncio.sleep(0.3)
        assert sent == before


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("more", [False, True])
async def test_a_client_that_is_given_up_is_gone_at_once(secure: bool, more: bool) -> None:
    size = 16 * 1024 * 1024  # more than the kernel takes on both sides

    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"%d" % (size + more))))
        async with asyncio.timeout(0.3):
            await send(body(bytes(size), more=more))

    server, client = _trust()
    async with (
        served(gives_up, tls=server if secure else None) as (serving, port),
        talk.connected(port, client if secure else None) as (reader, writer),
        asyncio.timeout(30),
    ):
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(GET.replace(b"close", b"keep-alive") * 2)
        while not serving.tally.failed:
            await asyncio.sleep(0.01)
        while serving.connections:
            await asyncio.sleep(0.01)
        cast("asyncio.Transport", writer.transport).resume_reading()
        came = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := await reader.read(1 << 20):
                came += piece
        assert came.count(b"HTTP/1.1 200") <= 1
        assert len(came) < size
        assert serving.tally.failed == 1


def _trust() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shows, and a client that trusts it."""
    issuer = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    issuer.issue_cert("localhost").configure_cert(server)
    issuer.configure_trust(client)
    return server, client

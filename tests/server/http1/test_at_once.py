"""HTTP/1.1 answers without a task: their order, their readers, their bounds, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from proxy.server.hot import Prepared
from proxy.server.http1.connection import Http1
from proxy.server.state import Limits, Peer, ServerState
from tests.server import talk
from tests.server.http2.serving import until

HOT = b"GET /hot HTTP/1.1\r\nHost: a\r\n\r\n"
COLD = b"GET /cold HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /hot HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass
class Ready:
    """Has an answer to GET and HEAD for /hot; keeps what it was told."""

    body: bytes = b"hot"
    patience: float = 60.0
    told: list[tuple[str, str, str]] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)

    def hot(
        self, method: bytes, target: bytes, fields: Sequence[tuple[bytes, bytes]]
    ) -> Prepared | None:
        if target != b"/hot" or any(name == b"x-other" for name, _ in fields):
            return None
        is_head = method == b"HEAD"
        headers = ((b"content-length", b"%d" % len(self.body)), (b"x-kind", b"hot"))
        body = b"" if is_head else self.body
        return Prepared(200, headers, body, bodyless=is_head, patience=self.patience)

    def answered(
        self,
        prepared: Prepared,
        request_id: bytes,
        client: str,
        protocol: str,
        begun: float,
        *,
        gone: str = "",
    ) -> None:
        self.told.append((client, protocol, gone))
        self.ids.append(request_id)


async def cold(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.01)
    headers = [(b"content-length", b"4"), (b"x-kind", b"cold")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"cold"})


@dataclass
class Side:
    state: ServerState
    port: int
    made: list[Http1]


@contextlib.asynccontextmanager
async def served(ready: Ready | None, limits: Limits | None = None) -> AsyncGenerator[Side, None]:
    state = ServerState(cold, limits or Limits(), ready)
    made: list[Http1] = []

    def make() -> Http1:
        made.append(Http1(state, Peer(("192.0.2.1", 1), ("192.0.2.2", 2))))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield Side(state, server.sockets[0].getsockname()[1], made)
    finally:
        server.close()
        for one in list(state.connections):
            one.cut()
            one.abort()
        async with asyncio.timeout(30):
            await state.empty()


def kinds(answer: bytes) -> list[bytes]:
    return re.findall(rb"x-kind: (\w+)\r\n", answer)


async def test_the_bytes_of_an_answer() -> None:
    ready = Ready()
    async with served(ready) as side, talk.connected(side.port) as (reader, writer):
        writer.write(HOT)
        answer = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(3)
        expected = (
            rb"HTTP/1\.1 200 OK\r\nx-request-id: ([0-9a-f]{16})\r\ncontent-length: 3\r\n"
            rb"x-kind: hot\r\ndate: [^\r]+ GMT\r\n\r\nhot"
        )
        found = re.fullmatch(expected, answer)
        assert found is not None, answer
        assert ready.ids == [found[1]]
        assert ready.told == [("192.0.2.1", "1.1", "")]
        assert (side.state.tally.running, side.state.tally.finished) == (0, 1)


async def test_hot_and_cold_are_answered_in_order() -> None:
    async with served(Ready()) as side:
        answer = await talk.http1(side.port, HOT + HOT + COLD + HOT + COLD + COLD + HOT + LAST)
        assert kinds(answer) == [b"hot", b"hot", b"cold", b"hot", b"cold", b"cold", b"hot", b"cold"]
        assert answer.count(b"connection: close") == 1
        assert side.state.tally.finished == 8


async def test_many_sent_ahead_take_turns_with_others() -> None:
    async with served(Ready()) as side, talk.connected(side.port) as (reader, writer):
        count, turns = 2000, 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        writer.write(HOT * count)
        async with asyncio.timeout(30):
            answer = b""
            while answer.count(b"\r\n\r\nhot") < count:
                answer += await reader.read(1 << 20)
        task.cancel()
        assert kinds(answer) == [b"hot"] * count
        assert turns > count / 64
        assert side.state.tally.finished == count


async def test_a_head_in_pieces() -> None:
    async with served(Ready()) as side, talk.connected(side.port) as (reader, writer):
        for at in range(0, len(HOT), 7):
            writer.write(HOT[at : at + 7])
            await asyncio.sleep(0.001)
        assert await reader.readuntil(b"\r\n\r\nhot")


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (b"HEAD /hot HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        (b"GET http://b/hot HTTP/1.1\r\nHost: a\r\n\r\n", b"hot"),
        (b"\r\nGET /hot HTTP/1.1\r\nHost: a\r\n\r\n", b"hot"),
    ],
)
async def test_other_forms_of_the_same(request_bytes: bytes, body: bytes) -> None:
    async with served(Ready()) as side, talk.connected(side.port) as (reader, writer):
        for _ in range(2):
            writer.write(request_bytes)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"x-kind: hot\r\n" in head
            assert b"content-length: 3\r\n" in head
            if body:
                assert await reader.readexactly(3) == body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /hot HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET /hot HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nX-Other: 1\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /hot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_needs_more_is_left_to_the_app(request_bytes: bytes) -> None:
    ready = Ready()
    async with served(ready) as side, talk.connected(side.port) as (reader, writer):
        writer.write(request_bytes)
        assert b"x-kind: cold\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert ready.told == []


async def test_without_a_hot_path_the_app_is_called() -> None:
    async with served(None) as side:
        assert kinds(await talk.http1(side.port, HOT + LAST)) == [b"cold", b"cold"]


async def test_a_keep_alive_connection_ends_in_its_time() -> None:
    async with (
        served(Ready(), Limits(keep_alive_timeout=0.2)) as side,
        talk.connected(side.port) as (reader, writer),
    ):
        writer.write(HOT)
        await reader.readuntil(b"hot")
        async with asyncio.timeout(30):
            assert b"hot" in await reader.read()


async def test_during_a_drain_the_last_answer_says_so() -> None:
    async with served(Ready()) as side, talk.connected(side.port) as (reader, writer):
        writer.write(HOT)
        await reader.readuntil(b"\r\n\r\nhot")
        side.state.draining = True
        for one in list(side.state.connections):
            one.begin_drain()
        writer.write(HOT)
        async with asyncio.timeout(30):
            answer = await reader.read()
        assert b"connection: close\r\n" in answer
        assert kinds(answer) == [b"cold"]


# --- readers ----------------------------------------------------------------------------------


def on_uvloop(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    """Runs a test on the loop that the program has. asyncio's own held no writer of several pieces
    back in CPython 3.12 before 3.12.9, and in 3.13 before 3.13.2."""

    @functools.wraps(test)
    def run() -> None:
        uvloop.run(test())

    return run


@contextlib.contextmanager
def small_window(port: int) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        client.connect(("127.0.0.1", port))
        client.setblocking(False)
        yield client


_ENOUGH = 150  # answers of 64 KiB that no kernel keeps for a reader that stops


async def stalled(side: Side, client: socket.socket) -> Http1:
    """Asks for more than the kernel takes, and reads nothing."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, HOT * _ENOUGH)
    await until(lambda: side.made and side.made[0]._at_once.waits)
    return side.made[0]


@on_uvloop
async def test_a_reader_that_stops_holds_the_rest_back() -> None:
    ready = Ready(body=bytes(64 * 1024))
    async with served(ready) as side:
        with small_window(side.port) as client:
            connection = await stalled(side, client)
            given = len(ready.told)
            assert given < _ENOUGH
            assert side.state.tally.running == 1
            await asyncio.sleep(0.05)
            assert len(ready.told) == given
            assert connection.transport.get_write_buffer_size() <= 65 * 1024
            received = heads = 0
            async with asyncio.timeout(60):
                while received < _ENOUGH * 64 * 1024:
                    piece = await asyncio.get_running_loop().sock_recv(client, 1 << 20)
                    received += len(piece)
                    heads += piece.count(b"HTTP/1.1 200")
                await until(lambda: len(ready.told) == _ENOUGH)
            assert heads <= _ENOUGH
            assert set(ready.told) == {("192.0.2.1", "1.1", "")}
            assert (side.state.tally.running, side.state.tally.finished) == (0, _ENOUGH)


@on_uvloop
async def test_a_reader_that_stops_for_too_long_is_given_up() -> None:
    ready = Ready(body=bytes(64 * 1024), patience=0.1)
    async with served(ready) as side:
        with small_window(side.port) as client:
            await stalled(side, client)
            await until(lambda: not side.state.connections)
            assert ready.told[-1][2] == "read too slowly for 0.1 s"
            assert [gone for _, _, gone in ready.told[:-1]] == [""] * (len(ready.told) - 1)
            assert (side.state.tally.running, side.state.tally.failed) == (0, 1)


@on_uvloop
async def test_a_client_that_leaves_while_it_is_waited_for() -> None:
    ready = Ready(body=bytes(64 * 1024))
    async with served(ready) as side:
        with small_window(side.port) as client:
            await stalled(side, client)
            given = len(ready.told)
        await until(lambda: not side.state.connections)
        assert len(ready.told) == given + 1
        assert side.state.tally.running == 0


@on_uvloop
async def test_a_drain_lets_a_slow_reader_have_its_answer() -> None:
    ready = Ready(body=bytes(64 * 1024))
    async with served(ready) as side:
        with small_window(side.port) as client:
            connection = await stalled(side, client)
            side.state.draining = True
            connection.begin_drain()
            assert not connection.transport.is_closing()
            received = b""
            async with asyncio.timeout(60):
                while piece := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                    received += piece
            head, _, body = received.rpartition(b"\r\n\r\n")
            assert b"connection: close" in head.rpartition(b"HTTP/1.1")[2]
            assert body == b"cold"

"""The last moments of a connection: its client hears why; what it goes on sending is dropped."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.server.http2 import lingering
from proxy.server.http2.faults import ErrorCode
from proxy.server.http2.lingering import linger
from proxy.server.turns import Turns
from tests.server.http2.driving import headers
from tests.server.http2.serving import connected, last_words, until
from tests.server.http2.test_protocol import Deaf, hello


async def test_it_hears_and_leaves() -> None:
    async with connected(hello) as (side, client):
        client.writer.write(headers(2))
        assert await last_words(client) == [ErrorCode.PROTOCOL_ERROR]
        client.writer.close()
        await until(lambda: not side.state.connections)


async def test_one_that_sends_more_than_the_kernel_keeps_is_told_all_the_same() -> None:
    async with connected(Deaf()) as (side, client):
        client.writer.write(headers(2) + bytes(32 << 20))
        assert await last_words(client) == [ErrorCode.PROTOCOL_ERROR]
        async with asyncio.timeout(10):
            await client.writer.drain()
        assert len(side.state.connections) <= 1


async def test_what_it_sends_is_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hello) as (side, client):
        client.writer.write(headers(2))
        assert await last_words(client) == [ErrorCode.PROTOCOL_ERROR]
        [protocol] = side.protocols
        seen: list[bytes] = []
        monkeypatch.setattr(protocol, "data_received", seen.append)
        for _ in range(20):
            client.writer.write(bytes(16384))
            await asyncio.sleep(0.005)
        assert seen == []


async def test_one_that_stays_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "_READ_ON", 0.2)
    async with connected(hello) as (side, client):
        client.writer.write(headers(2))
        await until(lambda: side.protocols and side.protocols[0]._lingering)
        await until(lambda: not side.state.connections)


class Closed(asyncio.Transport):
    """A transport with TLS, or one whose client is gone already."""

    def __init__(self, *, tls: bool) -> None:
        super().__init__()
        self.tls, self.done = tls, list[str]()

    def can_write_eof(self) -> bool:
        return not self.tls

    def write_eof(self) -> None:
        raise OSError

    def close(self) -> None:
        self.done.append("close")

    def resume_reading(self) -> None:
        self.done.append("resume")


@pytest.mark.parametrize(("tls", "done"), [(True, ["close", "resume"]), (False, ["close"])])
async def test_where_there_is_nothing_to_linger_for(tls: bool, done: list[str]) -> None:
    transport = Closed(tls=tls)
    assert linger(transport, Turns(), None) is None
    assert transport.done == done


async def test_each_piece_waits_for_its_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "_PIECE", 10)
    monkeypatch.setattr(lingering, "_PAUSE", 0.2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours
        )
        turns = Turns()
        last = linger(transport, turns, None)
        assert last is not None
        theirs.send(bytes(30))
        await asyncio.sleep(0)  # reading is paused
        assert not turns.take(last)
        await asyncio.sleep(0)
        assert len(last._own.recv(100, socket.MSG_PEEK)) == 20
        theirs.shutdown(socket.SHUT_WR)
        await until(transport.is_closing)
        last.end()


async def test_the_descriptor_is_given_back() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours
        )
        last = linger(transport, Turns(), None)
        assert last is not None
        number = last._own.fileno()
        assert number >= 0
        last.end()
        assert last._own.fileno() == -1
        assert not last.work()
        transport.abort()

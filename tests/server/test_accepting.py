"""Limits on connections over the wire, with real descriptors running out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import ssl
from collections.abc import AsyncGenerator

import pytest

from proxy.server import accepting
from proxy.server.room import UNSENT
from proxy.server.serving import Limits
from tests.server import talk
from tests.server.http1.test_exchange import served
from tests.server.toy import ToyApp

ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.asynccontextmanager
async def held(port: int, count: int) -> AsyncGenerator[list[asyncio.StreamReader]]:
    """So many connections, each of which has had an answer."""
    async with contextlib.AsyncExitStack() as stack:
        readers = []
        for _ in range(count):
            reader, writer = await stack.enter_async_context(talk.connected(port))
            writer.write(ASK)
            await reader.readuntil(b"hello")
            readers.append(reader)
        yield readers


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_connections=2), "connections"),
        (Limits(max_connections_per_address=2), "address"),
    ],
)
async def test_one_too_many_is_told_so_and_has_room_later(limits: Limits, reason: str) -> None:
    async with served(ToyApp(b""), limits) as (serving, port):
        async with held(port, 2):
            refused = await talk.http1(port, ASK)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in refused
            assert serving.connections == 2
            crowd = serving.crowd()
            assert crowd.connections == 2
            assert crowd.most == limits.max_connections or crowd.most > 2
            assert {name: count for name, count in crowd.refused.items() if count} == {reason: 1}
        async with asyncio.timeout(30):
            while serving.connections:
                await asyncio.sleep(0.01)
        assert await talk.get(port, "/x") == b"hello"


async def test_at_the_limit_of_descriptors_the_spare_one_refuses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(ToyApp(b"")) as (serving, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        gc.collect()  # so that none is given back meanwhile
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        second = None
        try:
            # One more for the client's end; none for ours.
            free = os.open(os.devnull, os.O_RDONLY)
            full = [os.dup(free) for _ in range(3)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(full) + 1, hard))
            with contextlib.suppress(OSError):
                while True:
                    full.append(os.dup(free))
            os.close(full.pop())
            second = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(30):
                with contextlib.suppress(ConnectionResetError):
                    assert await second[0].read() == b""
            assert serving.connections == 1
            writer.write(ASK)
            assert b"200 OK" in await reader.readuntil(b"hello")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in {*full, free}:
                os.close(one)
            writer.close()
            if second is not None:
                second[1].close()
        assert "there are no descriptors left" in caplog.text
        assert serving.crowd().refused["descriptors"] == 1
        assert await talk.get(port, "/x") == b"hello"


async def test_clients_get_small_buffers_in_the_kernel() -> None:
    async with served(ToyApp(b"")) as (serving, port), held(port, 1):
        [connection] = serving._state.connections
        own = connection.transport.get_extra_info("socket")
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        # Linux takes as much again for itself.
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * accepting._UNREAD


async def test_who_connects_again_and_again_waits_behind_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred from one address, then one from another, all before the first is begun."""
    begun: list[str] = []
    begin = accepting.Acceptor._begin

    async def note(self: accepting.Acceptor, accepted: socket.socket, party: str) -> None:
        begun.append(party)
        await begin(self, accepted, party)

    monkeypatch.setattr(accepting.Acceptor, "_begin", note)
    async with served(ToyApp(b"")) as (serving, port):
        with contextlib.ExitStack() as stack:
            for number in range(60):
                host = "127.0.0.2" if number == 59 else "127.0.0.1"
                one = stack.enter_context(socket.socket())
                one.bind((host, 0))
                one.connect(("127.0.0.1", port))
            async with asyncio.timeout(5):
                while serving.connections < 60:
                    await asyncio.sleep(0)
        assert len(begun) == 60
        assert begun.index("127.0.0.2") == 1


@pytest.mark.parametrize(
    ("secure", "most"), [(False, accepting._BEGUN), (True, accepting._BEGUN_TLS)]
)
async def test_so_many_are_begun_in_one_turn(
    secure: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    async def note(self: accepting.Acceptor, accepted: socket.socket, party: str) -> None:
        begun[-1] += 1
        accepted.close()
        self._state.admission.dismiss(party)

    monkeypatch.setattr(accepting.Acceptor, "_begin", note)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if secure else None
    async with served(ToyApp(b""), tls=tls) as (_, port):
        with contextlib.ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            async with asyncio.timeout(5):
                while sum(begun) < 30:
                    begun.append(0)
                    await asyncio.sleep(0)
    assert max(begun) == most


async def test_what_was_accepted_is_begun_when_no_more_is() -> None:
    async with served(ToyApp(b"")) as (serving, port):
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for door in serving._doors:
                door.close()
            async with asyncio.timeout(5):
                while serving.connections < 20:
                    await asyncio.sleep(0.001)

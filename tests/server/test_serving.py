"""An app on sockets, in this process: accepting and draining."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable

import pytest

from proxy.server.serving import Drained, Limits, Serving
from proxy.server.state import ClientProtocol
from tests.server import attack, talk
from tests.server.http1.test_exchange import served
from tests.server.toy import ToyApp, slow_body

Ask = Callable[[int], Awaitable[None]]


def listening() -> tuple[socket.socket, int]:
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    return one, one.getsockname()[1]


async def test_a_drain_counts_what_ended_during_it() -> None:
    serving = Serving(ToyApp(b""), Limits())
    one, port = listening()
    await serving.open([one], None)
    assert await talk.get(port, "/x") == b"hello"
    getting = asyncio.create_task(talk.get(port, "/slow?10,20"))
    endless = asyncio.create_task(talk.get(port, "/slow?10000,20"))
    async with asyncio.timeout(30):
        while serving.tally.running < 2:
            await asyncio.sleep(0.01)
    assert serving.connections == 2
    assert await serving.drain(2) == Drained(finished=1, cut=1)
    assert await getting == slow_body(10)
    assert isinstance((await asyncio.gather(endless, return_exceptions=True))[0], AssertionError)
    assert serving.connections == 0
    assert serving.tally.running == 0


async def test_a_drain_with_nothing_in_flight_is_quick() -> None:
    serving = Serving(ToyApp(b""), Limits())
    one, _ = listening()
    await serving.open([one], None)
    async with asyncio.timeout(15):
        assert await serving.drain(30) == Drained()


async def test_what_is_cut_before_its_head_is_told_to_come_back() -> None:
    """It is our time that is up: nothing is wrong with the request, nor with the app."""
    serving = Serving(ToyApp(b""), Limits())
    one, port = listening()
    await serving.open([one], None)
    request = b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
    async with talk.http2(port) as client:
        stream = client.request("/never")
        asked = asyncio.create_task(talk.http1(port, request))
        async with asyncio.timeout(30):
            while serving.tally.running < 2:
                await asyncio.sleep(0.01)
        drained = asyncio.create_task(serving.drain(0.1))
        assert (await asked).startswith(b"HTTP/1.1 503 ")
        await client.over(stream)
        assert client.answers[stream].status == 503
        assert await drained == Drained(cut=2)


async def _ask_by_http1(port: int) -> None:
    assert await talk.get(port, "/x") == b"hello"


async def _ask_by_http2(port: int) -> None:
    async with talk.http2(port) as client:
        stream = client.request("/x")
        await client.over(stream)
        assert client.answers[stream].body == b"hello"


async def _flood(port: int) -> None:
    flooded = await asyncio.to_thread(attack.attack, port, "tiny windows", 0, 1, 1)
    assert flooded.said == [11]


@pytest.mark.parametrize("ask", [_ask_by_http1, _ask_by_http2, _flood])
async def test_a_connection_leaves_nothing_for_the_collector(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that lives, which takes long where there is much of it."""
    seen: list[weakref.ref[object]] = []
    async with served(ToyApp(b"")) as (serving, port):
        enter = serving._state.enter

        def note(connection: ClientProtocol) -> None:
            states = (getattr(connection, name, None) for name in ("_parser", "connection"))
            seen.extend(weakref.ref(one) for one in (connection, *states) if one is not None)
            enter(connection)

        monkeypatch.setattr(serving._state, "enter", note)
        gc.disable()
        try:
            await ask(port)
            async with asyncio.timeout(30):
                while serving.connections or any(one() is not None for one in seen):
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()
    assert len(seen) == 3  # the seat, and the protocol that it was handed over to, and its state

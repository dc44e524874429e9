"""An app on sockets, in this process: accepting and draining."""

from __future__ import annotations

import asyncio
import socket

from proxy.server.serving import Drained, Limits, Serving
from tests.server import talk
from tests.server.toy import ToyApp, slow_body


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

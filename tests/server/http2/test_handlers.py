"""Handlers start a few at a time, after the frames; and hear so that their connection is gone."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from starlette.types import Receive, Scope, Send

from proxy.server.http2 import handlers
from proxy.server.http2.faults import ErrorCode
from proxy.server.turns import HANDLER, Worker
from tests.server.attack import OBJECT
from tests.server.http2.driving import headers, reset, settings
from tests.server.http2.serving import connected, last_words, until
from tests.server.http2.test_protocol import Deaf


async def turn() -> None:
    await asyncio.sleep(0)


async def test_handlers_start_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    app, seen = Deaf(), list[int]()
    async with connected(app) as (side, client):
        charge, charged = side.state.turns.charge, list[float]()

        def note(seconds: float) -> None:
            charged.append(seconds)
            charge(seconds)

        monkeypatch.setattr(side.state.turns, "charge", note)
        client.writer.write(b"".join(headers(one) for one in range(1, 61, 2)))
        while app.running < 30:
            if app.running and app.running != (seen or [0])[-1]:
                seen.append(app.running)
            await turn()
        assert side.state.tally.waiting == 0
        assert charged == [HANDLER] * 30
    # So many are charged that a turn has no time for more than twice a few.
    steps = [later - earlier for earlier, later in itertools.pairwise([0, *seen, 30])]
    assert max(steps) <= 2 * handlers._AT_ONCE


async def test_a_client_that_floods_has_none_started() -> None:
    """All that it sent is looked at before."""
    app = Deaf()
    async with connected(app) as (side, client):
        flood = b"".join(headers(one, OBJECT) for one in range(1, 1001, 2))
        client.writer.write(settings((4, 1)) + flood)
        assert await last_words(client) == [ErrorCode.ENHANCE_YOUR_CALM]
        await until(lambda: not side.state.connections)
        assert side.state.tally.waiting == 0
    assert app.started == 0


async def test_those_that_wait_count_against_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_MOST_RUNNING", 10)
    app = Deaf()
    async with connected(app) as (side, client):
        streams = [client.request("/") for _ in range(15)]
        for stream in streams[10:]:
            await client.over(stream)
            assert client.answers[stream].reset == ErrorCode.REFUSED_STREAM
        await until(lambda: app.running == 10)
        assert side.state.refused["requests"] == 5


async def test_a_reset_before_its_start_costs_no_handler() -> None:
    app = Deaf()
    async with connected(app) as (side, client):
        client.writer.write(b"".join(headers(one) for one in range(1, 101, 2)))
        client.writer.write(b"".join(reset(one) for one in range(1, 101, 2)))
        client.writer.write(headers(101))
        await until(lambda: app.running)
        assert app.started == 1
        assert side.state.tally.waiting == 0


@pytest.mark.parametrize("told", [True, False])
async def test_all_hear_that_their_connection_is_gone(told: bool) -> None:
    """By a fault of the client's, or because it left."""
    heard: list[str] = []
    listening = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal listening
        await receive()
        listening += 1
        heard.append((await receive())["type"])

    async with connected(app) as (side, client):
        for _ in range(50):
            client.request("/")
        await until(lambda: listening == 50)
        if told:
            client.writer.write(headers(2))
            assert await last_words(client) == [ErrorCode.PROTOCOL_ERROR]
        else:
            client.writer.close()
        await until(lambda: len(heard) == 50)
        await until(lambda: not side.state.connections)
    assert set(heard) == {"http.disconnect"}


async def test_a_cut_refuses_what_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Deaf()
    async with connected(app) as (side, client):

        def once(worker: Worker) -> bool:
            """Does a piece, and forgets the rest."""
            return worker.work()

        monkeypatch.setattr(side.state.turns, "take", once)
        streams = [client.request("/") for _ in range(10)]
        await until(lambda: side.state.tally.waiting > 0)
        started = app.started
        side.protocols[0].cut()
        for stream in streams[started:]:
            await client.over(stream)
        told = [client.answers[one].reset for one in streams]
        assert told.count(ErrorCode.REFUSED_STREAM) >= 10 - 2 * handlers._AT_ONCE

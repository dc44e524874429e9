"""A connection's timers, ends and bounds, seen from both sides in one process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from proxy.server.http2 import frames, handlers, protocol
from proxy.server.http2.faults import ErrorCode
from proxy.server.room import behind
from proxy.server.turns import Turns
from tests.server.http2.driving import frame, headers
from tests.server.http2.serving import connected, last_words, until

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})


class Deaf:
    """Waits, whatever happens to its client."""

    def __init__(self) -> None:
        self.running = self.most = self.started = self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        self.started += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
            await hello(scope, receive, send)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


class Endless:
    """Sends until it may not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        while True:
            await send({"type": "http.response.body", "body": bytes(16384), "more_body": True})


async def test_an_idle_connection_is_closed_with_a_goodbye() -> None:
    async with connected(hello, keep_alive_timeout=0.2) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        await client.until_closed()
        assert client.goaways == [ErrorCode.NO_ERROR]


async def test_a_head_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_HEAD_TIMEOUT", 0.2)
    for begun in (headers(1, whole=False), headers(1)[:-1]):
        app = Deaf()
        async with connected(app, keep_alive_timeout=30) as (_, client):
            client.writer.write(begun)
            assert await last_words(client) == [ErrorCode.PROTOCOL_ERROR]
            assert app.started == 0


@pytest.mark.parametrize("window", [True, False])
async def test_a_connection_that_takes_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch, window: bool
) -> None:
    """One that does not read, and one that does not open its windows."""
    monkeypatch.setattr(protocol, "_STALL_TIMEOUT", 0.3)
    async with connected(Endless(), window=window) as (side, client):
        client.request("/")
        if window:
            client.connection.increment_flow_control_window(2**31 - 1 - 65535)
            client.connection.increment_flow_control_window(2**31 - 1 - 65535, 1)
            client.flush()
        await until(lambda: not side.state.connections)
        await until(lambda: side.state.tally.running == 0)


async def test_a_client_that_reads_slowly_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_STALL_TIMEOUT", 1.0)
    async with connected(Endless(), window=False, keep_alive_timeout=1) as (side, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        for _ in range(10):
            client.connection.increment_flow_control_window(10)
            client.connection.increment_flow_control_window(10, stream)
            client.flush()
            await asyncio.sleep(0.2)
        assert side.state.connections


async def test_handlers_are_bounded_and_cancelled_when_their_stream_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handlers, "_GRACE", 0.3)
    app = Deaf()
    async with connected(app, max_streams=5) as (side, client):
        streams = [client.request("/") for _ in range(5)]
        await until(lambda: app.running == 5)
        for stream in streams:
            client.connection.reset_stream(stream)
        refused = client.request("/")
        await client.over(refused)
        assert client.answers[refused].reset == ErrorCode.REFUSED_STREAM
        await until(lambda: app.cancelled == 5)
        app.go.set()
        served = client.request("/")
        await client.over(served)
        assert client.answers[served].status == 200
        assert (app.started, app.most) == (6, 5)
        assert side.state.tally.failed == 5
        assert side.state.refused["requests"] == 1


async def test_a_hundred_thousand_streams_opened_and_reset() -> None:
    """Over as many connections as it takes, since each is ended for it."""
    app, streams, connections = Deaf(), 0, 0
    flood = b"".join(headers(one) + frames.reset_to_send(one, 8) for one in range(1, 2001, 2))
    while streams < 100_000:
        async with connected(app) as (_, client):
            client.writer.write(flood)
            assert await last_words(client) == [ErrorCode.ENHANCE_YOUR_CALM]
            streams += 1000
            connections += 1
    assert connections == 100
    assert app.started < 500
    assert app.most <= 100


async def test_no_more_handlers_in_a_process_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_MOST_RUNNING", 1)
    app = Deaf()
    async with connected(app) as (_, client):
        first = client.request("/")
        await until(lambda: app.running == 1)
        second = client.request("/")
        await client.over(second)
        assert client.answers[second].reset == ErrorCode.REFUSED_STREAM
        app.go.set()
        await client.over(first)
        assert client.answers[first].status == 200


async def test_a_drain_says_goodbye_twice_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "_LAST_CALL", 0.3)
    app = Deaf()
    async with connected(app) as (side, client):
        first = client.request("/")
        await until(lambda: app.running == 1)
        side.protocols[0].begin_drain()
        while not client.goaways:
            await client.read_some()
        crossing = client.request("/")
        while len(client.goaways) < 2:
            await client.read_some()
        late = client.request("/")
        await client.over(late)
        assert client.answers[late].reset == ErrorCode.REFUSED_STREAM
        app.go.set()
        await client.until_closed()
        assert client.goaways == [ErrorCode.NO_ERROR] * 2
        assert [client.answers[one].status for one in (first, crossing)] == [200, 200]


async def test_what_is_cut_is_seen_to_be() -> None:
    app = Endless()
    async with connected(app, window=False) as (side, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        side.protocols[0].cut()
        await client.until_closed()
        assert client.answers[stream].reset == ErrorCode.INTERNAL_ERROR
        assert side.state.tally.cut == 1


async def test_a_client_that_leaves_politely_is_answered_and_let_go() -> None:
    app = Deaf()
    async with connected(app, keep_alive_timeout=60) as (side, client):
        stream = client.request("/")
        client.writer.write(frame(frames.GOAWAY, bytes(8)))
        await until(lambda: app.running == 1)
        app.go.set()
        await client.until_closed()
        assert client.answers[stream].status == 200
        assert not side.state.connections


async def test_answers_pile_up_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for more and more frames and reads none of them."""
    monkeypatch.setattr(protocol, "_MOST_BACKLOG", 20)
    async with connected(Endless(), window=True) as (side, client):
        client.connection.increment_flow_control_window(2**31 - 1 - 65535)
        client.flush()
        client.request("/")
        client.connection.increment_flow_control_window(2**31 - 1 - 65535, 1)
        client.flush()
        await until(lambda: side.protocols[0].paused)
        client.writer.write(b"".join(frame(frames.PING, bytes(8)) for _ in range(50)))
        await until(lambda: not side.state.connections)


async def test_a_reader_that_was_given_up_keeps_no_connection() -> None:
    """It takes neither the reset of its stream nor a goodbye."""

    async def impatient(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await Endless()(scope, receive, send)

    async with connected(impatient, keep_alive_timeout=0.4) as (side, client):
        client.connection.increment_flow_control_window(2**31 - 1 - 65535)
        client.request("/")
        client.connection.increment_flow_control_window(2**31 - 1 - 65535, 1)
        client.flush()
        await until(lambda: side.protocols[0].paused)
        await until(lambda: not side.state.connections)


async def test_it_has_had_its_time_when_it_is_given_up() -> None:
    """What takes nothing for so long is not kept as if it had just become idle."""
    app = Endless()
    async with connected(app, keep_alive_timeout=30) as (side, client):
        client.connection.increment_flow_control_window(2**31 - 1 - 65535)
        client.request("/")
        client.connection.increment_flow_control_window(2**31 - 1 - 65535, 1)
        client.flush()
        await until(lambda: side.protocols[0].paused)
        side.protocols[0]._progress -= 50
        for task in side.protocols[0]._handlers._tasks.values():
            task.cancel()
        await until(lambda: not side.state.connections)


async def test_what_the_kernel_has_is_progress_when_it_is_taken() -> None:
    async with connected(hello) as (side, _):
        await until(lambda: side.protocols)
        [one] = side.protocols
        for more, progress in ((2**14 - 1, 1.0), (2**14, 2.0)):
            one._progress, one._behind = 1.0, behind(one.transport) + more
            one._look_at_progress(2.0)
            assert one._progress == progress


async def test_a_long_read_of_frames_leaves_others_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(hello) as (side, client):
        stopped = 0

        async def tick() -> None:
            nonlocal stopped
            while True:
                stopped += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(tick())
        await until(lambda: side.protocols)
        # Each piece of work takes half of a turn.
        times = itertools.count()
        side.state.turns = Turns(lambda: next(times) * 0.0005)
        steps: list[int] = []
        step = side.protocols[0].connection.step

        def count(effort: int) -> bool:
            steps.append(stopped)
            return step(effort)

        monkeypatch.setattr(side.protocols[0].connection, "step", count)
        upload = client.request("/", "POST", end=False)
        client.writer.write(b"".join(frame(0, b"a", upload) for _ in range(5000)))
        await until(lambda: len(steps) > 20)
        task.cancel()
        assert max(map(steps.count, steps)) <= 2 * 2  # the queue's, and what came since


async def test_urgent_answers_overtake() -> None:
    """By the priority field, and by an update (RFC 9218)."""
    order: list[str] = []
    body = bytes(300_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": body})
        order.append(scope["path"])

    async with connected(app, window=False) as (_, client):
        streams = [
            client.request(f"/{name}", headers=[(b"priority", value)])
            for name, value in (("last", b"u=7"), ("second", b"u=3"), ("first", b"u=0"))
        ]
        update = streams[0].to_bytes(4, "big") + b"u=1"
        client.writer.write(frame(frames.PRIORITY_UPDATE, update))
        while sum(len(one.body) for one in client.answers.values()) < 65535:
            await client.read_some()
        for stream in streams:
            client.connection.increment_flow_control_window(400_000, stream)
        client.connection.increment_flow_control_window(2_000_000)
        client.flush()
        await client.over(*streams)
    assert order == ["/first", "/last", "/second"]


async def test_json_of_many_at_once() -> None:
    """Many small answers leave together, each whole."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        text = json.dumps({"path": scope["path"]}).encode()
        await send({**START, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})

    async with connected(app) as (_, client):
        streams = {client.request(f"/{number}"): number for number in range(90)}
        await client.over(*streams)
        for stream, number in streams.items():
            assert json.loads(client.answers[stream].body) == {"path": f"/{number}"}

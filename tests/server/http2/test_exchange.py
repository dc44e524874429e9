"""ASGI over HTTP/2: sequences, bodies both ways, trailers, and what can't be completed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h2.events
import pytest
from starlette.types import Receive, Scope, Send

from proxy.errors import HeadgateError
from proxy.server.http2.exchange import part_of
from proxy.server.http2.faults import ErrorCode
from tests.server import talk
from tests.server.http2.serving import connected, until

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
END: dict[str, Any] = {"type": "http.response.body"}


class App:
    """Says what it is told to say; keeps what it saw."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = messages
        self.scopes: list[Scope] = []
        self.errors: list[BaseException] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        try:
            for message in self.messages:
                await send(message)
        except BaseException as error:
            self.errors.append(error)
            raise HeadgateError("it failed") from error


async def test_the_scope() -> None:
    app = App(START, END)
    async with connected(app) as (_, client):
        stream = client.request("/a%20b?c=d&e", headers=[(b"x", b"y"), (b"cookie", b"a=b")])
        await client.over(stream)
        assert client.answers[stream].status == 200
        assert b"date" in client.answers[stream].headers
    (scope,) = app.scopes
    assert scope["path"] == "/a b"
    assert scope["raw_path"] == b"/a%20b"
    assert scope["query_string"] == b"c=d&e"
    assert scope["headers"] == [(b"host", b"a"), (b"x", b"y"), (b"cookie", b"a=b")]
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "2", "http")
    assert (scope["client"], scope["server"]) == (("192.0.2.1", 1), ("192.0.2.2", 2))
    assert scope["asgi"]["spec_version"] == "2.4"
    told = {"http.response.trailers", "headgate.file", "headgate.taken"}
    assert set(scope["extensions"]) == told


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([END], RuntimeError),
        ([START, START], RuntimeError),
        ([START, END, END], RuntimeError),
        ([START, {"type": "http.response.trailers", "headers": []}], RuntimeError),
        ([{**START, "trailers": True}, END, END], RuntimeError),
        ([{**START, "status": 99}], ValueError),
        ([{**START, "headers": [(b"a b", b"c")]}], ValueError),
        ([{**START, "headers": [(b"a", b"b\nc")]}], ValueError),
        ([{**START, "headers": [(b"content-length", b"2")]}, {**END, "body": b"a"}], RuntimeError),
        ([{**START, "headers": [(b"content-length", b"0")]}, {**END, "body": b"a"}], RuntimeError),
    ],
)
async def test_what_an_app_must_not_send(
    messages: list[dict[str, Any]], error: type[Exception]
) -> None:
    app = App(*messages)
    async with connected(app) as (side, client):
        stream = client.request("/")
        await client.over(stream)
        assert [type(one) for one in app.errors] == [error]
        answer = client.answers[stream]
        whole = messages == [START, END, END]
        assert answer.status == 500 or answer.reset == ErrorCode.INTERNAL_ERROR or whole
        await until(lambda: side.state.tally.running == 0)
        assert side.state.tally.failed == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
async def test_some_answers_have_no_body(method: str, status: int) -> None:
    length = [(b"content-length", b"5")]
    app = App({**START, "status": status, "headers": length}, {**END, "body": b"hello"})
    async with connected(app) as (_, client):
        stream = client.request("/", method)
        await client.over(stream)
        answer = client.answers[stream]
        assert (answer.status, bytes(answer.body), answer.ended) == (status, b"", True)
        assert (b"content-length" in answer.headers) == (status != 204)


async def test_a_body_in_pieces_and_its_trailers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "trailers": True})
        for size in (0, 1, 100_000, 0, 3):
            await send({**END, "body": bytes(size), "more_body": True})
        await send(END)
        await send({"type": "http.response.trailers", "headers": [(b"X-End", b"yes")]})

    async with connected(app) as (side, client):
        stream = client.request("/")
        await client.over(stream)
        answer = client.answers[stream]
        assert len(answer.body) == 100_004
        assert answer.trailers == {b"x-end": b"yes"}
        await until(lambda: side.state.tally.finished == 1)


async def test_a_request_body_and_what_comes_behind_it() -> None:
    heard: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not heard or heard[-1]["more_body"]:
            heard.append(await receive())
        await send(START)
        await send(END)
        heard.append(await receive())

    async with connected(app) as (_, client):
        stream = client.request("/", "POST", end=False)
        client.connection.send_data(stream, b"abc")
        client.connection.send_headers(stream, [(b"x", b"y")], end_stream=True)
        client.flush()
        await client.over(stream)
        assert client.answers[stream].ended
        await until(lambda: heard[-1] == {"type": "http.disconnect"})
    assert b"".join(one["body"] for one in heard[:-1]) == b"abc"


async def test_a_client_is_told_to_continue_when_its_body_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send(START)
        await send({**END, "body": body})

    informed: list[bool] = []
    async with connected(app) as (_, client):
        taken = client._take

        def take(event: h2.events.Event) -> None:
            informed.append(isinstance(event, h2.events.InformationalResponseReceived))
            taken(event)

        monkeypatch.setattr(client, "_take", take)
        stream = client.request("/", "POST", end=False, headers=[(b"expect", b"100-continue")])
        while True not in informed:
            await client.read_some()
        client.connection.send_data(stream, b"abc", end_stream=True)
        client.flush()
        await client.over(stream)
        assert client.answers[stream].body == b"abc"


async def test_an_app_that_leaves_too_early_is_seen() -> None:
    silent = App()
    async with connected(silent) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        assert client.answers[stream].status == 500
    begun = App(START, {**END, "body": b"a", "more_body": True})
    async with connected(begun) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        assert client.answers[stream].reset == ErrorCode.INTERNAL_ERROR


async def test_an_unexpected_fault_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async with connected(app) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        assert client.answers[stream].status == 500
    assert "ZeroDivisionError" in caplog.text


def leave_by_reset(client: talk.H2, stream: int) -> None:
    client.connection.reset_stream(stream)
    client.flush()


def leave_by_closing(client: talk.H2, stream: int) -> None:
    client.writer.close()


@pytest.mark.parametrize("leave", [leave_by_reset, leave_by_closing])
async def test_a_client_that_leaves_is_told_at_once(leave: Callable[[talk.H2, int], None]) -> None:
    heard: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        watching = asyncio.ensure_future(receive())
        try:
            await send(START)
            await send({**END, "body": bytes(1 << 20), "more_body": True})
        except ConnectionResetError:
            heard.append("reset")
        heard.append(await watching)
        try:
            await send(END)
        except ConnectionResetError:
            heard.append("reset again")

    async with connected(app, window=False) as (side, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        leave(client, stream)
        await until(lambda: len(heard) == 3)
        await until(lambda: side.state.tally.failed == 1)
    assert heard == ["reset", {"type": "http.disconnect"}, "reset again"]


async def test_send_returns_when_little_is_left() -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        for count in range(100):
            await send({**END, "body": bytes(16384), "more_body": True})
            sent.append(count)
        await send(END)

    async with connected(app, window=False) as (_, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        await asyncio.sleep(0.1)
        assert 4 <= len(sent) <= 6  # the window, and less than two frames


@pytest.mark.parametrize(
    ("taken", "own", "readers", "part"),
    [
        (1000, 1000, 10, 1000),  # it comes before all others
        (1000, 0, 10, 100),  # it waits for others
        (1000, 300, 2, 500),
        (1000, 800, 2, 800),
        (0, 1000, 1, 0),  # the kernel has it, and nobody took it
        (-10, 1000, 1, -10),
    ],
)
def test_the_part_of_a_stream_in_what_a_client_took(
    taken: int, own: int, readers: int, part: int
) -> None:
    assert part_of(taken, own, readers) == part

"""Answers that take their time: as a document, as a stream, and for a client that leaves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from proxy.admin import working
from proxy.admin.working import Outcome, Tell, Work, answer_with
from tests.server.asgi import Client

EVENTS = {"accept": "text/event-stream"}


def app_of(work: Work) -> Any:  # noqa: ANN401  # an ASGI application
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(Request(scope, receive), work)(scope, receive, send)

    return app


async def counting(tell: Tell) -> Outcome:
    for number in range(3):
        tell({"done": number})
        await asyncio.sleep(0.01)
    return Outcome({"done": 3})


async def failing(_: Tell) -> Outcome:
    return Outcome({"complete": False}, 503, "It is not.")


async def test_a_document_at_the_end() -> None:
    reply = await Client(app_of(counting)).request("POST", "/")
    assert (reply.status, json.loads(reply.body)) == (200, {"done": 3})
    reply = await Client(app_of(failing)).request("POST", "/")
    assert reply.status == 503
    told = json.loads(reply.body)
    assert (told["detail"], told["complete"]) == ("It is not.", False)


async def test_a_stream_of_events() -> None:
    reply = await Client(app_of(counting)).request("POST", "/", EVENTS)
    assert reply.complete, "its end is told"
    events = [one.split("\n") for one in reply.body.decode().strip().split("\n\n")]
    assert events[0] == [": begun"]
    assert ["event: progress", 'data: {"done": 0}'] in events
    assert events[-1][0] == "event: done"
    assert json.loads(events[-1][1][6:]) == {"status": 200, "detail": "", "done": 3}
    reply = await Client(app_of(failing)).request("POST", "/", EVENTS)
    last = json.loads(reply.body.decode().rpartition("data: ")[2])
    assert (reply.status, last["status"], last["detail"]) == (200, 503, "It is not.")


async def test_silence_has_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_SIGN_OF_LIFE", 0.01)

    async def silent(_: Tell) -> Outcome:
        await asyncio.sleep(0.1)
        return Outcome()

    reply = await Client(app_of(silent)).request("POST", "/", EVENTS)
    assert b": nothing yet" in reply.body
    assert b"event: done" in reply.body


@pytest.mark.parametrize("fields", [{}, EVENTS], ids=["document", "stream"])
async def test_the_work_ends_when_its_client_leaves(fields: dict[str, str]) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: Tell) -> Outcome:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Outcome()

    client = Client(app_of(endless))
    asking = asyncio.create_task(client.request("POST", "/", fields))
    await begun.wait()
    client.leave.set()
    async with asyncio.timeout(30):
        await asking
    assert ended.is_set()


async def test_an_error_of_ours_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Tell) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Client(app_of(broken)).request("POST", "/")
    reply = await Client(app_of(broken)).request("POST", "/", EVENTS)
    last = json.loads(reply.body.decode().rpartition("data: ")[2])
    assert (last["status"], "ZeroDivisionError" in last["detail"]) == (500, True)
    assert "what the operator asked for failed" in caplog.text

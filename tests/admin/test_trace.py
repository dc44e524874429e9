"""The stream of responses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from starlette.types import Message

from proxy.admin import trace
from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.admin.trace import MOST_LOOKING, QUEUE_LENGTH
from proxy.observability import process_metrics
from tests.admin.fleet import StubFleet
from tests.server.asgi import Client


def event_of(*records: object, dropped: int = 0) -> dict[str, Any]:
    return {"records": list(records), "dropped": dropped}


class Looking:
    """Somebody who looks, until it has what it waits for."""

    def __init__(self, fleet: StubFleet, target: str = "/trace") -> None:
        self.client = Client(make_admin(fleet, AdminOptions()))
        self.text = ""
        self.enough = asyncio.Event()
        self._wanted = ""
        self.client.on_send = self._take
        self._target = target

    async def _take(self, message: Message) -> None:
        self.text += message.get("body", b"").decode()
        if self._wanted and self._wanted in self.text:
            self.client.leave.set()

    async def until(self, words: str) -> str:
        self._wanted = words
        async with asyncio.timeout(30):
            await self.client.get(self._target, host="localhost")
        return self.text


async def test_each_response_is_an_event() -> None:
    fleet = StubFleet(events=(event_of({"status": 503, "target": "/\n\nx"}, {"status": 500}),))
    looking = Looking(fleet, "/trace?status=5xx&path=/videos/**&slower=1s")
    text = await looking.until('{"status": 500}')
    assert looking.client.reply["content-type"] == "text/event-stream; charset=utf-8"
    events = [json.loads(one[6:]) for one in text.split("\n\n") if one.startswith("data: ")]
    assert events == [{"status": 503, "target": "/\n\nx"}, {"status": 500}]
    assert fleet.asked[0][1] == {"status": "5xx", "path": "/videos/**", "slower": "1s"}
    assert fleet.listening == 0, "nobody listens when nobody looks"


async def test_what_was_dropped_is_told_and_counted() -> None:
    many = event_of(*({"n": n} for n in range(QUEUE_LENGTH + 5)), dropped=2)
    fleet = StubFleet(events=(many,))
    text = await Looking(fleet).until("event: dropped")
    assert 'event: dropped\ndata: {"lines": 7}' in text
    assert fleet.counted == {process_metrics.TRACE_LINES_DROPPED.name: 5}


async def test_silence_has_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_SIGN_OF_LIFE", 0.01)
    assert ": nothing yet" in await Looking(StubFleet()).until(": nothing yet")


@pytest.mark.parametrize(
    "query", ["status=9", "path=x", "slower=soon", "key=1", "status=4xx&status=5xx"]
)
async def test_filters_that_are_none_are_told(query: str) -> None:
    client = Client(make_admin(StubFleet(), AdminOptions()))
    reply = await client.get(f"/trace?{query}", host="localhost")
    assert reply.status == 400


async def test_only_so_many_look() -> None:
    app = make_admin(StubFleet(), AdminOptions())
    clients = [Client(app) for _ in range(MOST_LOOKING)]
    looking = [asyncio.create_task(one.get("/trace", host="localhost")) for one in clients]
    async with asyncio.timeout(30):
        while not all(one.reply.body for one in clients):
            await asyncio.sleep(0.01)
    assert (await Client(app).get("/trace", host="localhost")).status == 429
    for one in clients:
        one.leave.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*looking)
    head = await Client(app).head("/trace", host="localhost")
    assert (head.status, head.body) == (200, b"")

"""The public door: one log line for each response, whatever became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Message

from proxy.errors import ClientGone, OriginTimeout
from proxy.observability.access_log import AccessRecord
from proxy.origins.memory import MemoryOrigin
from proxy.semantics.routing import Mount
from proxy.server.app import PublicDoor, make_app
from proxy.server.delivery import Site
from tests.server.asgi import Client
from tests.server.test_delivery import OBJECTS, Failing, client_of


def the_record(caplog: pytest.LogCaptureFixture) -> AccessRecord:
    [record] = [one.access for one in caplog.records if hasattr(one, "access")]
    assert isinstance(record, AccessRecord)
    return record


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate")


async def test_a_complete_response(caplog: pytest.LogCaptureFixture) -> None:
    reply = await client_of().get("/a.txt?signature=secret", range="bytes=0-3")
    record = the_record(caplog)
    assert (record.status, record.sent, record.outcome) == (206, 4, "complete")
    assert record.request_id == reply["x-request-id"]
    assert (record.target, record.client, record.origin) == (b"/a.txt", "192.0.2.1", "memory")
    assert record.seconds_to_first_byte is not None
    assert 0 < record.seconds_to_first_byte <= record.seconds


async def test_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    await client_of().get("/a%00")
    record = the_record(caplog)
    assert (record.status, record.outcome) == (400, "refused")


async def test_a_fault_is_told_to_the_operator_in_full(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of([Mount("/", "f")], f=Failing(OriginTimeout("bucket media at s3.internal")))
    reply = await client.get("/x")
    record = the_record(caplog)
    assert (record.status, record.outcome) == (504, "fault")
    assert record.detail == "bucket media at s3.internal"
    assert b"s3.internal" not in reply.body


async def test_a_bug_has_its_traceback_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of([Mount("/", "f")], f=Failing(ZeroDivisionError("oh")))
    reply = await client.get("/x")
    assert reply.status == 500
    assert b"oh" not in reply.body
    assert the_record(caplog).detail == "ZeroDivisionError: oh"
    assert any(record.exc_info for record in caplog.records)


async def test_a_body_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of([Mount("/", "f")], f=Failing(OriginTimeout("stalled"), after=2))
    with pytest.raises(OriginTimeout):
        await client.get("/x")
    record = the_record(caplog)
    assert (record.status, record.sent, record.outcome) == (200, 2, "fault")


async def test_a_client_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of()

    async def reset(_: Message) -> None:
        raise ConnectionResetError

    client.on_send = reset
    with pytest.raises(ClientGone):
        await client.get("/a.txt")
    assert the_record(caplog).outcome == "client gone"


async def test_requests_in_flight_are_counted_and_a_stop_is_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = PublicDoor(Site([Mount("/", "m")], [], {"m": MemoryOrigin(OBJECTS)}), stall_timeout=5)
    client = Client(door)

    async def stall(_: Message) -> None:
        await asyncio.Event().wait()

    client.on_send = stall
    task = asyncio.create_task(client.get("/a.txt"))
    while door.in_flight == 0:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert door.in_flight == 0
    assert the_record(caplog).outcome == "cut"


async def test_websockets_are_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    door = client_of().app
    await door({"type": "websocket"}, Client(door).receive, send)
    assert sent == [{"type": "websocket.close", "code": 1003}]


async def test_the_application_has_no_routes_of_its_own() -> None:
    """Starlette's router redirects and answers 404 by itself, unless it is told not to."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield

    site = Site([Mount("/", "m")], [], {"m": MemoryOrigin(OBJECTS)})
    client = Client(make_app(PublicDoor(site, stall_timeout=5), lifespan))
    assert (await client.get("/a.txt")).body == b"0123456789"
    assert (await client.get("/folder/")).all("x-request-id")
    assert (await client.get("@evil")).status == 400
    assert (await client.get("http://other/a.txt")).body == b"0123456789"

"""What a drain waits for: connections and tasks."""

from __future__ import annotations

import asyncio

from proxy.server.state import ClientProtocol, Limits, Peer, ServerState
from tests.server.toy import ToyApp


async def test_it_is_empty_when_no_connection_and_no_task_is_left() -> None:
    state = ServerState(ToyApp(b""), Limits())
    async with asyncio.timeout(30):
        await state.empty()
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    connection = ClientProtocol(state, Peer())
    connection.connection_made(asyncio.Transport())
    state.spawn(work())
    waiting = asyncio.create_task(state.empty())
    connection.connection_lost(None)
    connection.connection_lost(None)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    go_on.set()
    async with asyncio.timeout(30):
        await waiting


async def test_tasks_can_be_cancelled() -> None:
    state = ServerState(ToyApp(b""), Limits())
    task = state.spawn(asyncio.sleep(60))
    await asyncio.sleep(0)
    state.cancel_tasks()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_schemes() -> None:
    assert (Peer().scheme, Peer(tls=True).scheme) == ("http", "https")

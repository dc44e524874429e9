"""Clients that do not read: what they cost, and that others go on meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from proxy.server.http3.quic import MOST_HELD, MOST_UNSENT
from tests.server.http3.client import stop_reading, talking
from tests.server.http3.conftest import Doors

STREAMS, SIZE = 20, 64 << 20
# What one such stream may cost (bytes): what QUIC holds of it, and the app's own buffer.
PER_STREAM = MOST_UNSENT + (1 << 18) + (1 << 16)
# Beside: what an allocator keeps, and a connection's own state.
SLACK = 12 << 20


def resident(pid: int) -> int:
    """Bytes of memory a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_streams_nobody_reads_cost_their_bound_and_others_go_on(doors: Doors) -> None:
    async with talking(doors.tls, window=1 << 16) as client:
        pid = int((await client.get("/pid")).body)
        await client.get("/zeros?1048576")
        before = resident(pid)
        stop_reading(client)
        streams = [client.request(f"/zeros?{SIZE}") for _ in range(STREAMS)]
        async with asyncio.timeout(60):
            while sum(client.answers[one].size for one in streams) < 15 << 16:
                await asyncio.sleep(0.05)
        async with talking(doors.tls) as other:
            for _ in range(5):
                assert (await other.get("/x")).body == b"hello"
            assert (await other.get("/zeros?2097152")).size == 2 << 20
        await asyncio.sleep(1)
        assert resident(pid) - before < STREAMS * PER_STREAM + SLACK
        assert not any(client.answers[one].over for one in streams)


async def test_a_client_that_acknowledges_nothing_costs_its_bound(doors: Doors) -> None:
    async with talking(doors.tls, window=1 << 27) as client:
        pid = int((await client.get("/pid")).body)
        before = resident(pid)
        client.keep = False
        stream = client.request(f"/zeros?{SIZE}")
        await client.until(lambda: client.answers[stream].size > 1 << 20)
        deaf: Any = client
        deaf.datagram_received = lambda data, addr: None
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert resident(pid) - before < MOST_HELD + PER_STREAM + SLACK

"""One worker by itself, told what to do over its control channel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Any

import pytest

from proxy.server.control import Channel
from proxy.server.serving import Limits
from proxy.server.worker import _COLLECTED_ALL
from tests.server import talk
from tests.server.rig import ROOT
from tests.server.toy import slow_body


@contextlib.asynccontextmanager
async def worker(
    payload: bytes,
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Channel, int]]:
    """A worker that got its plan: its process, its channel, its port."""
    ours, theirs = socket.socketpair()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # as its predecessor's: what waits there is for whoever comes next
        port = listener.getsockname()[1]
        descriptors = theirs.fileno(), listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.server.toy", "worker", str(theirs.fileno())),
            cwd=ROOT,
            pass_fds=descriptors,
            stderr=asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        plan: dict[str, Any] = {"is": "plan", "clear": [descriptors[1]], "secure": []}
        channel = await Channel.over(ours)
        limits = asdict(Limits())
        await channel.send({**plan, "graceful_timeout": 5.0, "limits": limits}, payload)
    try:
        yield process, channel, port
    finally:
        await channel.aclose()
        async with asyncio.timeout(60):
            await process.wait()


async def told(channel: Channel) -> dict[str, Any]:
    async with asyncio.timeout(30):
        received = await channel.receive()
    assert received is not None
    return dict(received[0])


async def test_it_serves_drains_and_reports() -> None:
    async with worker(b"payload") as (process, channel, port):
        assert await told(channel) == {"is": "ready"}
        assert await talk.get(port, "/greeting") == b"payload"
        await channel.send({"is": "drain", "grace": 1.0})
        said = await told(channel)
        assert said["metrics"] == {"headgate_requests_total": [[["GET", "2xx", "1.1"], 1]]}
        assert (said["is"], said["finished"], said["cut"]) == ("drained", 0, 0)
        assert await process.wait() == 0


async def test_all_that_lives_is_seldom_looked_at() -> None:
    async with worker(b"") as (_, channel, port):
        assert await told(channel) == {"is": "ready"}
        young, grown, _ = gc.get_threshold()
        thresholds = json.loads(await talk.get(port, "/collector"))
        assert thresholds == [young, grown, _COLLECTED_ALL]
        await channel.send({"is": "drain", "grace": 1.0})


async def test_it_reports_that_it_cant_start() -> None:
    async with worker(b"unstartable") as (process, channel, _):
        assert await told(channel) == {"is": "failed", "why": "The toy can't start."}
        assert await process.wait() == 1


async def test_it_leaves_when_nobody_is_there() -> None:
    async with worker(b"") as (process, channel, port):
        assert await told(channel) == {"is": "ready"}
        await channel.aclose()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            await talk.get(port, "/x")


async def test_what_waits_is_answered_though_the_supervisor_dies_while_it_starts() -> None:
    """The worker has begun to accept when it finds that nobody hears that it is ready."""
    async with worker(b"slow") as (process, channel, port):
        asked = [asyncio.create_task(talk.get(port, "/slow?20,25")) for _ in range(20)]
        await asyncio.sleep(0.5)
        await channel.aclose()
        assert set(await asyncio.gather(*asked)) == {slow_body(20)}
        async with asyncio.timeout(60):
            assert await process.wait() == 0


async def test_told_to_stop_beside_its_supervisor_it_drains() -> None:
    """As a service manager does, which signals all processes of a service."""
    async with worker(b"") as (process, channel, port):
        assert await told(channel) == {"is": "ready"}
        asked = await talk.begun(port, "/slow?80,25", count=20)
        process.send_signal(signal.SIGSTOP)  # so that both are seen at once
        await channel.aclose()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert set(await asyncio.gather(*asked)) == {slow_body(80)}
        async with asyncio.timeout(60):
            assert await process.wait() == 0

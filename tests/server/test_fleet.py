"""The workers as the operator's door sees them: real processes, some of which hang or die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.server import rig, talk

NAME = "headgate_requests_total"


def value_of(text: bytes, name: str) -> float:
    starts = (f"{name}{{", f"{name} ")
    lines = [line for line in text.decode().splitlines() if line.startswith(starts)]
    assert lines, text
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def metrics(toy: rig.Toy) -> bytes:
    return await talk.get(toy.admin_port, "/metrics")


async def readiness(toy: rig.Toy) -> dict[str, Any]:
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await talk.http1(toy.admin_port, request)
    said: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return said


async def test_all_workers_are_one_and_none_is_forgotten(tmp_path: Path) -> None:
    """Each toy worker says it has answered one request: of those that are gone it stays so."""
    async with rig.running(tmp_path, workers=2, admin_bind="127.0.0.1:0") as toy:
        assert value_of(await metrics(toy), NAME) == 2
        killed = toy.said["workers"][0]
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            while value_of(text := await metrics(toy), NAME) != 3:
                assert value_of(text, NAME) >= 2, "a sum never falls"
                await asyncio.sleep(0.05)
        assert value_of(text, "headgate_workers_lost_total") == 1
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("new configuration is in effect")
        async with asyncio.timeout(30):
            while value_of(text := await metrics(toy), NAME) != 5:
                assert 3 <= value_of(text, NAME) < 5
                await asyncio.sleep(0.05)
        assert value_of(text, "headgate_workers_lost_total") == 1
        assert b'headgate_configuration_loads_total{result="accepted"} 2.0' in text


async def test_many_scrapes_at_once_are_all_answered(tmp_path: Path) -> None:
    async with rig.running(tmp_path, workers=2, admin_bind="127.0.0.1:0") as toy:
        texts = await asyncio.gather(*(metrics(toy) for _ in range(50)))
        assert {value_of(text, NAME) for text in texts} == {2}


async def test_a_worker_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """The toy's event loop is stuck as soon as it is asked for its metrics."""
    plan = {"greeting": "held", "admin_bind": "127.0.0.1:0", "graceful_timeout": 0.5}
    async with rig.running(tmp_path, **plan) as toy:
        async with asyncio.timeout(60):
            text = await metrics(toy)
        assert value_of(text, "headgate_workers_silent") == 1
        assert value_of(text, "headgate_workers") == 1
        assert (await talk.get(toy.admin_port, "/healthz")) == b"ok\n"
        async with asyncio.timeout(60):
            while (said := await readiness(toy))["ready"]:
                await asyncio.sleep(0.5)
        assert [one["state"] for one in said["workers"]] == ["stuck"]


async def test_a_faulty_configuration_is_counted(tmp_path: Path) -> None:
    async with rig.running(tmp_path, admin_bind="127.0.0.1:0") as toy:
        toy.config.write_text("not JSON")
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("the new configuration is refused")
        assert b'headgate_configuration_loads_total{result="refused"} 1.0' in await metrics(toy)


async def purged(toy: rig.Toy) -> set[int]:
    """The workers that a purge had forget."""
    body = b'{"kind": "all"}'
    request = (
        b"POST /cache/purge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    answer = await talk.http1(toy.admin_port, request)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    said = json.loads(answer.partition(b"\r\n\r\n")[2])
    return set(said["workers"])


async def test_a_purge_waits_for_the_workers_that_a_reload_starts(tmp_path: Path) -> None:
    """They may have read from disk what it removes, and nobody lists them yet."""
    async with rig.running(tmp_path, workers=2, admin_bind="127.0.0.1:0") as toy:
        old = set(toy.said["workers"])
        assert await purged(toy) == old
        toy.write(greeting="slow", workers=2, admin_bind="127.0.0.1:0")
        toy.signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            while True:
                listed = {one["pid"] for one in (await readiness(toy))["workers"]}
                assert listed == old, "the reload is in effect, and none has waited for it"
                if len(await purged(toy) - old) == 2:
                    break


async def test_a_purge_waits_for_a_worker_that_replaces_another(tmp_path: Path) -> None:
    plan = {"greeting": "slow", "admin_bind": "127.0.0.1:0"}
    async with rig.running(tmp_path, workers=2, **plan) as toy:
        first, second = toy.said["workers"]
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while "starting" not in {one["state"] for one in (await readiness(toy))["workers"]}:
                await asyncio.sleep(0.02)
        found = await purged(toy)
        assert second in found
        assert len(found - {first, second}) == 1


async def test_a_worker_that_starts_during_a_purge_forgets_before_it_serves(
    tmp_path: Path,
) -> None:
    plan = {"greeting": "sweeping", "admin_bind": "127.0.0.1:0", "graceful_timeout": 1}
    async with rig.running(tmp_path, workers=2, **plan) as toy:
        sweeper, killed = toy.said["workers"]
        purging = asyncio.create_task(purged(toy))
        async with asyncio.timeout(60):
            while "purge" not in await seen_by(toy, sweeper):
                await asyncio.sleep(0.02)
            while "purge" not in await seen_by(toy, killed):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)  # until the supervisor has heard it
            os.kill(killed, signal.SIGKILL)
            while killed in (pids := set(await states(toy))) or len(pids) < 2:
                await asyncio.sleep(0.02)
            [new] = pids - {sweeper}
            assert await seen_by(toy, new) == ["purge"]
            assert not purging.done()
            await purged(toy)
            assert await purging == {sweeper, killed}, "the new one was not asked"


async def states(toy: rig.Toy) -> dict[int, str]:
    return {one["pid"]: one["state"] for one in (await readiness(toy))["workers"]}


async def seen_by(toy: rig.Toy, pid: int) -> list[str]:
    """What a worker has seen: one of those that have the connections asks until it has it."""
    while True:
        request = b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\nGET /seen HTTP/1.1\r\nHost: a\r\n"
        answer = await talk.http1(toy.port, request + b"Connection: close\r\n\r\n")
        if answer.partition(b"\r\n\r\n")[2].startswith(b"%d" % pid):
            said: dict[str, list[str]] = json.loads(answer.rpartition(b"\r\n\r\n")[2])
            return said["seen"]
        await asyncio.sleep(0.01)

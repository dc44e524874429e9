"""A stop lets downloads end, a reload refuses nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

from tests.server import talk
from tests.siege.criteria import Criterion, at_least, at_most, within
from tests.siege.downloads import Ends, over_http1, over_http2
from tests.siege.objects import MIB, SMALL, SMALL_BODY
from tests.siege.stage import Stage, Wish, is_running, over_directory

_STREAMS = 10
_REFUSED_WITHIN = 0.1
# Seconds beyond the deadline in which it must have ended.
_BEYOND = 1.0


def drain(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """A fifth of `scale` downloads, half over HTTP/2, take so long; meanwhile it is told to stop,
    and before that to reload."""
    del only
    downloads = max(_STREAMS * 2, scale // 5 // 20 * 20)
    # Beyond what kernels hold, and not more: it is the client that takes its time over HTTP/2.
    wish = Wish(size=MIB, workers=2, grace=max(60.0, 6 * seconds))
    with over_directory(wish) as stage:
        yield from asyncio.run(_reload(stage, seconds))
        yield from asyncio.run(_stop(stage, downloads, seconds, wish.grace))


async def _stop(stage: Stage, downloads: int, seconds: float, grace: float) -> list[Criterion]:
    ends, half = Ends(), downloads // 2
    tasks = [
        *(asyncio.create_task(over_http1(stage.port, stage.size, seconds, ends))
          for _ in range(half)),
        *(asyncio.create_task(over_http2(stage.port, stage.size, seconds, _STREAMS, ends))
          for _ in range(half // _STREAMS)),
    ]  # fmt: skip
    while ends.begun < downloads and not ends.failed:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    early, began = sum(ends.ended.values()), time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(_end, stage))
    refused = await _until_refused(stage.port, began)
    await asyncio.gather(*tasks)
    code, took = await stopping, time.monotonic() - began
    what = f"SIGTERM, {downloads} downloads"
    return [
        at_most(f"{what}: over before it", early, 0),
        at_least(f"{what}: whole", ends.ended["whole"], downloads),
        at_most(f"{what}: not whole {dict(ends.ended)}", ends.failed, 0),
        at_most(f"{what}: exit code", abs(code), 0),
        within(f"{what}: until new connections are refused", refused, _REFUSED_WITHIN),
        within(f"{what}: until it has ended", took, grace + _BEYOND),
    ]


def _end(stage: Stage) -> int:
    os.kill(stage.program.pid, signal.SIGTERM)
    deadline = time.monotonic() + 120
    while is_running(stage.program.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return stage.program.stop()


async def _until_refused(port: int, began: float) -> float:
    while time.monotonic() - began < 30:
        try:
            async with talk.connected(port):
                await asyncio.sleep(0.005)
        except ConnectionRefusedError:
            return time.monotonic() - began
    return float("inf")


async def _reload(stage: Stage, seconds: float) -> list[Criterion]:
    """Reloads again and again, while some ask on new connections, and some on kept ones."""
    over, faults, answers = asyncio.Event(), list[str](), list[int]()
    before, reloads = stage.metric(_RELOADS), 0
    asking = [asyncio.create_task(_hammer(stage.port, over, faults, answers)) for _ in range(4)]
    asking += [asyncio.create_task(_keep(stage.port, over, faults, answers)) for _ in range(4)]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        os.kill(stage.program.pid, signal.SIGHUP)
        reloads += 1
        for _ in range(600):
            if await asyncio.to_thread(stage.metric, _RELOADS) >= before + reloads:
                break
            await asyncio.sleep(0.1)
    done = await asyncio.to_thread(stage.metric, _RELOADS) - before
    over.set()
    await asyncio.gather(*asking)
    what = f"SIGHUP, {len(answers)} answers"
    return [
        at_least(f"{what}: reloads", done, reloads),
        at_most(f"{what}: refused or broken {faults[:3] or ''}", len(faults), 0),
    ]


_RELOADS = "headgate_configuration_loads_total"


async def _hammer(port: int, over: asyncio.Event, faults: list[str], answers: list[int]) -> None:
    while not over.is_set():
        try:
            body = await talk.get(port, f"/{SMALL}")
            answers.append(len(body))
            if body != SMALL_BODY:
                faults.append("a wrong body")
        except (OSError, AssertionError, TimeoutError) as error:
            faults.append(f"new: {error!r}")
        await asyncio.sleep(0.005)


async def _keep(port: int, over: asyncio.Event, faults: list[str], answers: list[int]) -> None:
    """Asks on one connection until the server says that it closes."""
    request = f"GET /{SMALL} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    while not over.is_set():
        try:
            async with talk.connected(port) as (reader, writer):
                head = b""
                while b"connection: close" not in head and not over.is_set():
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    answers.append(len(await reader.readexactly(len(SMALL_BODY))))
                    await asyncio.sleep(0.005)
        except (OSError, EOFError) as error:
            faults.append(f"kept: {error!r}")

"""An event loop that is held: seen, timed, and by what."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from proxy.observability import process_metrics
from proxy.observability.meters import Meters
from proxy.observability.stalls import BEAT, REMEMBERED, LoopWatch


@pytest.fixture
async def watched() -> AsyncIterator[tuple[LoopWatch, Meters]]:
    meters = Meters()
    watch = LoopWatch(meters)
    watch.start()
    yield watch, meters
    watch.stop()
    assert not [one for one in threading.enumerate() if one.name == "loop-watch"]


def hold_the_loop(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_what_held_the_loop_is_named(watched: tuple[LoopWatch, Meters]) -> None:
    watch, meters = watched
    await asyncio.sleep(2 * BEAT)
    hold_the_loop(0.6)
    async with asyncio.timeout(30):
        while not any("hold_the_loop" in str(one["stack"]) for one in watch.stalls):
            await asyncio.sleep(BEAT)
    stall = max(watch.stalls, key=lambda one: float(one["seconds"]))
    assert stall["seconds"] >= 0.4
    values = meters.read()
    [(_, count)] = values[process_metrics.STALLS.name]
    [(_, longest)] = values[process_metrics.LOOP_LAG_MAX.name]
    assert isinstance(count, float | int)
    assert isinstance(longest, float | int)
    assert count >= 1
    assert longest >= 0.4


async def test_the_lag_is_looked_at_again_and_again(watched: tuple[LoopWatch, Meters]) -> None:
    _, meters = watched
    async with asyncio.timeout(30):
        while True:
            rows = meters.read().get(process_metrics.LOOP_LAG.name, [])
            if rows and isinstance(rows[0][1], list) and sum(rows[0][1][:-1]) >= 3:
                return
            await asyncio.sleep(BEAT)


async def test_what_is_remembered_is_bounded() -> None:
    watch = LoopWatch(Meters())
    for _ in range(REMEMBERED + 10):
        watch._note(1.0)
    assert len(watch.stalls) == REMEMBERED
    watch.stop()

"""Profiles and memory of this very process."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from pyinstrument.session import Session

from proxy.observability.fleet import Declined
from proxy.observability.profiling import Profiling


async def no_stream(_: object) -> None: ...


def burn() -> None:
    until = time.perf_counter() + 0.02
    while time.perf_counter() < until:
        sum(range(50))


async def busy() -> None:
    while True:
        burn()
        await asyncio.sleep(0.001)


async def test_a_profile_names_what_other_tasks_do() -> None:
    working = asyncio.create_task(busy())
    told = await Profiling().profile({"seconds": 0.5}, no_stream)
    working.cancel()
    session = Session.from_json(json.loads(json.dumps(told)))
    assert session.duration >= 0.5
    stacks = [stack for stack, _ in session.frame_records]
    assert len(stacks) == len({tuple(stack) for stack in stacks}), "one record for each stack"
    burning = sum(seconds for stack, seconds in session.frame_records if "burn" in str(stack))
    assert burning > 0.2
    through = next(stack for stack in stacks if "burn" in str(stack))
    assert "busy" in str(through)


KEPT: list[bytes] = []


async def test_memory_that_grows_is_told_with_its_place() -> None:
    measuring = asyncio.create_task(Profiling().memory({"seconds": 0.3}, no_stream))
    while not measuring.done():  # before the first look and after the last, too
        KEPT.append(bytes(3_000_000))
        await asyncio.sleep(0.02)
    told = json.loads(json.dumps(await measuring))
    KEPT.clear()
    assert told["grown"][0]["bytes"] >= 3_000_000
    assert "test_profiling.py" in str(told["grown"][0]["stack"])
    assert any(one["bytes"] >= 3_000_000 for one in told["top"])
    assert told["resident"] > 3_000_000
    assert told["objects"][0]["count"] > 100


async def test_one_measurement_at_a_time() -> None:
    profiling = Profiling()
    first = asyncio.create_task(profiling.profile({"seconds": 60}, no_stream))
    await asyncio.sleep(0.05)
    for operation in (profiling.profile, profiling.memory):
        with pytest.raises(Declined):
            await operation({"seconds": 1}, no_stream)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await profiling.profile({"seconds": 0}, no_stream)
    await profiling.memory({"seconds": 0}, no_stream)

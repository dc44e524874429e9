"""The dump of all tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from proxy.observability.tasks import MOST_GROUPS, dump_tasks


async def waits_inside(gate: asyncio.Event) -> None:
    await gate.wait()


async def waits(gate: asyncio.Event) -> None:
    await waits_inside(gate)


async def gives(gate: asyncio.Event) -> AsyncGenerator[int, None]:
    await gate.wait()
    yield 1


async def iterates(gate: asyncio.Event) -> None:
    async with aclosing(gives(gate)) as given:
        async for _ in given:
            pass


async def test_each_task_is_told_with_all_it_waits_in() -> None:
    gate = asyncio.Event()
    tasks = [asyncio.create_task(waits(gate), name=f"waiting-{n}") for n in range(7)]
    other = asyncio.create_task(iterates(gate), name="iterating")
    await asyncio.sleep(0)
    groups = dump_tasks([*tasks, other])
    assert [group["count"] for group in groups] == [7, 1]
    assert groups[0]["runs"] == "waits"
    assert groups[0]["names"] == [f"waiting-{n}" for n in range(5)]
    functions = [line.rpartition(" ")[2] for line in groups[0]["stack"]]
    assert functions[:3] == ["waits", "waits_inside", "Event.wait"]
    assert "test_tasks.py:" in groups[0]["stack"][0]
    assert groups[1]["stack"][0].endswith("iterates")
    gate.set()
    await asyncio.gather(*tasks, other)
    assert dump_tasks(tasks)[0]["stack"] == ["waits for coroutine"]


async def test_the_dump_is_bounded() -> None:
    gate = asyncio.Event()

    def make(number: int) -> asyncio.Task[None]:
        coroutine: Any = waits(gate)
        coroutine.__qualname__ = f"waits-{number}"
        return asyncio.create_task(coroutine)

    tasks = [make(number) for number in range(MOST_GROUPS + 20)]
    await asyncio.sleep(0)
    assert len(dump_tasks(tasks)) == MOST_GROUPS
    gate.set()
    await asyncio.gather(*tasks)

"""One deadline, moved often, met once."""

from __future__ import annotations

import asyncio

from proxy.server.http1.deadline import Deadline


async def test_it_is_met_once_and_not_early() -> None:
    met: list[float] = []
    deadline, loop = Deadline(), asyncio.get_running_loop()
    begun = loop.time()
    deadline.set(0.05, lambda: met.append(loop.time() - begun))
    await asyncio.sleep(0.2)
    assert len(met) == 1
    assert met[0] >= 0.045


async def test_it_can_be_put_off_and_brought_forward() -> None:
    met: list[str] = []
    deadline = Deadline()
    deadline.set(0.02, lambda: met.append("first"))
    deadline.set(60, lambda: met.append("late"))
    await asyncio.sleep(0.1)
    assert met == []
    deadline.set(0.01, lambda: met.append("soon"))
    await asyncio.sleep(0.1)
    assert met == ["soon"]


async def test_what_is_cleared_or_stopped_is_not_met() -> None:
    met: list[str] = []
    deadline = Deadline()

    def expire() -> None:
        met.append("met")

    deadline.set(0.01, expire)
    assert deadline.is_for(expire)
    deadline.clear()
    assert not deadline.is_for(expire)
    await asyncio.sleep(0.05)
    deadline.set(0.01, expire)
    deadline.stop()
    deadline.set(0.01, expire)
    await asyncio.sleep(0.05)
    assert met == []

"""Writes that are on their way, whoever waits for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from proxy.cache.disk.writing import Writes
from proxy.errors import OriginTimeout
from proxy.origins.threads import THREADS, Threads


async def test_nothing_on_its_way_is_settled() -> None:
    assert await Writes().settled(0)


async def test_a_write_counts_until_its_thread_is_done() -> None:
    writes, threads, let = Writes(), Threads(0.05), threading.Event()
    with pytest.raises(OriginTimeout):
        await writes.run(threads, let.wait, 20)
    assert not await writes.settled(0.02), "nobody waits for it, and yet it goes on"
    let.set()
    assert await writes.settled(10)
    threads.close()


async def test_a_write_that_nobody_waits_for_does_not_begin() -> None:
    writes, threads, let = Writes(), Threads(10), threading.Event()
    holding = [asyncio.create_task(threads.run(let.wait, 20)) for _ in range(THREADS)]
    await asyncio.sleep(0.05)
    done: list[int] = []
    writing = asyncio.create_task(writes.run(threads, done.append, 1))
    await asyncio.sleep(0.05)
    assert not await writes.settled(0.01)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await writes.settled(0)
    let.set()
    await asyncio.gather(*holding)
    await threads.run(lambda: None)
    assert done == []
    threads.close()


async def test_what_begins_later_is_not_waited_for() -> None:
    writes = Writes()
    with writes.noted():
        settling = asyncio.create_task(writes.settled(10))
        await asyncio.sleep(0.02)
    with writes.noted():
        assert await settling


async def test_a_write_gives_and_raises_what_its_work_does() -> None:
    writes, threads = Writes(), Threads(10)
    assert await writes.run(threads, max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await writes.run(threads, lambda: 1 // 0)
    assert await writes.settled(0)
    threads.close()

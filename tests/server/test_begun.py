"""Coroutines that are run up to their first wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from proxy.server.begun import Begun


async def gives(value: int, *, after: float | None = None) -> int:
    if after is not None:
        await asyncio.sleep(after)
    return value


async def fails(*, after: float | None = None) -> int:
    if after is not None:
        await asyncio.sleep(after)
    raise ValueError("no")


async def test_what_never_waits_is_done() -> None:
    begun = Begun(gives(3))
    assert begun.done
    assert begun.result == 3


async def test_what_waits_goes_on_when_it_is_awaited() -> None:
    for after in (0, 0.001):
        begun = Begun(gives(4, after=after))
        assert not begun.done
        assert await begun == 4
        assert begun.done


async def test_what_is_raised_comes_where_it_happens() -> None:
    with pytest.raises(ValueError, match="no"):
        Begun(fails())
    begun = Begun(fails(after=0))
    with pytest.raises(ValueError, match="no"):
        await begun


async def test_a_timeout_and_a_cancellation_reach_it() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    begun = Begun(waits())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await begun
    assert seen == ["cancelled"]


async def test_it_may_swallow_what_it_is_told() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "ended well"

    task = asyncio.current_task()
    assert task is not None
    begun = Begun(stubborn())
    asyncio.get_running_loop().call_soon(task.cancel)
    assert await begun == "ended well"
    task.uncancel()


async def test_one_that_is_given_up_is_closed() -> None:
    ended: list[bool] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    begun = Begun(waits())
    begun.close()
    assert ended == [True]
    Begun(gives(1)).close()


async def test_the_next_of_a_generator() -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(0)
        yield 2

    async with aclosing(numbers()) as some:
        first = Begun(anext(some))
        assert first.done
        second = Begun(anext(some))
        assert not second.done
        assert (first.result, await second) == (1, 2)
        with pytest.raises(StopAsyncIteration):
            Begun(anext(some))

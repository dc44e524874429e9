"""Leaves a coroutine at a chosen await, exactly as `Task.cancel` does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any


class _CancelledAt:
    """Awaits another awaitable, and cancels the task at its `at`-th suspension (from 1)."""

    def __init__(self, awaited: Awaitable[object], at: int) -> None:
        self._awaited = awaited
        self._left = at

    def __await__(self) -> Generator[Any, Any, None]:
        inner = self._awaited.__await__()
        error: BaseException | None = None
        while True:
            try:
                waiting_for = next(inner) if error is None else _throw(inner, error)
            except StopIteration:
                return
            self._left -= 1
            if not self._left:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            error = None
            try:
                yield waiting_for
            except BaseException as thrown:  # noqa: BLE001  # handed on, as the loop would
                error = thrown


def _throw(inner: Generator[Any, Any, object], error: BaseException) -> Any:  # noqa: ANN401  # whatever a coroutine yields
    return inner.throw(error)


async def cancel_everywhere(use: Callable[[], Awaitable[object]], most: int = 1000) -> int:
    """Runs `use` again and again, cancelled at its first await, its second, until it completes.

    Gives how many awaits there were. A run that swallows its cancellation fails.
    """
    for at in range(1, most):

        async def run(at: int = at) -> None:
            await _CancelledAt(use(), at)

        task = asyncio.create_task(run())
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
            assert task.cancelling() == 0, f"the cancellation at await {at} was swallowed"
            return at - 1
    raise AssertionError(f"not complete after {most} awaits")

"""A client's clock: what sets it anew, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from proxy.server.begun import Begun
from proxy.server.patience import BYTES_PER_STALL, Patience, Progress

STALL = 1.0
ENOUGH = BYTES_PER_STALL // 2


async def pieces(taken: Callable[[], int] | None) -> None:
    """The kernel takes three pieces, all of them later than the stall timeout."""
    patience = Patience(Progress(taken_since=taken), STALL)
    for _ in range(3):
        await patience.wait(Begun(asyncio.sleep(0.6 * STALL)), STALL)


async def test_that_the_kernel_took_a_piece_is_not_the_clients_doing() -> None:
    with pytest.raises(TimeoutError):
        await pieces(lambda: 0)
    with pytest.raises(TimeoutError):
        await pieces(lambda: 100)


async def test_where_nobody_tells_each_piece_has_a_clock() -> None:
    await pieces(None)


async def test_who_took_enough_has_a_new_clock() -> None:
    await pieces(lambda: ENOUGH)


async def test_what_was_taken_between_two_waits_counts() -> None:
    """Then nothing has to be left of the clock."""
    told = 0
    patience = Patience(Progress(taken_since=lambda: told), STALL)
    await patience.wait(Begun(asyncio.sleep(STALL / 5)), STALL)
    patience._remaining, told = 0.0, ENOUGH
    await patience.wait(Begun(asyncio.sleep(STALL / 100)), STALL)


async def test_only_waiting_for_the_client_counts() -> None:
    patience = Patience(Progress(taken_since=lambda: 0), STALL)
    await patience.wait(Begun(asyncio.sleep(0.4 * STALL)), STALL)
    await asyncio.sleep(STALL)  # the store takes its time
    await patience.wait(Begun(asyncio.sleep(0.2 * STALL)), STALL)
    with pytest.raises(TimeoutError):
        await patience.wait(Begun(asyncio.sleep(0.8 * STALL)), STALL)


async def test_a_client_that_takes_what_it_is_given_soon_is_never_asked() -> None:
    asked: list[int] = []

    def taken() -> int:
        asked.append(1)
        return 0

    patience = Patience(Progress(taken_since=taken), 60.0)
    for _ in range(10):
        await patience.wait(Begun(asyncio.sleep(0.01)), 60.0)
    assert not asked


async def test_those_that_stopped_together_are_not_given_up_in_one_turn() -> None:
    """Fifty streams of one connection, say. Nobody has less than the stall timeout."""
    loop, stall = asyncio.get_running_loop(), 64.0
    many = [Patience(Progress(taken_since=lambda: 0), stall) for _ in range(50)]
    now = loop.time()
    waiting = [asyncio.create_task(one.wait(Begun(asyncio.sleep(60)), stall)) for one in many]
    await asyncio.sleep(0)
    ends = sorted(when for one in many if one._limit and (when := one._limit.when()))
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(ends) == 50
    assert stall <= ends[0] - now
    assert ends[-1] - now <= stall * 17 / 16 + 1
    assert len({round(one, 2) for one in ends}) > 25

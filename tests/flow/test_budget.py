"""A budget: never more than it has, in the order of coming, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Overloaded
from proxy.flow.budget import Budget


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_there_is_taken_at_once() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert budget.take(40)
    assert not budget.take(1)
    budget.give_back(40)
    assert budget.take(1)
    assert budget.statistics().used == 61


async def test_one_larger_than_all_of_it_goes_alone() -> None:
    budget = Budget(100)
    assert budget.take(500)
    assert not budget.take(1)
    assert budget.take(0)
    budget.give_back(500)
    assert budget.take(1)
    assert not budget.take(500)


async def test_those_who_wait_go_on_in_their_order() -> None:
    budget, went = Budget(100, patience=30), []

    async def one(name: str, count: int) -> None:
        await budget.wait(count)
        went.append(name)

    assert budget.take(100)
    waiting = [asyncio.create_task(one(*each)) for each in (("a", 50), ("b", 80), ("c", 10))]
    await _turn()
    budget.give_back(40)
    await _turn()
    assert went == []
    assert not budget.take(1)  # there is some, but not before those who came first
    budget.give_back(20)
    await _turn()
    assert went == ["a"]
    budget.give_back(90)
    await asyncio.gather(*waiting)
    assert went == ["a", "b", "c"]
    assert (budget.statistics().used, budget.statistics().queued) == (90, 0)


async def test_too_many_or_too_long() -> None:
    budget = Budget(100, most_waiting=1, patience=0.05)
    assert budget.take(100)
    first = asyncio.create_task(budget.wait(10))
    await _turn()
    with pytest.raises(Overloaded, match="1 requests wait"):
        await budget.wait(10)
    with pytest.raises(Overloaded, match=r"in 0\.05 s") as told:
        await first
    assert (told.value.status, told.value.retry_after) == (503, 2)
    now = budget.statistics()
    assert (now.used, now.queued, now.waits, now.full, now.late) == (100, 0, 1, 1, 1)
    assert now.seconds > 0.04


async def test_who_leaves_lets_those_behind_go_on() -> None:
    budget = Budget(100, patience=30)
    assert budget.take(50)
    large, small = (asyncio.create_task(budget.wait(count)) for count in (80, 20))
    await _turn()
    large.cancel()
    await small
    assert budget.statistics().used == 70
    with pytest.raises(asyncio.CancelledError):
        await large


async def test_who_leaves_when_its_turn_has_come_gives_it_back() -> None:
    budget = Budget(100, patience=30)
    assert budget.take(100)
    waiting = asyncio.create_task(budget.wait(70))
    await _turn()
    budget.give_back(100)  # its turn has come, but it has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.statistics().used == 0


@given(
    st.integers(1, 300),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 4), st.booleans()), max_size=30),
)
def test_never_more_than_there_is_and_all_of_it_comes_back(
    size: int, transfers: list[tuple[int, int, bool]]
) -> None:
    held: list[int] = []

    async def transfer(budget: Budget, count: int, turns: int) -> None:
        if not budget.take(count):
            await budget.wait(count)
        try:
            held.append(count)
            assert sum(held) <= size or sum(map(bool, held)) == 1  # one alone may be larger
            assert budget.statistics().used >= sum(held)
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            held.remove(count)
            budget.give_back(count)

    async def all_of_them() -> None:
        budget = Budget(size, patience=30)
        tasks = [
            (asyncio.create_task(transfer(budget, count, turns)), gives_up)
            for count, turns, gives_up in transfers
        ]
        await asyncio.sleep(0)
        for task, gives_up in tasks:
            if gives_up:
                task.cancel()
                await asyncio.sleep(0)
        for task, _ in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        now = budget.statistics()
        assert (now.used, now.queued) == (0, 0)

    asyncio.run(all_of_them())

"""Going through many objects: each once, a bounded number at once, and nothing left at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import NotFound, OriginTimeout
from proxy.origins.base import WHOLE, OpenObject, Page, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.origins.walking import for_each, keys_below
from proxy.semantics.representation import Representation
from tests.origins.cancelling import cancel_everywhere

AT_ONCE = 3


class InPages(MemoryOrigin):
    """Lists two entries a page."""

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        return await super().list(prefix, after, 2)


class Unlisted:
    async def start(self) -> None:
        """Nothing."""

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        raise NotFound(key)

    async def aclose(self) -> None:
        """Nothing."""


segments = st.text("ab", min_size=1, max_size=2)
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


@given(st.sets(keys, max_size=12), st.sampled_from(["", "a/", "b/a/", "c/"]))
def test_all_keys_below_a_prefix_are_found_once(kept: set[str], prefix: str) -> None:
    origin = InPages({key: StoredObject(b"", Representation(0)) for key in kept})

    async def walk() -> list[str]:
        return [key async for key in keys_below(origin, prefix)]

    found = asyncio.run(walk())
    assert sorted(found) == sorted(key for key in kept if key.startswith(prefix))


async def test_what_can_not_list_says_so() -> None:
    with pytest.raises(NotFound, match="can't list"):
        await anext(keys_below(Unlisted(), ""))


class Numbers:
    """Finds numbers, and knows whether it was closed."""

    def __init__(self, count: int) -> None:
        self.count, self.given, self.closed = count, 0, False

    async def find(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                self.given += 1
                yield number
        finally:
            self.closed = True


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, 50])
async def test_each_is_worked_at_once_and_few_at_the_same_time(count: int) -> None:
    numbers, working, most = Numbers(count), 0, 0
    done: list[int] = []

    async def work(number: int) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.001)
        # What is found ahead of the work is bounded too.
        assert numbers.given <= len(done) + 6 * AT_ONCE
        working -= 1
        done.append(number)

    await for_each(numbers.find(), work, AT_ONCE)
    assert sorted(done) == list(range(count))
    assert most == min(count, AT_ONCE)
    assert numbers.closed


async def test_what_fails_ends_all() -> None:
    numbers = Numbers(50)

    async def work(number: int) -> None:
        if number == 7:
            raise OriginTimeout("too late")

    found = numbers.find()  # held, so that nobody else closes it
    with pytest.raises(ExceptionGroup) as caught:
        await for_each(found, work, AT_ONCE)
    assert caught.group_contains(OriginTimeout)
    assert numbers.closed
    assert numbers.given < 50


async def test_whoever_leaves_leaves_nothing() -> None:
    made: list[Numbers] = []

    async def go() -> None:
        made.append(Numbers(9))
        await for_each(made[-1].find(), lambda _: asyncio.sleep(0), AT_ONCE)

    await cancel_everywhere(go)
    assert all(one.closed for one in made if one.given)

"""What requests to a store carry: for the block, for what it starts, and no longer."""

from __future__ import annotations

import asyncio
import contextvars

from proxy.origins.carried import CARRIED, carrying


async def test_it_is_carried_by_the_block_and_by_what_it_starts() -> None:
    async def seen() -> dict[str, str]:
        await asyncio.sleep(0)
        return dict(CARRIED.get())

    with carrying({"a": "1"}):
        task = asyncio.create_task(seen())
        with carrying({"b": "2"}):
            assert await seen() == {"b": "2"}
        assert await seen() == {"a": "1"}
    assert await seen() == {}
    assert await task == {"a": "1"}


def test_a_block_may_end_in_another_context() -> None:
    block = carrying({"a": "1"})
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert CARRIED.get() == {}

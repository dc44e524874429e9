"""Going through many objects of an origin, some at a time: to warm a cache, to check them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar, cast

from proxy.errors import NotFound
from proxy.origins.base import Lister, Origin

# Found ahead, for each that is worked at: none waits while the next page of a listing comes.
_AHEAD: Final = 4

T = TypeVar("T")


async def keys_below(origin: Origin, prefix: str) -> AsyncGenerator[str, None]:
    """All keys below a prefix ("" or ending in "/"), page by page.

    Raises NotFound where the origin can't list, and what its `list` raises.
    """
    if not hasattr(origin, "list"):
        raise NotFound("this origin can't list")
    folders = [prefix]
    while folders:
        folder, after = folders.pop(), None
        while True:
            page = await cast("Lister", origin).list(folder, after)
            for entry in page.entries:
                if entry.name.endswith("/"):
                    folders.append(folder + entry.name)
                else:
                    yield folder + entry.name
            after = page.after
            if after is None:
                break


async def for_each(
    found: AsyncGenerator[T, None], work: Callable[[T], Awaitable[None]], at_once: int
) -> None:
    """Works at all that is found, at so many at once; `found` is closed at the end.

    What `found` or `work` raises ends it all, as an ExceptionGroup.
    """
    waiting: asyncio.Queue[tuple[T] | None] = asyncio.Queue(_AHEAD * at_once)

    async def work_at_some() -> None:
        while (one := await waiting.get()) is not None:
            await work(*one)

    async def find_all() -> None:
        async with aclosing(found):
            async for one in found:
                await waiting.put((one,))
        for _ in range(at_once):
            await waiting.put(None)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work_at_some())
        group.create_task(find_all())

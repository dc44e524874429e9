"""Writes to the cache's directory that are on their way, whoever still waits for them.

A thread can't be cancelled: a write that took too long may still land later. Who has to know that
nothing old comes back, as after a purge, waits for those that had begun, and not for who waited.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, ParamSpec, TypeVar

from proxy.errors import OriginUnavailable
from proxy.origins.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")

# Seconds between two looks whether they have ended.
_LOOK_EVERY: Final = 0.005


class Writes:
    """The writes of one process. All but `_Write` is for the event loop."""

    def __init__(self) -> None:
        self._open: set[object] = set()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Counts what the block does as one write."""
        token = object()
        self._open.add(token)
        try:
            yield
        finally:
            self._open.discard(token)

    async def run(
        self, threads: Threads, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `Threads.run`. Counts until the thread is done, and does nothing at all if it has not
        begun when nobody waits any more."""
        write = _Write()
        self._open.add(write)

        def noted_work() -> T:
            if not write.begin():
                raise OriginUnavailable("nobody waits for this write any more")
            try:
                return work(*args, **kwargs)
            finally:
                self._open.discard(write)  # one step of the interpreter, so safe from a thread

        try:
            return await threads.run(noted_work)
        finally:
            if write.give_up():
                self._open.discard(write)

    async def settled(self, seconds: float) -> bool:
        """Waits until all writes have ended that are on their way now; false if some have not."""
        deadline = monotonic() + seconds
        begun = set(self._open)
        while begun & self._open:
            if monotonic() >= deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY)
        return True


class _Write:
    """Begun by the thread or given up by who waited for it, whichever comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False

    def begin(self) -> bool:
        """Whether the thread may begin."""
        return self._take()

    def give_up(self) -> bool:
        """Whether it had not begun, and now never will."""
        return self._take()

    def _take(self) -> bool:
        with self._lock:
            first, self._taken = not self._taken, True
        return first

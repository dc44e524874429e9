"""File work in threads: a small pool with a time limit, and descriptors that survive neither.

A thread can't be cancelled. Who stops waiting for one leaves it behind with whatever it opens or
reads; a `Descriptor` is therefore closed by the last of the two that use it, the event loop or
the thread, and one that is opened for nobody is closed on the spot.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, Protocol, TypeVar

from aiofiles.base import wrap

from proxy.errors import OriginTimeout, OriginUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class Closable(Protocol):
    """What has to be closed when it is of no more use."""

    def close(self) -> None:
        """Closes it; takes no time."""
        ...


Held = TypeVar("Held", bound=Closable | None)

# Enough to keep a disk's queue filled; more only wait for the same disk.
THREADS = 8


class Threads:
    """A pool of its own, so that a disk that hangs doesn't hang name resolution too.

    `patience` is how long (in seconds) one piece of work may take, with its time in the queue.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="headgate-files")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` gives, from a thread; raises what it raises, or `OriginTimeout`.

        `work` translates the system's errors itself: a TimeoutError of its own would be taken
        for ours.
        When this is cancelled or too late, `work` still runs to its end if it had begun.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await wrap(work)(*args, executor=self._pool, **kwargs)
        except TimeoutError:
            raise OriginTimeout(f"file work took longer than {self._patience} s") from None
        except RuntimeError as error:
            if "after shutdown" not in str(error):
                raise
            raise OriginUnavailable("the directory origin is closed") from None

    async def take(self, work: Callable[P, Held], *args: P.args, **kwargs: P.kwargs) -> Held:
        """As `run`, for work that opens something, or finds nothing. If nobody waits for it any
        more when it is there, it is closed by the thread."""
        handing = _HandingOver()

        def work_and_hand_over() -> Held:
            made = work(*args, **kwargs)
            if made is not None:
                handing.offer(made)
            return made

        try:
            return await self.run(work_and_hand_over)
        except BaseException:
            handing.decline()
            raise

    def close(self) -> None:
        """Lets idle threads end. Work that has begun is not waited for; the rest is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _HandingOver:
    """From a thread to the event loop: what is declined is closed, whichever comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Closable | None = None
        self._declined = False

    def offer(self, made: Closable) -> None:
        with self._lock:
            self._made = made
            declined = self._declined
        if declined:
            made.close()

    def decline(self) -> None:
        with self._lock:
            self._declined = True
            made, self._made = self._made, None
        if made is not None:
            made.close()


class Descriptor:
    """A place for one file descriptor, closed exactly once, and never while a thread uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = -1
        self._users = 0
        self._closed = False

    @property
    def number(self) -> int:
        """For use on the event loop, which is also where `close` is called; -1 once closed."""
        return -1 if self._closed else self._number

    def adopt(self, number: int) -> None:
        """Takes over an open descriptor; closes it at once if nobody waits for it any more."""
        with self._lock:
            self._number = number
            self._close_if_unused()

    @contextmanager
    def in_use(self) -> Iterator[int]:
        """Keeps it open for a thread; gives -1, which no system call takes, if it is closed."""
        with self._lock:
            number = self.number
            self._users += 1
        try:
            yield number
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_unused()

    def close(self) -> None:
        """Closes it, now or when the last thread is done with it. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closed and not self._users and self._number >= 0:
            number, self._number = self._number, -1
            os.close(number)

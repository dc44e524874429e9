"""Whose frames are handled next, over all HTTP/2 connections of a process.

A turn of the event loop has so much time for all of them together, so that a hundred connections
that flood hold the loop no longer than one does. What is left over waits: first those that came
since, each party in its turn, then those that have been put off before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from proxy.server.fair_queue import FairQueue

# Seconds of one turn of the loop; one piece of work, which is not broken off, may come on top. Who
# connects anew has its answer after three or four turns.
_TURN = 0.0005
# Seconds that a handler takes, about, when it was started, or told that its client is gone.
HANDLER = 0.00025


class Worker(Protocol):
    """A connection.

    Attributes:
        party: whom it is counted for, if for anybody.
    """

    party: str | None

    def work(self) -> bool:
        """Does some of what there is to do; returns whether more is left."""


class Turns:
    """The turns of one event loop. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._left = 0.0
        self._waiting: set[Worker] = set()
        self._new: FairQueue[Worker] = FairQueue()
        self._put_off: FairQueue[Worker] = FairQueue()
        self._serving = False
        self._next: asyncio.Handle | None = None

    def take(self, worker: Worker) -> bool:
        """There is something to do: does it at once if this turn has time for it.

        Returns whether it must wait; then nothing more should be read for it until it works. What
        a worker makes another take up while it works waits, too.
        """
        if worker in self._waiting:
            return True
        if self._next is None and not self._serving:
            self._left = _TURN
            self._come_again()
        if self._left > 0 and not self._serving:
            self._serve(worker)
            return False
        self._waiting.add(worker)
        self._new.add(worker.party or "", worker)
        return True

    def charge(self, seconds: float) -> None:
        """What a worker has made others do in this turn."""
        self._left -= seconds

    def _come_again(self) -> None:
        self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """A turn: one that was put off, those that are new, and then the others."""
        self._next, self._left = None, _TURN
        try:
            if self._put_off:
                self._serve_next(self._put_off)
            for queue in (self._new, self._put_off):
                while queue and self._left > 0:
                    self._serve_next(queue)
        finally:
            if self._waiting and self._next is None:
                self._come_again()

    def _serve_next(self, queue: FairQueue[Worker]) -> None:
        worker = queue.next()
        self._waiting.remove(worker)
        self._serve(worker)

    def _serve(self, worker: Worker) -> None:
        begun, self._serving = self._clock(), True
        try:
            if worker.work() and worker not in self._waiting:
                self._waiting.add(worker)
                self._put_off.add(worker.party or "", worker)
        finally:
            self._serving = False
            self._left -= self._clock() - begun

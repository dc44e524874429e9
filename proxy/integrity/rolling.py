"""A checksum that keeps up with a stream: inline where it is fast, else in a thread beside it.

SHA and MD5 take 0.1 to 0.4 ms for each 256 KiB, too long for an event loop with a thousand
streams. While a thread works on one batch, the stream goes on with the next: at most two batches
of a stream are held for it, and no stream waits for another but for a free thread.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from proxy.integrity.checksums import Sum

# A hop to a thread and back costs about 70 µs, as much as SHA-256 of 128 KiB. Batches are joined,
# since each call of hashlib has to wait for the interpreter anew when it is done. Twice as large
# costs 5 % less CPU, half as large 17 % more, and a stalled client's stream holds up to one.
BATCH: Final = 256 * 1024
# Less than this is not worth the hop: 0.1 ms of MD5, the slowest.
INLINE_BELOW: Final = 64 * 1024
# Checksums need processors, not patience; beyond four the network is the limit.
_THREADS: Final = 4


def make_pool() -> ThreadPoolExecutor:
    """Threads for checksums. Whoever makes the pool shuts it down; idle, it has no thread."""
    return ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), "headgate-sums")


class Rolling:
    """The checksum of one stream. `pool` None computes inline.

    It may be dropped at any time: a batch that a thread has begun ends by itself within
    milliseconds.
    """

    __slots__ = ("_batch", "_pool", "_running", "_size", "_sum")

    def __init__(self, total: Sum, pool: Executor | None) -> None:
        self._sum = total
        self._pool = pool
        self._batch: list[bytes] = []
        self._size = 0
        self._running: asyncio.Future[None] | None = None

    def take(self, buffer: bytes) -> bool:
        """Takes the next bytes of the stream. True says that `work` must be awaited before more."""
        if self._pool is None:
            self._sum.update(buffer)
            return False
        self._batch.append(buffer)
        self._size += len(buffer)
        return self._size >= BATCH

    async def work(self) -> None:
        """Begins a batch in a thread; waits only for the batch before."""
        await self._end_batch()
        batch, self._batch, self._size = self._batch, [], 0
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(self._pool, _feed, self._sum, batch)

    async def digest(self) -> bytes:
        """The raw checksum of all that was given."""
        if self._size >= INLINE_BELOW:
            await self.work()
        await self._end_batch()
        _feed(self._sum, self._batch)
        self._batch, self._size = [], 0
        return self._sum.digest()

    async def _end_batch(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running


def _feed(total: Sum, batch: list[bytes]) -> None:
    if batch:
        total.update(batch[0] if len(batch) == 1 else b"".join(batch))

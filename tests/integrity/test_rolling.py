"""A checksum beside a stream: right in any split, off the loop, bounded in what it holds."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.integrity.checksums import Buffer, new_sum
from proxy.integrity.rolling import BATCH, INLINE_BELOW, Rolling, make_pool
from tests.integrity.objects import digest
from tests.origins.cancelling import cancel_everywhere

BODY = random.Random(1).randbytes(3 * BATCH + 1001)


async def put(rolling: Rolling, buffer: bytes) -> None:
    if rolling.take(buffer):
        await rolling.work()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with make_pool() as made:
        yield made


class Recording:
    """Takes note of who feeds it and how much."""

    def __init__(self) -> None:
        self.fed: list[tuple[str, int]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def update(self, buffer: Buffer, /) -> None:
        assert self.may_go_on.wait(30)
        self.fed.append((threading.current_thread().name.rpartition("_")[0], len(buffer)))

    def digest(self) -> bytes:
        return b"%d" % sum(length for _, length in self.fed)


@pytest.mark.parametrize("size", [1, 1000, 65_536, BATCH - 1, BATCH, BATCH + 1, len(BODY)])
async def test_any_buffer_size(pool: ThreadPoolExecutor, size: int) -> None:
    body = BODY[: 2000 * size]
    for where in (pool, None):
        rolling = Rolling(new_sum("sha1"), where)
        for start in range(0, len(body), size):
            await put(rolling, body[start : start + size])
        assert await rolling.digest() == digest("sha1", body)


async def test_little_is_done_inline_and_much_in_a_thread(pool: ThreadPoolExecutor) -> None:
    total = Recording()
    rolling = Rolling(total, pool)
    for length in (BATCH // 2, BATCH // 2, BATCH + 1, INLINE_BELOW - 1):
        await put(rolling, bytes(length))
    await rolling.digest()
    thread, here = "headgate-sums", ""
    assert total.fed == [(thread, BATCH), (thread, BATCH + 1), (here, INLINE_BELOW - 1)]
    await put(rolling, bytes(INLINE_BELOW))
    await rolling.digest()
    assert total.fed[-1] == (thread, INLINE_BELOW)


async def test_the_stream_goes_on_while_one_batch_is_in_work(pool: ThreadPoolExecutor) -> None:
    total = Recording()
    total.may_go_on.clear()
    rolling = Rolling(total, pool)
    await put(rolling, bytes(BATCH))
    await put(rolling, bytes(BATCH - 1))  # fills the next batch meanwhile
    waiting = asyncio.ensure_future(put(rolling, b"x"))
    await asyncio.sleep(0.01)
    assert not waiting.done()  # and no third one is begun
    total.may_go_on.set()
    await waiting
    assert await rolling.digest() == b"%d" % (2 * BATCH)


async def test_cancelled_at_every_await(pool: ThreadPoolExecutor) -> None:
    async def use() -> None:
        rolling = Rolling(new_sum("sha256"), pool)
        for start in range(0, len(BODY), BATCH):
            await put(rolling, BODY[start : start + BATCH])
        assert await rolling.digest() == digest("sha256", BODY)

    assert await cancel_everywhere(use) >= 3

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from proxy.errors import OriginTimeout, OriginUnavailable
from proxy.origins.threads import Descriptor, Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(60)
    yield made
    made.close()


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def some_file() -> int:
    return os.open("/dev/null", os.O_RDONLY)


async def test_work_gives_and_raises_and_runs_elsewhere(threads: Threads) -> None:
    assert await threads.run(divmod, 7, 2) == (3, 1)
    assert await threads.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)

    def fail() -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        await threads.run(fail)


async def test_work_that_hangs_is_a_timeout() -> None:
    threads, gate = Threads(0.05), threading.Event()
    try:
        with pytest.raises(OriginTimeout):
            await threads.run(gate.wait)
    finally:
        gate.set()
        threads.close()


async def test_closed(threads: Threads) -> None:
    threads.close()
    threads.close()
    with pytest.raises(OriginUnavailable):
        await threads.run(int)


async def test_cancelled_work_runs_to_its_end(threads: Threads) -> None:
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(60)
        ended.set()

    task = asyncio.create_task(threads.run(work))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    gate.set()
    assert await asyncio.to_thread(ended.wait, 60)


def test_a_descriptor_is_closed_once() -> None:
    descriptor, number = Descriptor(), some_file()
    assert descriptor.number == -1
    descriptor.adopt(number)
    assert descriptor.number == number
    descriptor.close()
    assert not is_open(number)
    assert descriptor.number == -1
    other = some_file()  # takes the same number
    descriptor.close()
    assert is_open(other)
    os.close(other)


def test_a_descriptor_for_nobody_is_closed_on_the_spot() -> None:
    descriptor, number = Descriptor(), some_file()
    descriptor.close()
    descriptor.adopt(number)
    assert not is_open(number)


def test_a_descriptor_in_use_stays_open_until_the_last_is_done() -> None:
    descriptor, number = Descriptor(), some_file()
    descriptor.adopt(number)
    with descriptor.in_use() as first:
        with descriptor.in_use():
            descriptor.close()
            assert first == number
            assert is_open(number)
            assert descriptor.number == -1
        assert is_open(number)
        with descriptor.in_use() as late:
            assert late == -1
    assert not is_open(number)


def test_a_descriptor_is_given_back_when_its_user_fails() -> None:
    descriptor, number = Descriptor(), some_file()
    descriptor.adopt(number)
    with pytest.raises(ZeroDivisionError), descriptor.in_use():
        assert 1 / 0
    assert is_open(number)
    descriptor.close()
    assert not is_open(number)

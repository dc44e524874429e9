"""The outbox makes the app wait for what remains; the inbox never holds up a disconnect."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.boxes import LOW_WATER, MOST_UNREAD, Inbox, Outbox


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 40)))
def test_what_is_taken_is_what_was_put(pieces: list[bytes], sizes: list[int]) -> None:
    async def run() -> None:
        box = Outbox()
        for piece in pieces:
            box.put(piece)
        taken = [box.take(size) for size in sizes]
        assert all(len(one) <= size for one, size in zip(taken, sizes, strict=True))
        rest = box.take(10_000)
        assert b"".join(taken) + rest == b"".join(pieces)
        assert len(box) == 0

    asyncio.run(run())


async def waits(task: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return not task.done()


async def test_room_depends_on_what_remains_not_on_what_was_taken() -> None:
    box = Outbox()
    box.put(bytes(LOW_WATER * 3))
    task = asyncio.create_task(box.room())
    assert await waits(task)
    for taken in (0, 1, LOW_WATER):
        box.take(taken)
        box.wake()
        assert await waits(task)
    box.take(LOW_WATER)
    box.wake()
    await task


async def test_it_is_sent_when_its_end_is_sent() -> None:
    box = Outbox()
    box.end()
    assert box.ready
    assert box.last
    task = asyncio.create_task(box.sent())
    assert await waits(task)
    box.finished = True
    box.wake()
    await task
    assert not box.ready


async def test_closing_lets_nobody_wait_and_keeps_nothing() -> None:
    box = Outbox()
    box.put(bytes(LOW_WATER))
    tasks = [asyncio.create_task(box.room()), asyncio.create_task(box.sent())]
    assert await waits(tasks[0])
    box.close()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ends] == [ConnectionResetError] * 2
    assert len(box) == 0
    with pytest.raises(ConnectionResetError):
        box.put(b"a")


async def test_a_body_is_received_and_its_window_reopened() -> None:
    credited: list[int] = []

    async def credit(size: int) -> None:
        credited.append(size)

    box = Inbox(credit)
    box.put(b"ab")
    box.put(b"c")
    assert await box.receive() == {"type": "http.request", "body": b"abc", "more_body": True}
    box.end()
    assert await box.receive() == {"type": "http.request", "body": b"", "more_body": False}
    assert credited == [3]
    later = asyncio.create_task(box.receive())
    await asyncio.sleep(0)
    box.close()
    assert await later == {"type": "http.disconnect"}


async def test_a_full_inbox_waits_until_it_is_read_or_closed() -> None:
    for let_go in (Inbox.receive, None):
        box = Inbox()
        box.put(bytes(MOST_UNREAD))
        task = asyncio.create_task(box.room())
        assert await waits(task)
        if let_go is not None:
            await let_go(box)
        else:
            assert box.close() == MOST_UNREAD
            assert box.close() == 0
        await task


async def test_what_comes_after_the_end_is_dropped() -> None:
    box = Inbox()
    box.close()
    box.put(b"late")
    assert box.close() == 0
    assert await box.receive() == {"type": "http.disconnect"}

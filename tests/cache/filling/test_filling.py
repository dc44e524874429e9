"""Each slice is fetched once, and whatever happens meanwhile, readers get right bytes or the fault
and nothing half stays."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from proxy.cache.disk import held as held_module
from proxy.cache.disk.claims import claim
from proxy.cache.disk.format import write_footer
from proxy.cache.disk.stored import SliceGone, StoredSlice, open_stored
from proxy.cache.filling.entry import Entry
from proxy.cache.memory.growing import Slice
from proxy.cache.memory.memory import Memory
from proxy.cache.rules.checking import BlockSums, sum_of
from proxy.errors import (
    ChecksumMismatch,
    Fault,
    ObjectChanged,
    OriginBroke,
    OriginFault,
    OriginUnavailable,
)
from proxy.origins.memory import StoredObject
from tests.cache.claiming import Writers, is_locked, size_of, writers
from tests.cache.directory import eventually
from tests.cache.fillers import BUFFER, KEY, Paced, Setting, begin, read, setting
from tests.cache.samples import bytes_of, descriptors, slice_file, table_of
from tests.origins.breaking import BreakingOrigin
from tests.origins.cancelling import cancel_everywhere

WIDTH = 10 * BUFFER
LENGTH = 3 * WIDTH + 5 * BUFFER + 1
BODY = bytes_of(LENGTH)
COUNT = 4


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    eventually(lambda: descriptors() == before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def origin() -> Paced:
    return Paced(BODY)


@pytest.fixture
async def made(root: Path, origin: Paced) -> AsyncIterator[Setting]:
    async with setting(root, BODY, WIDTH, origin) as one:
        yield one
    assert origin.now_open == 0
    eventually(lambda: left_half(root) == [])


@pytest.fixture(scope="module")
def others() -> Iterator[Writers]:
    with writers() as started:
        yield started


def left_half(root: Path) -> list[str]:
    """What is in `tmp/`, and slices that are not whole."""
    if not root.exists():
        return []
    found = os.listdir(root / "tmp") if (root / "tmp").exists() else []
    for path in root.glob("??/*.*.*"):
        opened = open_stored(str(path))  # raises DamagedSlice
        assert opened is not None
        os.close(opened[0])
    return found


def is_right_on_disk(made: Setting, index: int) -> bool:
    return made.path(index).read_bytes().startswith(made.right(index))


async def until(happened: object) -> None:
    """Waits on the event loop until a callable gives something true."""
    assert callable(happened)
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.002)


# --- once ---------------------------------------------------------------------------------------


async def test_one_fetch_for_many_readers(made: Setting, origin: Paced) -> None:
    async def one(pause: int) -> bytes:
        for _ in range(pause):
            await asyncio.sleep(0)
        found = await made.get(1)
        assert found is not None
        return await read(found, WIDTH, pause=pause % 7)

    got = await asyncio.gather(*map(one, range(60)))
    assert set(got) == {made.right(1)}
    await made.done()
    assert len(origin.opened) == 1
    assert origin.bytes == WIDTH
    assert is_right_on_disk(made, 1)
    assert made.memory.used == WIDTH
    assert made.filler.counts.started == 1
    first = origin.opened[0].first
    assert first is not None
    assert str(first) == f"{WIDTH}-{2 * WIDTH - 1}"
    assert origin.opened[0].pin == made.entry.representation


async def test_all_slices_and_the_last_is_shorter(made: Setting, origin: Paced) -> None:
    got = await asyncio.gather(*map(made.read, range(COUNT)))
    assert b"".join(got) == BODY
    await made.done()
    assert all(is_right_on_disk(made, index) for index in range(COUNT))
    assert (origin.bytes, made.memory.used) == (LENGTH, LENGTH)


async def test_what_is_on_disk_is_not_fetched_again(made: Setting, root: Path) -> None:
    await made.read(0)
    await made.done()
    never = Paced(BODY)
    async with setting(root, BODY, WIDTH, never) as later:
        found = await later.get(0)
        assert isinstance(found, StoredSlice)
        assert await read(found, WIDTH) == made.right(0)
        assert later.filler.known(later.entry, 0) is found
        assert not later.filler.is_filling(later.entry, 0)
    assert never.opened == []


async def test_without_a_directory_it_is_kept_in_memory(origin: Paced) -> None:
    async with setting(None, BODY, WIDTH, origin) as made:
        got = await asyncio.gather(*[made.read(index % COUNT) for index in range(3 * COUNT)])
        assert b"".join(got) == 3 * BODY
        await made.done()
        assert len(origin.opened) == COUNT
        assert isinstance(made.filler.known(made.entry, 0), Slice)


async def test_an_open_object_is_read_from_and_closed(made: Setting, origin: Paced) -> None:
    opened = await origin.open(KEY)
    found = await made.get(0, opened)
    assert found is not None
    assert made.filler.is_filling(made.entry, 0)
    another = await origin.open(KEY)
    assert await made.get(0, another) is found  # and is closed, as nobody needs it
    assert await read(found, WIDTH) == made.right(0)
    await made.done()
    assert (len(origin.opened), origin.now_open) == (2, 0)
    assert not made.filler.is_filling(made.entry, 0)


async def test_where_there_is_no_room_nothing_is_begun(made: Setting, origin: Paced) -> None:
    made.filler.memory = Memory(WIDTH - 1)
    assert await made.get(0, await origin.open(KEY)) is None
    assert origin.now_open == 0
    assert await made.get(3) is not None
    await made.done()


async def test_of_a_dropped_entry_nothing_is_begun(made: Setting, origin: Paced) -> None:
    made.entry.dropped = True
    assert await made.get(0, await origin.open(KEY)) is None
    assert origin.now_open == 0


async def test_two_over_one_directory_fetch_each_slice_once(
    made: Setting, origin: Paced, root: Path
) -> None:
    async with setting(root, BODY, WIDTH, Paced(BODY)) as second:
        both = [made.read(index) for index in range(COUNT)]
        both += [second.read(index) for index in reversed(range(COUNT))]
        got = await asyncio.gather(*both)
        assert b"".join(got[:COUNT]) == b"".join(reversed(got[COUNT:])) == BODY
        await made.done()
        await second.done()
        assert made.filler.counts.started + second.filler.counts.started == COUNT


def test_two_processes_fetch_each_slice_once(root: Path) -> None:
    width, count = 200_000, 4
    orders = [[0, 1, 2, 3], [0, 1, 2, 3], [3, 2, 1, 0]]
    started = begin(root, count * width - 7, width, 0.001, *orders)
    told = [json.loads(one.communicate(timeout=60)[0]) for one in started]
    assert all(one["right"] for one in told)
    assert sum(one["started"] for one in told) == count
    assert sum(one["followed"] for one in told) >= 1
    assert left_half(root) == []
    assert len(list(root.glob("??/*"))) == count


@pytest.mark.parametrize("after", [1, 60_000, 400_000])
async def test_a_process_that_is_killed_is_taken_over(root: Path, after: int) -> None:
    width = 600_000
    body, origin = bytes_of(width), Paced(bytes_of(width))
    async with setting(root, body, width, origin) as made:
        [other] = begin(root, width, width, 0.005, [0])
        try:
            # A piece is written when there are 512 KiB; before that there is the lock.
            await until(lambda: is_locked(made.temporary(0)))
            found = await made.slice(0)
            reading = asyncio.create_task(read(found, width))
            await until(lambda: found.received >= after or size_of(made.temporary(0)) >= 0)
        finally:
            other.kill()
            other.communicate()
        assert await reading == body
        await made.done()
        counts = made.filler.counts
        assert (counts.followed, counts.taken_over, counts.started) == (1, 1, 1)
        assert is_right_on_disk(made, 0)
        assert left_half(root) == []


async def test_a_late_takeover_writes_all_that_came(root: Path, others: Writers) -> None:
    """More than a disk may be behind: what has come is no sign that it is slow."""
    width = 10 * 1024 * 1024
    body, origin = bytes_of(width), Paced(bytes_of(width))
    origin.memory = type(origin.memory)({KEY: StoredObject(body)}, buffer_size=256 * 1024)
    async with setting(root, body, width, origin) as made:
        child = others.begin(made.temporary(0), width, piece=1024 * 1024, stop=9 * 1024 * 1024)
        await until(lambda: size_of(made.temporary(0)) == 9 * 1024 * 1024)
        found = await made.slice(0)
        await until(lambda: found.received == 9 * 1024 * 1024)
        child.kill()
        assert await read(found, width) == body
        await made.done()
        assert origin.bytes == width - 9 * 1024 * 1024
        assert is_right_on_disk(made, 0)
        assert made.disk is not None
        assert (made.disk.resting, made.disk.counts.failures) == ("", 0)


async def test_the_file_of_one_that_stalls_is_not_touched(
    made: Setting, origin: Paced, others: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_module, "SILENCE", 0.05)
    monkeypatch.setattr(held_module, "PIECE", 100)
    monkeypatch.setattr("proxy.cache.filling.fill._FOLLOWED", 2)
    child = others.begin(made.temporary(0), LENGTH, stop=3 * BUFFER)
    await until(lambda: size_of(made.temporary(0)) == 3 * BUFFER)
    assert await made.read(0) == made.right(0)
    await made.done()
    assert made.temporary(0).read_bytes() == BODY[: 3 * BUFFER]
    assert origin.bytes == WIDTH - 3 * BUFFER
    assert made.filler.counts.followed == 2
    child.kill()
    made.temporary(0).unlink()


@pytest.mark.parametrize("damaged", [False, True], ids=["right", "damaged"])
async def test_what_came_through_another_process_s_file_is_compared_before_its_end_is_given(
    made: Setting, damaged: bool
) -> None:
    """The end of a slice is given when its writer has said what all of it sums to."""
    held = claim(str(made.temporary(0)))
    right, sums = made.right(0), BlockSums()
    sums.update(right)
    found = await made.slice(0)
    assert found.followed
    held.write([right[:10], b"?" if damaged else right[10:11], right[11:]])
    await until(lambda: found.received == found.length)
    ending = asyncio.create_task(found.settled())
    await asyncio.sleep(0.01)
    assert not ending.done()
    held.write([write_footer(made.entry.label_of(0), sums.table())])
    if damaged:
        with pytest.raises(OriginFault, match="damaged"):
            await ending
    else:
        await ending
        assert found.table == sums.table()
    held.withdraw()
    held.close()


async def test_a_file_that_is_finished_between_two_looks_is_read(
    made: Setting, others: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer withdraws; what another one finished is copied from its file."""
    child = others.begin(made.temporary(0), LENGTH, stop=3 * BUFFER)
    await until(lambda: size_of(made.temporary(0)) == 3 * BUFFER)
    found = await made.slice(0)
    await until(lambda: found.received == 3 * BUFFER)
    content = made.right(0)
    label = made.entry.label_of(0)
    made.path(0).write_bytes(slice_file(content, label))
    child.kill()
    assert await read(found, WIDTH) == content
    await made.done()
    assert made.filler.counts.started == 0
    made.temporary(0).unlink()


# --- trouble ------------------------------------------------------------------------------------


async def gives(source: Slice, fault: type[Fault], content: bytes) -> None:
    """It gives these bytes, and then the fault."""
    got = b""
    reading = source.read(0, source.length)
    try:
        async for buffer in reading:
            got += buffer
    except fault:
        assert got == content
        return
    raise AssertionError("there was no fault")


async def test_a_fill_that_fails_gives_what_there_is_and_the_fault(root: Path) -> None:
    fault = OriginBroke("it ended early")
    origin = BreakingOrigin(Paced(BODY), breaks=[(4 * BUFFER, fault)])
    async with setting(root, BODY, WIDTH, origin) as made:
        found = await made.slice(1)
        readers = [gives(found, OriginBroke, made.right(1)[: 4 * BUFFER]) for _ in range(5)]
        await asyncio.gather(*readers)
        await made.done()
        assert (made.memory.used, made.memory.count) == (0, 0)
        assert left_half(root) == []
        assert not made.path(1).exists()
        assert made.filler.counts.failed == 1
        assert await made.read(1) == made.right(1)
        await made.done()
        assert is_right_on_disk(made, 1)
    assert origin.open_reads == 0


async def test_an_origin_that_refuses_is_told_to_all(root: Path) -> None:
    origin = BreakingOrigin(Paced(BODY), refusals=[OriginUnavailable("busy")])
    async with setting(root, BODY, WIDTH, origin) as made:
        found = await made.slice(0)
        await asyncio.gather(*[gives(found, OriginUnavailable, b"") for _ in range(3)])
        await made.done()
        assert (made.memory.used, left_half(root)) == (0, [])
        assert await made.read(0) == made.right(0)


async def test_a_slip_of_ours_is_a_fault_for_readers_and_nothing_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = Paced(BODY)

    async def slip(*_: object) -> None:
        raise ZeroDivisionError("a slip")

    async with setting(root, BODY, WIDTH, origin) as made:
        with monkeypatch.context() as patch:
            patch.setattr(origin, "open", slip)
            found = await made.slice(0)
            [fill] = made.filler._filling.values()
            await gives(found, OriginBroke, b"")
            with pytest.raises(ZeroDivisionError):
                await fill.task
        await made.done()
        assert (made.memory.used, left_half(root)) == (0, [])


@pytest.mark.parametrize("how", ["put", "remove"])
@pytest.mark.parametrize("opens", [True, False])
async def test_an_object_that_changes_meanwhile_is_told(
    made: Setting, origin: Paced, how: str, opens: bool
) -> None:
    opened = await origin.open(KEY) if opens else None
    if how == "put":
        origin.memory.put(KEY, StoredObject(bytes_of(LENGTH, 1)))
    else:
        origin.memory.remove(KEY)
    found = await made.get(0, opened)
    assert isinstance(found, Slice)
    await asyncio.gather(*[gives(found, ObjectChanged, b"") for _ in range(3)])
    await made.done()
    assert made.changed == [made.entry]
    assert (made.memory.used, made.memory.count) == (0, 0)
    assert not made.path(0).exists()


async def test_a_read_under_way_goes_on_with_the_old_bytes(made: Setting, origin: Paced) -> None:
    origin.stops_at = 3
    found = await made.slice(0)
    await until(lambda: found.received == 3 * BUFFER)
    origin.memory.put(KEY, StoredObject(bytes_of(LENGTH, 1)))
    origin.gate.set()
    assert await read(found, WIDTH) == made.right(0)
    await made.done()
    assert made.changed == []


@pytest.mark.parametrize("what", ["root", "tmp", "shard", "read-only name"])
async def test_a_directory_that_goes_meanwhile_costs_no_reader_a_byte(
    made: Setting, origin: Paced, root: Path, what: str
) -> None:
    origin.stops_at = 3
    found = await made.slice(0)
    await until(lambda: found.received == 3 * BUFFER)
    if what == "root":
        shutil.rmtree(root)
    elif what == "tmp":
        shutil.rmtree(root / "tmp")
    elif what == "shard":
        shutil.rmtree(made.path(0).parent)
    else:  # a directory where the slice should be put
        made.path(0).mkdir()
        (made.path(0) / "file").touch()
    origin.gate.set()
    assert await read(found, WIDTH) == made.right(0)
    await made.done()
    assert made.disk is not None
    assert made.disk.resting == "failing"
    assert made.memory.used == WIDTH
    assert await made.read(1) == made.right(1)
    await made.done()
    assert made.filler.counts.failed == 0
    if what == "read-only name":
        shutil.rmtree(made.path(0))


# --- slices that are checked --------------------------------------------------------------------


def seal(made: Setting, body: bytes = BODY) -> None:
    """As after all of the object was read once."""
    cut = [body[at : at + WIDTH] for at in range(0, len(body), WIDTH)]
    sums = tuple(sum_of(table_of(one)) for one in cut)
    made.entry.head = replace(made.entry.head, seal=sums, sealed_by="sha256")


async def test_sealed_slices_are_taken_as_they_were(made: Setting, root: Path) -> None:
    seal(made)
    assert b"".join([await made.read(index) for index in range(COUNT)]) == BODY
    await made.done()
    async with setting(root, BODY, WIDTH, Paced(BODY)) as later:
        seal(later)
        found = await later.get(0)
        assert isinstance(found, StoredSlice)


async def test_another_slice_on_disk_is_rejected_and_fetched(made: Setting, root: Path) -> None:
    wrong = bytes_of(LENGTH, 5)
    await made.read(0)
    await made.done()
    # Whole, of this version by its label, and not the bytes.
    made.path(0).write_bytes(slice_file(wrong[:WIDTH], made.entry.label_of(0)))
    origin = Paced(BODY)
    async with setting(root, BODY, WIDTH, origin) as later:
        assert later.disk is not None
        seal(later)
        assert await later.read(0) == made.right(0)
        await later.done()
        assert len(origin.opened) == 1
        assert later.disk.counts.damaged == 1


async def test_another_slice_of_the_origin_is_a_fault_and_is_not_kept(
    made: Setting, root: Path
) -> None:
    seal(made, bytes_of(LENGTH, 5))
    found = await made.slice(0)
    with pytest.raises(ChecksumMismatch):
        await found.settled()
    await made.done()
    assert (made.memory.used, made.memory.count) == (0, 0)
    assert not made.path(0).exists()
    assert left_half(root) == []


async def test_a_damaged_or_swapped_file_is_fetched_again(made: Setting, root: Path) -> None:
    for index in range(3):
        await made.read(index)
    await made.done()
    os.replace(made.path(1), made.path(0))
    os.truncate(made.path(2), 5000)
    origin = Paced(BODY)
    async with setting(root, BODY, WIDTH, origin) as later:
        assert later.disk is not None
        for index in range(3):
            assert await later.read(index) == made.right(index)
        await later.done()
        assert len(origin.opened) == 3
        assert later.disk.counts.damaged == 2
        assert all(is_right_on_disk(later, index) for index in range(3))


# --- who leaves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "interest", "was_read", "is_left"),
    [
        (0, 1, False, True),
        (4, 1, False, True),
        (5, 1, False, False),  # half of it has come
        (4, 2, False, False),
        (4, 1, True, False),
    ],
)
async def test_what_nobody_wants_and_has_hardly_begun_is_given_up(
    made: Setting, origin: Paced, received: int, interest: int, was_read: bool, is_left: bool
) -> None:
    origin.stops_at = received
    found = await made.slice(0)
    found.interest, found.was_read = interest, was_read
    await until(lambda: found.received == received * BUFFER and origin.now_open)
    made.filler.let_go(made.entry.slice_name(0), found)
    await asyncio.sleep(0)
    origin.gate.set()
    if is_left:
        await gives(found, OriginBroke, made.right(0)[: received * BUFFER])
        await made.done()
        assert (made.memory.used, made.path(0).exists()) == (0, False)
    else:
        assert await read(found, WIDTH) == made.right(0)
        await made.done()
        assert is_right_on_disk(made, 0)
    assert made.filler.counts.left == is_left


async def test_letting_go_of_what_is_whole_or_gone_does_nothing(made: Setting) -> None:
    found = await made.slice(0)
    await made.done()
    made.filler.let_go(made.entry.slice_name(0), found)
    assert made.memory.count == 1
    made.memory.discard(made.entry.slice_name(0))
    made.filler.let_go(made.entry.slice_name(0), found)


async def test_letting_go_is_of_a_slice_and_not_of_its_name(made: Setting, origin: Paced) -> None:
    """Who read one that was dropped has nothing to say of the one that took its place."""
    name = made.entry.slice_name(0)
    before = await made.slice(0)
    await made.done()
    made.memory.discard(name)
    made.path(0).unlink()
    made.filler.disk.drop(name) if made.filler.disk is not None else None
    origin.stops_at = 1
    again = await made.slice(0)
    assert again is not before
    again.interest = 1
    await until(lambda: again.received == BUFFER)
    made.filler.let_go(name, before)
    await asyncio.sleep(0)
    assert (again.interest, again.state) == (1, "growing")
    origin.gate.set()
    assert await read(again, WIDTH) == made.right(0)


async def test_one_that_is_dropped_goes_on_for_its_readers_and_is_not_kept(
    made: Setting, origin: Paced
) -> None:
    origin.stops_at = 3
    found = await made.slice(0)
    reading = asyncio.create_task(read(found, WIDTH))
    await until(lambda: found.received == 3 * BUFFER)
    made.entry.dropped = True
    made.memory.discard(made.entry.slice_name(0))
    origin.stops_at = 8
    origin.gate.set()
    origin.gate = asyncio.Event()
    await until(lambda: found.received == 8 * BUFFER)
    assert not reading.done()
    assert await read(found, 8 * BUFFER) == made.right(0)[: 8 * BUFFER]
    origin.gate.set()
    await made.done()
    assert (made.memory.used, made.path(0).exists()) == (0, False)
    with pytest.raises(SliceGone):  # it looks for the rest elsewhere
        await reading


async def test_one_that_is_dropped_takes_nothing_from_its_successor(
    made: Setting, origin: Paced
) -> None:
    """After a purge the same version may be fetched again, before the old filling has ended."""
    origin.stops_at = 3
    old = await made.slice(0)
    await until(lambda: old.received == 3 * BUFFER)
    made.entry.dropped = True
    made.memory.discard(made.entry.slice_name(0))
    made.entry = Entry(made.entry.name, made.entry.head)
    new = await made.slice(0)
    assert new is not old
    origin.gate.set()
    assert await read(new, WIDTH) == made.right(0)
    await made.done()
    assert made.filler.known(made.entry, 0) is new
    assert made.memory.used == WIDTH
    assert is_right_on_disk(made, 0)


async def test_readers_can_be_cancelled_anywhere(root: Path) -> None:
    made: list[Setting] = []

    async def use() -> None:
        assert await made[0].read(len(made[0].changed) % COUNT) == BODY[:WIDTH]

    async with setting(root, BODY, WIDTH) as one:
        made.append(one)
        # The filling goes on for others, so that each time is its own.
        for at in range(30):
            one.memory.discard(one.entry.slice_name(0))
            if one.path(0).exists():
                one.path(0).unlink()
            assert one.disk is not None
            one.disk.drop(one.entry.slice_name(0))
            task = asyncio.create_task(use())
            for _ in range(at):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await one.done()
            assert await one.read(0) == BODY[:WIDTH]
            await one.done()
        assert await cancel_everywhere(use) <= 1
    assert left_half(root) == []


@pytest.mark.parametrize("opens", [True, False])
async def test_it_can_be_closed_at_any_time(root: Path, opens: bool) -> None:
    for steps in range(25):
        origin = Paced(BODY)
        async with setting(root / str(steps), BODY, WIDTH, origin) as made:
            opened = await origin.open(KEY) if opens else None
            getting = [asyncio.create_task(made.get(0, opened))]
            getting += [asyncio.create_task(made.get(index)) for index in (1, 0)]
            for _ in range(steps):
                await asyncio.sleep(0)
            await made.filler.aclose()
            ends = await asyncio.gather(*getting, return_exceptions=True)
            faults = [one for one in ends if isinstance(one, BaseException)]
            assert all(isinstance(one, OriginUnavailable) for one in faults), faults
            with pytest.raises(OriginUnavailable):
                await made.get(3)
            assert not made.filler._looking
            assert not made.filler._filling
            whole = [one for name in made.memory.names() if (one := made.memory.peek(name))]
            assert made.memory.used == sum(one.length for one in whole)
        assert origin.now_open == 0
        # A look that was cancelled may leave an empty file, which the next one takes over, and one
        # that was just being finished is.
        tmp = root / str(steps) / "tmp"
        left = [tmp / name for name in left_half(tmp.parent)]
        eventually(partial(none_is_locked, left))


def none_is_locked(paths: list[Path]) -> bool:
    return not any(map(is_locked, paths))


async def test_closing_gives_what_is_whole_a_moment_to_get_to_disk(made: Setting) -> None:
    found = await made.slice(0)
    await found.settled()
    await made.filler.aclose()
    assert is_right_on_disk(made, 0)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8])
async def test_a_filling_that_is_cancelled_twice_holds_no_lock(
    made: Setting, origin: Paced, steps: int
) -> None:
    origin.stops_at = 3
    found = await made.slice(0)
    await until(lambda: found.received == 3 * BUFFER)
    [fill] = made.filler._filling.values()
    fill.task.cancel()
    for _ in range(steps):
        await asyncio.sleep(0)
    fill.task.cancel()
    await asyncio.wait([fill.task])
    await made.done()
    origin.gate.set()
    assert await made.read(0) == made.right(0)
    await made.done()
    assert is_right_on_disk(made, 0)

"""Slices in files: right bytes or none, hot and cold, and whatever was done to the file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk.claims import adopted
from proxy.cache.disk.stored import (
    AT_ONCE,
    IF_IN_MEMORY,
    READ,
    DamagedSlice,
    SliceGone,
    StoredSlice,
    open_stored,
)
from proxy.cache.rules.checking import BLOCK
from proxy.cache.rules.pace import Pace
from proxy.cache.rules.standing import Standing
from proxy.errors import OriginFault
from proxy.origins.threads import Threads
from tests.cache.directory import eventually
from tests.cache.samples import bytes_of, descriptors, hanging, label_of, slice_file, table_of
from tests.origins.cancelling import cancel_everywhere

LENGTH = 5 * BLOCK + 77
BODY = bytes_of(LENGTH)
FILE = slice_file(BODY)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    eventually(lambda: descriptors() == before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "slice"
    made.write_bytes(FILE)
    return made


class Opened:
    """An open slice, and what it told of itself."""

    def __init__(self, path: Path, threads: Threads, at_once: int | None) -> None:
        found = open_stored(str(path))
        assert found is not None
        self.number, label, table = found
        self.damaged: list[str] = []
        self.failing: list[OriginFault] = []
        self.slice = StoredSlice(
            adopted(self.number),
            str(path),
            label,
            table,
            threads,
            self.damaged.append,
            self.failing.append,
            at_once=at_once,
        )

    def make_cold(self) -> None:
        """Has the kernel forget the file's pages, where it can."""
        os.fsync(self.number)
        os.posix_fadvise(self.number, 0, 0, os.POSIX_FADV_DONTNEED)

    @property
    def is_closed(self) -> bool:
        return self.slice._descriptor.number == -1


@asynccontextmanager
async def opened(
    path: Path, patience: float = 60.0, at_once: int | None = IF_IN_MEMORY
) -> AsyncIterator[Opened]:
    threads = Threads(patience)
    made = Opened(path, threads, at_once)
    try:
        yield made
    finally:
        made.slice.close()
        threads.close()
    assert made.slice._readers == 0


async def read(slice_: StoredSlice, start: int, stop: int) -> bytes:
    async with aclosing(slice_.read(start, stop)) as buffers:
        return b"".join([buffer async for buffer in buffers])


async def read_what_there_is(slice_: StoredSlice, start: int, stop: int) -> bytes:
    """The bytes up to where it raises SliceGone."""
    got = b""
    try:
        async with aclosing(slice_.read(start, stop)) as buffers:
            async for buffer in buffers:
                got += buffer
    except SliceGone:
        return got
    raise AssertionError("it has all bytes")


# --- reading ------------------------------------------------------------------------------------

SPANS = [
    (0, LENGTH),
    (0, 0),
    (0, 1),
    (LENGTH - 1, LENGTH),
    (BLOCK - 1, BLOCK + 1),
    (BLOCK, 2 * BLOCK),
    (READ - 1, READ + 1),
    (READ, LENGTH),
    (5 * BLOCK, LENGTH),
    (5 * BLOCK - 1, LENGTH),
    (100, LENGTH - 100),
]


@pytest.mark.parametrize(("start", "stop"), SPANS)
@pytest.mark.parametrize("how", ["hot", "cold", "by threads", "at once"])
async def test_spans(path: Path, start: int, stop: int, how: str) -> None:
    # By threads on systems that can't tell what is in memory, at once where all is.
    at_once = {"by threads": None, "at once": AT_ONCE}.get(how, IF_IN_MEMORY)
    async with opened(path, at_once=at_once) as one:
        if how == "cold":
            one.make_cold()
        assert await read(one.slice, start, stop) == BODY[start:stop]
        assert (one.damaged, one.failing) == ([], [])
        assert one.slice.length == LENGTH


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([1, BLOCK - 1, BLOCK, READ, READ + 1, LENGTH]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.booleans(),
)
def test_any_span_of_a_slice_of_any_length(
    tmp_path_factory: pytest.TempPathFactory, length: int, ends: tuple[float, float], cold: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "slice"
    path.write_bytes(slice_file(bytes_of(length)))
    start, stop = sorted(int(end * length) for end in ends)

    async def run() -> None:
        async with opened(path) as one:
            if cold:
                one.make_cold()
            assert await read(one.slice, start, stop) == bytes_of(length)[start:stop]

    asyncio.run(run())


async def test_readers_do_not_get_each_others_bytes(path: Path, tmp_path: Path) -> None:
    other_body = bytes_of(LENGTH, 1)
    (tmp_path / "other").write_bytes(slice_file(other_body))
    async with opened(path) as one, opened(tmp_path / "other") as other:

        async def check(slice_: StoredSlice, body: bytes, pause: int) -> None:
            async with aclosing(slice_.read(0, LENGTH)) as buffers:
                at = 0
                async for buffer in buffers:
                    for _ in range(pause):
                        await asyncio.sleep(0)
                    assert buffer == body[at : at + len(buffer)]
                    at += len(buffer)

        one.make_cold()
        reads = [check(one.slice, BODY, pause) for pause in range(4)]
        await asyncio.gather(*reads, *[check(other.slice, other_body, p) for p in range(4)])


async def test_no_more_than_two_blocks_are_given_at_once(path: Path) -> None:
    async with opened(path) as one:
        sizes = [len(buffer) async for buffer in one.slice.read(10, LENGTH)]
    assert sizes == [READ - 10, READ, LENGTH - 2 * READ]


async def test_a_reader_that_has_shown_no_pace_is_given_one_block_at_once(path: Path) -> None:
    async with opened(path) as one:
        read = one.slice.read(10, LENGTH, pace=Pace())
        sizes = [len(buffer) async for buffer in read]
    assert sizes[0] == BLOCK - 10
    assert set(sizes[1:-1]) == {BLOCK}


async def test_the_pace_is_told_what_was_taken_and_how_soon(tmp_path: Path) -> None:
    path, pace, sizes = tmp_path / "large", Pace(), list[int]()
    path.write_bytes(slice_file(bytes_of(40 * BLOCK)))
    async with opened(path) as one, aclosing(one.slice.read(0, 40 * BLOCK, pace=pace)) as buffers:
        async for buffer in buffers:
            sizes.append(len(buffer))
            if sum(sizes) == 24 * BLOCK:
                await asyncio.sleep(0.06)
    assert sizes[:16] == [BLOCK] * 16
    assert 2 * BLOCK in sizes[16:20]
    assert sizes[-12:] == [BLOCK] * 12


async def test_others_have_a_turn_while_much_is_read(tmp_path: Path) -> None:
    path, body = tmp_path / "large", bytes_of(40 * BLOCK)
    path.write_bytes(slice_file(body))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with opened(path) as one:
        counting = asyncio.create_task(count())
        assert await read(one.slice, 0, len(body)) == body
        counting.cancel()
    assert turns >= 2


# --- damage -------------------------------------------------------------------------------------


def flip(at: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x10]))

    return damage


def zero(start: int, stop: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(bytes(stop - start))

    return damage


def cut(length: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, length)


def swap_blocks(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * BLOCK)
        file.write(BODY[3 * BLOCK : 4 * BLOCK] + BODY[2 * BLOCK : 3 * BLOCK])


def another_body(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes_of(LENGTH, 9))


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(
    ("damage", "first"),
    [
        *[(flip(at), at // BLOCK) for at in (0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 5, LENGTH - 1)],
        (zero(BLOCK, 2 * BLOCK), 1),
        (zero(LENGTH - 10, LENGTH), 5),
        (cut(LENGTH - 1), 5),
        (cut(5 * BLOCK), 5),
        (cut(3 * BLOCK + 1), 3),
        (cut(1), 0),
        (cut(0), 0),
        (swap_blocks, 2),
        (another_body, 0),
    ],
)
async def test_damage_is_told_once_and_what_came_before_was_right(
    path: Path, damage: Callable[[Path], None], first: int, cold: bool
) -> None:
    async with opened(path) as one:
        damage(path)
        if cold:
            one.make_cold()
        readers = [read_what_there_is(one.slice, 5, LENGTH) for _ in range(3)]
        for got in await asyncio.gather(*readers):
            assert BODY[5:].startswith(got)
            assert len(got) <= max(0, first * BLOCK - 5)
        assert one.damaged == [str(path)]
        assert one.slice.is_damaged
        assert one.failing == []
        # Other blocks are still right.
        whole = first - first % 2
        assert await read(one.slice, 0, whole * BLOCK) == BODY[: whole * BLOCK]
        assert len(one.damaged) == 1


async def test_damage_after_a_first_read_shows_in_the_second(path: Path) -> None:
    async with opened(path) as one:
        assert await read(one.slice, 0, LENGTH) == BODY
        flip(LENGTH - 5)(path)
        assert await read_what_there_is(one.slice, 5 * BLOCK, LENGTH) == b""
        assert one.damaged == [str(path)]


@pytest.mark.parametrize("act", ["unlink", "replace"])
async def test_what_is_open_is_read_whatever_becomes_of_the_name(path: Path, act: str) -> None:
    async with opened(path) as one:
        if act == "replace":
            (path.parent / "new").write_bytes(slice_file(bytes_of(10)))
            os.replace(path.parent / "new", path)
        else:
            os.unlink(path)
        one.make_cold()
        assert await read(one.slice, 0, LENGTH) == BODY


# --- a disk that does not answer ----------------------------------------------------------------


async def test_what_checking_takes_is_noted(path: Path) -> None:
    standing = Standing()
    async with opened(path) as one:
        reading = one.slice.read(0, LENGTH, standing)
        async with aclosing(reading):
            await anext(reading)
            first = standing.verified
            assert first > 0
            async for _ in reading:
                pass
        assert standing.verified > first
        assert (standing.spent, standing.waited) == (0, 0)


async def test_what_is_in_memory_is_read_without_a_thread(path: Path) -> None:
    async with opened(path, at_once=AT_ONCE) as one:
        one.make_cold()
        with hanging(one.slice._threads):
            assert await read(one.slice, 0, LENGTH) == BODY


async def test_a_disk_that_hangs_is_told_and_is_no_damage(path: Path) -> None:
    async with opened(path, patience=0.05, at_once=None) as one:
        with hanging(one.slice._threads):
            assert await read_what_there_is(one.slice, 0, LENGTH) == b""
        assert len(one.failing) == 1
        assert (one.damaged, one.slice.is_damaged) == ([], False)
        one.slice._threads._patience = 60
        assert await read(one.slice, 0, LENGTH) == BODY


# --- closing ------------------------------------------------------------------------------------


async def test_readers_go_on_after_it_is_closed(path: Path) -> None:
    async with opened(path) as one:
        first, second = one.slice.read(0, LENGTH), one.slice.read(0, LENGTH)
        got = [await anext(first), await anext(second)]
        one.slice.close()
        one.slice.close()
        one.make_cold()
        assert not one.is_closed
        got[0] += b"".join([buffer async for buffer in first])
        assert await read(one.slice, 0, 10) == BODY[:10]  # while it is open for another
        assert not one.is_closed
        got[1] += b"".join([buffer async for buffer in second])
        assert got == [BODY, BODY]
        assert one.is_closed


async def test_who_comes_after_it_was_closed_is_sent_on_and_nothing_is_damaged(path: Path) -> None:
    async with opened(path) as one:
        begun = one.slice.read(0, LENGTH)  # before, but not a byte was asked for
        one.slice.close()
        assert one.is_closed
        for reading in (begun, one.slice.read(0, LENGTH)):
            with pytest.raises(SliceGone):
                await anext(reading)
        assert (one.damaged, one.slice.is_damaged, one.failing) == ([], False, [])


async def test_a_reader_that_leaves_closes_what_waits_to_be_closed(path: Path) -> None:
    async with opened(path) as one:
        reading = one.slice.read(0, LENGTH)
        await anext(reading)
        one.slice.close()
        await reading.aclose()
        assert one.is_closed


@pytest.mark.parametrize("at_once", [IF_IN_MEMORY, None])
async def test_a_reader_can_be_cancelled_anywhere(path: Path, at_once: int | None) -> None:
    every: list[Opened] = []

    async def use() -> None:
        async with opened(path, at_once=at_once) as one:
            every.append(one)
            one.make_cold()
            assert await read(one.slice, 0, LENGTH) == BODY

    assert await cancel_everywhere(use) >= (0 if at_once else 3)
    for one in every:
        assert (one.damaged, one.failing) == ([], [])
    eventually(lambda: not any(one.slice._descriptor._users for one in every))
    assert all(one.is_closed for one in every)


# --- opening ------------------------------------------------------------------------------------


def test_opening_reads_the_label_and_the_table(path: Path) -> None:
    found = open_stored(str(path))
    assert found is not None
    number, label, table = found
    assert (label, table) == (label_of(BODY), table_of(BODY))
    os.close(number)
    assert open_stored(str(path) + ".none") is None


SMALL = slice_file(b"0123456789")


def test_a_file_that_is_not_whole_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    for content in (
        *(SMALL[:length] for length in range(len(SMALL))),
        *(SMALL[length:] for length in range(1, len(SMALL))),
        SMALL + b"x",
        SMALL + SMALL,
        SMALL[:10] + bytes(len(SMALL) - 10),
        bytes(len(SMALL)),
    ):
        path.write_bytes(content)
        with pytest.raises(DamagedSlice) as raised:
            open_stored(str(path))
        assert str(raised.value) == str(path)


def test_each_flipped_byte_of_a_footer_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    for at in range(10, len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DamagedSlice):
            open_stored(str(path))


def test_what_is_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "directory")
    for name in ("directory", "link", "x" * 300):
        with pytest.raises(OSError, match=name):
            open_stored(str(tmp_path / name))

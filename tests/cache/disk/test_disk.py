"""A directory that is full, fails or hangs is left alone, and nobody waits for it or gets its
faults."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from proxy.cache.disk.disk import MOST_OPEN, MOST_WRITTEN, Disk
from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Label
from proxy.cache.disk.held import PIECE, Held
from proxy.cache.disk.hits import Published
from proxy.cache.disk.stored import SliceGone, StoredSlice
from proxy.cache.disk.watching import FileWatcher
from proxy.cache.rules.naming import HEAD, object_name, slice_name
from proxy.errors import OriginTimeout, StartError
from proxy.origins.threads import Threads
from tests.cache.directory import eventually
from tests.cache.samples import (
    a_head,
    bytes_of,
    descriptors,
    hanging,
    label_of,
    put_slice,
    started,
    table_of,
)
from tests.origins.cancelling import cancel_everywhere

OBJECT = object_name("store", "key")
NAME = slice_name(OBJECT, "cd" * 8, 0)
BODY = bytes_of(200_000)
LABEL, TABLE = label_of(BODY), table_of(BODY)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    eventually(lambda: descriptors() == before)


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    async with started(tmp_path / "cache") as made:
        yield made


async def read(stored: StoredSlice) -> bytes:
    async with aclosing(stored.read(0, stored.length)) as buffers:
        return b"".join([buffer async for buffer in buffers])


async def fill(disk: Disk, name: str = NAME, body: bytes = BODY) -> bool:
    """Whether a slice was written."""
    held = await disk.look(name, label_of(body))
    if not isinstance(held, Held):
        assert held is None
        return False
    for at in range(0, len(body), 50_000):
        held.feed(body[at : at + 50_000])
        await asyncio.sleep(0)
    return await disk.finish(held, name, label_of(body), table_of(body))


def is_in_tmp(disk: Disk) -> list[str]:
    return os.listdir(os.path.join(disk.files.root, "tmp"))


# --- while all is well --------------------------------------------------------------------------


async def test_a_slice_is_filled_and_found(disk: Disk) -> None:
    assert await fill(disk)
    counts = disk.counts
    assert (counts.written, counts.written_bytes) == (1, len(BODY))
    assert disk.opened(NAME) is None
    stored = await disk.look(NAME, LABEL)
    assert isinstance(stored, StoredSlice)
    assert await read(stored) == BODY
    assert disk.opened(NAME) is stored
    assert disk.is_open(NAME)
    assert disk.open_names() == [NAME]
    assert (counts.damaged, counts.failures, disk.resting) == (0, 0, "")
    assert is_in_tmp(disk) == []
    assert await disk.is_stored([NAME, NAME + "1"]) == [True, False]


async def test_one_fills_and_another_follows(disk: Disk) -> None:
    first = await disk.look(NAME, LABEL)
    second = await disk.look(NAME, LABEL)
    assert isinstance(first, Held)
    assert isinstance(second, Held)
    assert (first.mine, second.mine) == (True, False)
    await first.write([BODY])
    assert await disk.finish(first, NAME, LABEL, TABLE)
    async with aclosing(second.growth(0, len(BODY))) as pieces:
        assert b"".join([piece async for piece in pieces]) == BODY
    second.close()


async def test_heads_are_kept_and_asked_for_once(disk: Disk) -> None:
    assert await disk.read_head(OBJECT) is None
    opening = await disk.open_or_wait(OBJECT)
    other = await disk.open_or_wait(OBJECT)
    assert opening is not None
    assert other is not None
    assert (opening[0], opening[1].mine, other[1].mine) == (None, True, False)
    await disk.write_head(OBJECT, a_head())
    await opening[1].abandon()
    await other[1].ended(60)
    await other[1].abandon()
    assert await disk.read_head(OBJECT) == a_head()
    assert is_in_tmp(disk) == []


async def test_uses_are_counted_when_a_slice_is_given(disk: Disk) -> None:
    assert await fill(disk)
    assert disk.hits.take(NAME) == 0
    await disk.look(NAME, LABEL)
    assert disk.hits.take(NAME) == 1
    disk.is_open(NAME)
    await disk.is_stored([NAME])
    assert disk.hits.take(NAME) == 0
    disk.opened(NAME)
    assert disk.hits.take(NAME) == 1


async def test_open_slices_are_bounded_and_readers_go_on(disk: Disk) -> None:
    names = [slice_name(object_name("store", f"{number}"), "cd" * 8, 0) for number in range(300)]
    for name in names:
        put_slice(disk.files, name, BODY[:100])
    before = descriptors()
    first = await disk.look(names[0], label_of(BODY[:100]))
    assert isinstance(first, StoredSlice)
    reading = first.read(0, 100)
    second = await disk.look(names[1], label_of(BODY[:100]))
    for name in names[2:]:
        assert isinstance(await disk.look(name, label_of(BODY[:100])), StoredSlice)
    assert len(disk.open_names()) == MOST_OPEN
    assert disk.open_names() == names[-MOST_OPEN:]
    assert descriptors() == before + MOST_OPEN
    assert isinstance(second, StoredSlice)
    for closed in (reading, second.read(0, 100)):
        with pytest.raises(SliceGone):
            await anext(closed)
    assert disk.counts.damaged == 0
    used = await disk.look(names[-MOST_OPEN], label_of(BODY[:100]))
    assert isinstance(used, StoredSlice)
    reading = used.read(0, 100)
    for name in names[: MOST_OPEN - 1]:
        await disk.look(name, label_of(BODY[:100]))
    assert disk.is_open(names[-MOST_OPEN])
    disk.drop(names[-MOST_OPEN])
    disk.drop(names[-MOST_OPEN])
    await reading.aclose()


# --- files that are not what they should be -----------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)


async def test_a_damaged_block_is_dropped_for_all(disk: Disk) -> None:
    path = put_slice(disk.files, NAME, BODY)
    stored = await disk.look(NAME, LABEL)
    assert isinstance(stored, StoredSlice)
    flip(path)
    with pytest.raises(SliceGone):
        await read(stored)
    with pytest.raises(SliceGone):
        await read(stored)
    assert not disk.is_open(NAME)
    assert disk.counts.damaged == 1
    async with asyncio.timeout(60):
        while (await disk.is_stored([NAME]))[0]:
            await asyncio.sleep(0.001)
    assert await fill(disk)
    assert disk.resting == ""


@pytest.mark.parametrize("content", [b"", b"x" * 1000, BODY])
async def test_a_damaged_file_is_filled_anew(disk: Disk, content: bytes) -> None:
    with open(disk.files.path(NAME), "wb") as file:  # noqa: ASYNC230
        file.write(content)
    held = await disk.look(NAME, LABEL)
    assert isinstance(held, Held)
    assert held.mine
    assert (disk.counts.damaged, disk.resting) == (1, "")
    await held.abandon()


@pytest.mark.parametrize(
    "label",
    [
        Label("other", "key", "cd" * 8, 0, len(BODY)),
        Label("store", "other", "cd" * 8, 0, len(BODY)),
        Label("store", "key", "ab" * 8, 0, len(BODY)),
        Label("store", "key", "cd" * 8, 1, len(BODY)),
    ],
)
async def test_a_file_of_another_slice_is_rejected(disk: Disk, label: Label) -> None:
    put_slice(disk.files, NAME, BODY, label)
    held = await disk.look(NAME, LABEL)
    assert isinstance(held, Held)
    assert held.mine
    assert await disk.is_stored([NAME]) == [False]
    assert (disk.counts.damaged, disk.open_names()) == (1, [])
    await held.abandon()


async def test_a_shorter_slice_of_the_same_name_is_rejected(disk: Disk) -> None:
    put_slice(disk.files, NAME, BODY[:-1])
    held = await disk.look(NAME, LABEL)
    assert isinstance(held, Held)
    await held.abandon()


async def test_a_file_that_comes_back_damaged_is_given_up_for_now(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_slice(disk.files, NAME, BODY, label_of(BODY, "other"))
    monkeypatch.setattr(disk.files, "drop", lambda _: None)
    assert await disk.look(NAME, LABEL) is None
    assert disk.open_names() == []


# --- a directory that is full -------------------------------------------------------------------


@contextmanager
def full(root: Path) -> Iterator[None]:
    """Little can be written in the directory inside: it is a file system of 2 MiB, or where none
    can be mounted, no file can grow beyond that."""
    root.mkdir(parents=True, mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(root)]
    if os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", root], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_directory_rests_and_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root, large = tmp_path / "cache", bytes_of(5 * PIECE)
    with full(root):
        async with started(root) as disk:
            assert await fill(disk)
            assert not await fill(disk, NAME + "1", large)
            assert disk.resting == "full"
            assert disk.counts.failures == 1
            assert is_in_tmp(disk) == []
            with caplog.at_level(logging.WARNING):
                assert await disk.look(NAME + "2", LABEL) is None
                assert await disk.open_or_wait(OBJECT) is None
                await disk.write_head(OBJECT, a_head())
                assert await disk.read_head(OBJECT) is None
            assert disk.counts.failures == 1
            assert len(caplog.records) == 1
            assert "it is full" in caplog.text
            disk._rest.end()
            assert await disk.look(NAME, LABEL) is not None
            assert await fill(disk, NAME + "2")
            assert disk.resting == ""


async def test_files_that_can_not_grow_are_a_full_disk(disk: Disk) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert not await fill(disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert disk.resting == "full"
    assert is_in_tmp(disk) == []


async def test_without_room_slices_are_read_and_none_is_begun(disk: Disk) -> None:
    assert await fill(disk)
    disk.hits.publish(Published(10, 1, full=True, at=0.0))
    assert isinstance(await disk.look(NAME, LABEL), StoredSlice)
    assert await disk.look(NAME + "1", LABEL) is None
    assert is_in_tmp(disk) == []
    disk.hits.publish(Published(10, 1, full=False, at=0.0))
    assert await fill(disk, NAME + "1")


async def test_with_many_being_written_no_more_are_begun(disk: Disk) -> None:
    helds = [await disk.look(f"{NAME}{number}", LABEL) for number in range(MOST_WRITTEN)]
    with hanging(disk._threads):
        finishing = [
            asyncio.create_task(disk.finish(held, f"{NAME}{number}", LABEL, TABLE))
            for number, held in enumerate(helds)
            if isinstance(held, Held)
        ]
        await asyncio.sleep(0)
        assert disk._writing == MOST_WRITTEN
        assert not disk._may_write()
    await asyncio.gather(*finishing)
    assert disk._writing == 0
    assert await fill(disk, NAME + "x")


# --- a directory that fails ---------------------------------------------------------------------


def remove(root: Path) -> None:
    shutil.rmtree(root)


def remove_tmp(root: Path) -> None:
    shutil.rmtree(root / "tmp")


def file_for_shard(root: Path) -> None:
    shard = root / NAME[:2]
    shard.rmdir()
    shard.touch()


@pytest.mark.parametrize("spoil", [remove, remove_tmp, file_for_shard])
async def test_a_directory_that_fails_rests_and_raises_nothing(
    disk: Disk, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(Path(disk.files.root))
    assert await disk.look(NAME, LABEL) is None
    assert disk.resting == "failing"
    assert disk.counts.failures == 1
    assert await disk.open_or_wait(OBJECT) is None
    assert await disk.is_stored([NAME]) == [False]
    await disk.write_head(OBJECT, a_head())
    assert disk.counts.failures == 1
    assert len(caplog.records) == 1
    disk._rest.end()
    await disk.write_head(OBJECT, a_head())
    assert disk.counts.failures == 2


@pytest.mark.parametrize("spoil", [remove, remove_tmp, file_for_shard])
async def test_a_directory_that_fails_while_a_slice_is_finished(
    disk: Disk, spoil: Callable[[Path], None]
) -> None:
    held = await disk.look(NAME, LABEL)
    assert isinstance(held, Held)
    await held.write([BODY])
    spoil(Path(disk.files.root))
    assert not await disk.finish(held, NAME, LABEL, TABLE)
    assert disk.resting == "failing"
    assert held.claim.descriptor.number == -1


async def test_what_can_not_be_written_is_still_read(disk: Disk) -> None:
    """As of a disk that the kernel has made read-only."""
    assert await fill(disk)
    disk.drop(NAME)
    disk.rest(OSError(errno.EROFS, "Read-only file system"), writing=True)
    assert disk.resting == "failing"
    assert isinstance(await disk.look(NAME, LABEL), StoredSlice)
    assert await disk.is_stored([NAME]) == [True]
    assert await disk.look(NAME + "1", LABEL) is None
    assert not is_in_tmp(disk)
    disk.rest(OSError(errno.ESTALE, "Stale file handle"))
    disk.drop(NAME)
    assert await disk.look(NAME, LABEL) is None
    disk._rest.end()
    remove_tmp(Path(disk.files.root))
    assert await disk.look(NAME + "1", LABEL) is None
    assert isinstance(await disk.look(NAME, LABEL), StoredSlice)


async def test_what_hangs_while_it_is_written_is_not_read_either(disk: Disk) -> None:
    assert await fill(disk)
    disk.rest(OriginTimeout("file work took longer"), writing=True)
    assert await disk.look(NAME, LABEL) is None


@pytest.mark.parametrize("where", ["read", "pread"])
async def test_a_bad_sector_is_one_files(
    disk: Disk, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await fill(disk)
    assert await fill(disk, NAME + "1")
    await disk.write_head(OBJECT, a_head())
    disk.drop(NAME)

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, where, broken)
        if where == "read":
            assert await disk.read_head(OBJECT) is None
        else:
            held = await disk.look(NAME, LABEL)
            assert isinstance(held, Held)
            assert disk.counts.damaged == 1
            await held.abandon()
    assert disk.resting == ""
    assert await disk.is_stored([NAME, NAME + "1"]) == [where == "read", True]
    assert (await disk.read_head(OBJECT) is None) == (where == "read")


async def test_a_head_that_is_no_file_is_a_failure(disk: Disk) -> None:
    os.mkdir(disk.files.path(OBJECT + HEAD))
    assert await disk.read_head(OBJECT) is None
    assert disk.resting == "failing"


async def test_it_rests_longer_each_time_and_no_longer_than_a_minute(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("proxy.cache.disk.resting.monotonic", lambda: now)
    rests = []
    for _ in range(6):
        disk.rest(OSError(errno.EIO, "Input/output error"))
        disk.rest(OSError(errno.EIO, "Input/output error"))  # while it rests: not again
        begun = now
        while disk.resting:
            now += 0.5
        rests.append(now - begun)
    assert rests == [5, 10, 20, 40, 60, 60]
    assert disk.counts.failures == 12
    assert await fill(disk)
    disk.rest(OSError(errno.EIO, "Input/output error"))
    now += 5
    assert disk.resting == ""


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "full"),
        (OSError(errno.EFBIG, "File too large"), "full"),
        (OSError(errno.EROFS, "Read-only file system"), "failing"),
        (OSError(errno.EIO, "Input/output error"), "failing"),
        (OriginTimeout("file work took longer"), "failing"),
        (OSError(), "failing"),
    ],
)
async def test_why_it_rests(disk: Disk, error: Exception, why: str) -> None:
    disk.rest(error)
    assert disk.resting == why


# --- a directory that hangs ---------------------------------------------------------------------


async def test_nobody_waits_long_for_a_directory_that_hangs(tmp_path: Path) -> None:
    async with started(tmp_path / "cache") as disk:
        assert await fill(disk)
        stored = await disk.look(NAME, LABEL)
        assert isinstance(stored, StoredSlice)
        held = await disk.look(NAME + "1", LABEL)
        assert isinstance(held, Held)
        disk._threads._patience = 0.05
        with hanging(disk._threads):
            assert await disk.look(NAME + "2", LABEL) is None
            assert disk.resting == "failing"
            failures = disk.counts.failures
            with hanging_is_not_waited_for():
                assert await disk.look(NAME + "3", LABEL) is None
                assert await disk.is_stored([NAME]) == [False]
                assert await disk.read_head(OBJECT) is None
            assert disk.counts.failures == failures
            assert not await disk.finish(held, NAME + "1", LABEL, TABLE)
            disk._rest.end()
            assert await disk.open_or_wait(OBJECT) is None
            assert disk.resting == "failing"
        disk._threads._patience = 60
        disk._rest.end()
        assert isinstance(await disk.look(NAME, LABEL), StoredSlice)
        # What hung went on to its end meanwhile, and holds nothing.
        assert await fill(disk, NAME + "2")


@contextmanager
def hanging_is_not_waited_for() -> Iterator[None]:
    """Inside, handing work to threads is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Threads, "run", None)
        yield


async def test_a_reader_of_a_disk_that_hangs_is_sent_on(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await fill(disk)
    stored = await disk.look(NAME, LABEL)
    assert isinstance(stored, StoredSlice)
    monkeypatch.setattr(stored, "_at_once", None)
    disk._threads._patience = 0.05
    with hanging(disk._threads):
        with pytest.raises(SliceGone):
            await read(stored)
        assert disk.resting == "failing"
        assert not disk.is_open(NAME)
        assert disk.counts.damaged == 0
    disk._threads._patience = 60
    disk._rest.end()
    again = await disk.look(NAME, LABEL)
    assert isinstance(again, StoredSlice)
    assert await read(again) == BODY


async def test_a_pipe_in_place_of_a_head_is_a_disk_that_hangs(disk: Disk) -> None:
    path = disk.files.path(OBJECT + HEAD)
    os.mkfifo(path)
    disk._threads._patience = 0.05
    assert await disk.read_head(OBJECT) is None
    assert disk.resting == "failing"
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # the thread gets its answer


async def test_a_directory_that_does_not_answer_is_told_at_the_start(tmp_path: Path) -> None:
    disk = Disk(Files(str(tmp_path / "cache")), FileWatcher())
    disk._threads._patience = 0.05
    with hanging(disk._threads), pytest.raises(StartError) as raised:
        await disk.start()
    assert "does not answer" in str(raised.value)
    assert "\n" not in str(raised.value)
    disk.close()


@pytest.mark.parametrize("kind", ["file", "link", "open to others"])
async def test_a_directory_that_will_not_do_is_told_at_the_start(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "cache"
    if kind == "file":
        root.touch()
    elif kind == "link":
        os.symlink(tmp_path, root)
    else:
        os.mkdir(root)
        os.chmod(root, 0o777)
    disk = Disk(Files(str(root)), FileWatcher())
    with pytest.raises(StartError) as raised:
        await disk.start()
    assert str(root) in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(StartError):
        _ = disk.hits
    disk.close()


# --- leaving ------------------------------------------------------------------------------------


async def test_all_can_be_cancelled_anywhere(disk: Disk) -> None:
    assert await fill(disk, NAME + "1")

    async def use() -> None:
        stored = await disk.look(NAME + "1", LABEL)
        assert isinstance(stored, StoredSlice)
        assert await read(stored) == BODY
        disk.drop(NAME + "1")
        opening = await disk.open_or_wait(OBJECT)
        assert opening is not None
        await opening[1].abandon()
        held = await disk.look(NAME, LABEL)
        if isinstance(held, Held):
            if held.mine:
                held.feed(BODY)
                await disk.finish(held, NAME, LABEL, TABLE)
            else:
                await held.abandon()
        await disk.write_head(OBJECT, a_head())

    assert await cancel_everywhere(use) >= 5
    eventually(lambda: not any(one.endswith(HEAD) for one in is_in_tmp(disk)))
    assert (disk.counts.damaged, disk.counts.failures, disk._writing) == (0, 0, 0)
    held = await disk.look(NAME, LABEL)
    assert held is not None
    if isinstance(held, Held):
        await held.abandon()


async def test_closing_closes_all_and_what_comes_later_gets_nothing(tmp_path: Path) -> None:
    async with started(tmp_path / "cache") as disk:
        assert await fill(disk)
        stored = await disk.look(NAME, LABEL)
        assert isinstance(stored, StoredSlice)
        disk.close()
        assert disk.open_names() == []
        assert await disk.open_or_wait(OBJECT) is None

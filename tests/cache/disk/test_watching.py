"""Who waits for a file is told of it, by real writers in processes of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk.inotify import Inotify
from proxy.cache.disk.watching import (
    Batch,
    Change,
    Changes,
    DirectoryWatch,
    FileWatcher,
    Happened,
)
from tests.cache.disk.test_inotify import no_descriptor_left
from tests.cache.writing import Writer

LONG = 30.0
SHORT = 0.05


@pytest.fixture
async def watcher() -> AsyncIterator[FileWatcher]:
    before = len(os.listdir("/dev/fd"))
    made = FileWatcher()
    yield made
    assert made.watched == 0
    made.close()
    assert len(os.listdir("/dev/fd")) == before


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[Path, Writer]]:
    path = tmp_path / "file"
    with Writer(path) as writer:
        yield path, writer


def most_queued() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


def kernels_watches(watcher: FileWatcher) -> int:
    assert watcher._inotify is not None
    told = Path(f"/proc/self/fdinfo/{watcher._inotify.fileno()}").read_text()
    return told.count("inotify wd:")


async def until(changes: Changes, wanted: Change) -> Change:
    """All that is told until `wanted` is."""
    told = Change.NOTHING
    async with asyncio.timeout(LONG):
        while wanted not in told:
            told |= await changes.next(LONG)
    return told


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("write 10", Change.WRITTEN),
        ("close", Change.CLOSED),
        ("rename {}.renamed", Change.MOVED),
        ("unlink", Change.LOOK | Change.GONE),
    ],
)
async def test_what_a_writer_does_is_told(
    watcher: FileWatcher, file: tuple[Path, Writer], act: str, told: Change
) -> None:
    path, writer = file
    async with watcher.watching(path) as changes:
        assert await changes.next(SHORT) == Change.NOTHING
        writer.do(act.format(path))
        assert await changes.next(LONG) == told
        assert await changes.next(SHORT) == Change.NOTHING


async def test_a_writer_that_is_killed_has_closed_its_file(
    watcher: FileWatcher, file: tuple[Path, Writer]
) -> None:
    path, writer = file
    async with watcher.watching(path) as changes:
        writer.do("write 10")
        writer.stop()
        assert await until(changes, Change.CLOSED) == Change.WRITTEN | Change.CLOSED


async def test_changes_are_merged_and_told_once(
    watcher: FileWatcher, file: tuple[Path, Writer]
) -> None:
    path, writer = file
    async with watcher.watching(path) as changes:
        for act in ("write 1", "write 2", "close", "unlink"):
            writer.do(act)
        told = await until(changes, Change.GONE)
        assert told == Change.WRITTEN | Change.CLOSED | Change.LOOK | Change.GONE
        assert await changes.next(SHORT) == Change.NOTHING


async def test_many_who_wait_share_one_watch(
    watcher: FileWatcher, file: tuple[Path, Writer]
) -> None:
    path, writer = file
    (path.parent / "other name").hardlink_to(path)
    async with AsyncExitStack() as stack:
        paths = [path] * 20 + [path.parent / "other name"]
        every = [await stack.enter_async_context(watcher.watching(one)) for one in paths]
        assert watcher.watched == 1
        writer.do("write 1")
        for changes in every:
            await until(changes, Change.WRITTEN)
        async with watcher.watching(path):
            pass
        assert kernels_watches(watcher) == 1
        writer.do("write 1")
        for changes in every:
            await until(changes, Change.WRITTEN)
    assert kernels_watches(watcher) == 0


async def test_who_leaves_or_is_cancelled_leaves_nothing(
    watcher: FileWatcher, file: tuple[Path, Writer]
) -> None:
    path, _ = file

    async def wait() -> None:
        async with watcher.watching(path) as changes:
            await changes.next(LONG)

    waiting = [asyncio.create_task(wait()) for _ in range(5)]
    await asyncio.sleep(SHORT)
    assert watcher.watched == 1
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert watcher.watched == 0


async def test_a_file_that_is_not_there_is_gone_at_once(
    watcher: FileWatcher, tmp_path: Path
) -> None:
    for path in (tmp_path / "none", tmp_path / "none" / "none"):
        async with watcher.watching(path) as changes:
            assert await changes.next(LONG) == Change.LOOK | Change.GONE
            assert await changes.next(SHORT) == Change.NOTHING


async def test_a_descriptor_can_be_watched_whatever_its_name_is_by_now(
    watcher: FileWatcher, file: tuple[Path, Writer]
) -> None:
    path, writer = file
    with path.open("rb") as reading:
        writer.do(f"rename {path}.renamed")
        async with watcher.watching(Path(f"/proc/self/fd/{reading.fileno()}")) as changes:
            writer.do("write 1")
            assert await changes.next(LONG) == Change.WRITTEN


async def test_closing_wakes_who_waits(file: tuple[Path, Writer]) -> None:
    path, _ = file
    watcher = FileWatcher()
    async with watcher.watching(path) as changes:
        watcher.close()
        assert await changes.next(LONG) == Change.LOOK
    watcher.close()


async def test_more_than_the_kernel_keeps_is_told_as_look(
    watcher: FileWatcher, tmp_path: Path
) -> None:
    most = most_queued()
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.touch()
    async with watcher.watching(paths[0]) as one, watcher.watching(paths[1]) as other:
        files = [os.open(path, os.O_WRONLY) for path in paths]
        for _ in range(most // 2 + 10):  # in turn, since equal events that follow are merged
            for descriptor in files:
                os.write(descriptor, b"x")
        for changes in (one, other):
            await until(changes, Change.LOOK)
        for descriptor in files:
            os.close(descriptor)


async def test_without_an_instance_readers_look_again_and_again(
    file: tuple[Path, Writer], caplog: pytest.LogCaptureFixture
) -> None:
    path, writer = file
    watcher = FileWatcher()
    with no_descriptor_left():
        async with watcher.watching(path) as changes:
            assert await changes.next(LONG) == Change.LOOK
    writer.do("unlink")
    async with watcher.watching(path) as changes:
        assert await changes.next(LONG) == Change.LOOK | Change.GONE
    assert len(caplog.records) == 1
    assert "Too many open files" in caplog.text
    watcher.close()


async def test_without_a_watch_only_those_readers_look(
    watcher: FileWatcher,
    file: tuple[Path, Writer],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, writer = file

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with watcher.watching(path) as watched:
        with monkeypatch.context() as patch:
            patch.setattr(Inotify, "add", full)
            for _ in range(2):
                async with watcher.watching(path) as looking:
                    assert await looking.next(LONG) == Change.LOOK
        writer.do("write 1")
        assert await watched.next(LONG) == Change.WRITTEN
    assert len(caplog.records) == 1


ACTS = st.lists(st.sampled_from(["write 3", "close", "unlink"]), max_size=4, unique=True)


@settings(max_examples=15, deadline=None)
@given(ACTS, st.booleans())
def test_whoever_looks_when_told_misses_nothing(acts: list[str], killed: bool) -> None:
    if "close" in acts:
        acts = [act for act in acts[: acts.index("close")] if act != "unlink"] + ["close"]

    async def follow(path: Path) -> None:
        watcher = FileWatcher()
        expected = Change.NOTHING
        with Writer(path) as writer:
            async with watcher.watching(path) as changes:
                for act in acts:
                    writer.do(act)
                    expected |= {"w": Change.WRITTEN, "c": Change.CLOSED, "u": Change.GONE}[act[0]]
                if killed:
                    writer.stop()
                    expected |= Change.CLOSED
                if expected:
                    await until(changes, expected)
        assert watcher.watched == 0
        watcher.close()

    with tempfile.TemporaryDirectory() as directory:
        uvloop.run(follow(Path(directory) / "file"))


@pytest.fixture
def directories(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"{number:02x}" for number in range(256)]
    for one in made:
        one.mkdir()
    return made


@pytest.fixture
def watch(directories: list[Path]) -> Iterator[DirectoryWatch]:
    before = len(os.listdir("/dev/fd"))
    opened = DirectoryWatch.open(directories)
    assert opened is not None
    yield opened
    opened.close()
    assert len(os.listdir("/dev/fd")) == before


def test_what_appears_and_goes_is_told(
    directories: list[Path], watch: DirectoryWatch, tmp_path: Path
) -> None:
    assert watch.read(0.0) == Batch([], lost=False)
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").rename(directories[3] / "b")
    (directories[3] / "b").rename(directories[255] / "c")
    (directories[255] / "c").unlink()
    three, last = directories[3], directories[255]
    assert watch.read(LONG) == Batch(
        [
            Happened(three, "b", appeared=True),
            Happened(three, "b", appeared=False),
            Happened(last, "c", appeared=True),
            Happened(last, "c", appeared=False),
        ],
        lost=False,
    )


def test_a_file_written_in_place_appears_again_when_it_is_whole(
    directories: list[Path], watch: DirectoryWatch
) -> None:
    with Writer(directories[0] / "a") as writer:
        assert watch.read(LONG).happened == [Happened(directories[0], "a", appeared=True)]
        writer.do("write 10")
        writer.stop()
        assert watch.read(LONG).happened == [Happened(directories[0], "a", appeared=True)]


def test_more_than_the_kernel_keeps_is_told_as_lost(
    directories: list[Path], watch: DirectoryWatch
) -> None:
    most = most_queued()
    for number in range(most // 2 + 10):
        path = directories[number % 256] / "a"
        path.touch()
        path.unlink()
    told = 0
    while True:
        batch = watch.read(0.0)
        told += len(batch.happened)
        if batch.lost:
            break
    assert told == most


def test_a_directory_that_goes_is_told_as_lost(
    directories: list[Path], watch: DirectoryWatch
) -> None:
    directories[9].rmdir()
    assert watch.read(LONG).lost


def test_without_the_kernel_there_is_none(
    directories: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    with no_descriptor_left():
        assert DirectoryWatch.open(directories) is None
    assert "Too many open files" in caplog.text
    before = len(os.listdir("/dev/fd"))
    assert DirectoryWatch.open([*directories, directories[0] / "none"]) is None
    assert len(os.listdir("/dev/fd")) == before

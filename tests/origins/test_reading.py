from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from proxy.errors import ObjectChanged, OriginBroke
from proxy.origins import reading
from proxy.origins.lending import Piece, Stretch, can_lend
from proxy.origins.reading import BUFFER_SIZE, HotReader, OpenFile
from proxy.origins.resident import PageCache
from proxy.origins.threads import Descriptor, Threads
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation, Span

BODY = random.Random(2).randbytes(3 * BUFFER_SIZE + 17)
SIZE = len(BODY)


class Cold(HotReader):
    """A file system of which no page is ever in memory."""

    def read(self, number: int, start: int, length: int) -> bytes | None:
        return b""


class CantTell(HotReader):
    """A file system that knows nothing of RWF_NOWAIT."""

    asked = 0

    def read(self, number: int, start: int, length: int) -> bytes | None:
        self.asked += 1
        return None


class Patchy(HotReader):
    """Every other page run is in memory, and only in part."""

    turn = 0

    def read(self, number: int, start: int, length: int) -> bytes | None:
        self.turn += 1
        return super().read(number, start, min(length, 1000)) if self.turn % 2 else b""


READERS = [HotReader, Cold, CantTell, Patchy]


class Files:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.threads = Threads(60)
        self.opened: list[OpenFile] = []

    def open(self, hot: HotReader | None = None) -> OpenFile:
        descriptor = Descriptor()
        descriptor.adopt(os.open(self.path, os.O_RDONLY))
        known = os.stat(self.path)
        what = Representation(known.st_size)
        opened = OpenFile(descriptor, what, known, (hot or HotReader(), self.threads))
        self.opened.append(opened)
        return opened


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    age(path, 100)
    made = Files(path)
    yield made
    for opened in made.opened:
        await opened.aclose()
    made.threads.close()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def read(opened: OpenFile, span: Span) -> list[bytes]:
    async with aclosing(opened.read(span)) as buffers:
        return [buffer async for buffer in buffers]


@pytest.mark.parametrize("reader", READERS)
async def test_every_way_to_read_gives_the_same(
    files: Files, reader: Callable[[], HotReader]
) -> None:
    opened = files.open(reader())
    for span in (Span(0, SIZE), Span(0, 0), Span(1, SIZE - 1), Span(BUFFER_SIZE, 2 * BUFFER_SIZE)):
        buffers = await read(opened, span)
        assert b"".join(buffers) == BODY[span.start : span.stop]
        assert all(0 < len(buffer) <= BUFFER_SIZE for buffer in buffers)


async def test_what_was_dropped_from_memory_is_read_all_the_same(files: Files) -> None:
    number = os.open(files.path, os.O_RDWR)
    os.fsync(number)
    os.posix_fadvise(number, BUFFER_SIZE, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)
    assert b"".join(await read(files.open(), Span(0, SIZE))) == BODY


async def test_a_file_system_that_cant_tell_is_asked_once(files: Files) -> None:
    hot = CantTell()
    opened = files.open(hot)
    await read(opened, Span(0, SIZE))
    await read(opened, Span(0, SIZE))
    assert hot.asked == 1


def test_a_real_file_system_that_cant_tell() -> None:
    with Path("/proc/self/cmdline").open("rb") as file:
        assert HotReader().read(file.fileno(), 0, 1) is None


def test_pipes_have_no_pages() -> None:
    """The one thing at hand that preadv refuses, with an error that is not "can't tell"."""
    receiving, sending = os.pipe()
    with pytest.raises(OSError, match="seek"):
        HotReader().read(receiving, 0, 1)
    os.close(receiving)
    os.close(sending)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, SIZE - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(SIZE))


@pytest.mark.parametrize("change", [grow, shrink, empty, overwrite])
@pytest.mark.parametrize("reader", READERS)
async def test_written_to_while_it_is_read(
    files: Files, change: Callable[[Path], None], reader: Callable[[], HotReader]
) -> None:
    opened = files.open(reader())
    given = bytearray()
    with pytest.raises(ObjectChanged):  # noqa: PT012  # what was given before counts too
        async with aclosing(opened.read(Span(0, SIZE))) as buffers:
            given += await anext(buffers)
            change(files.path)
            async for buffer in buffers:
                given += buffer
    assert len(given) < SIZE


@pytest.mark.parametrize("reader", READERS)
async def test_written_to_before_it_is_read(files: Files, reader: Callable[[], HotReader]) -> None:
    opened = files.open(reader())
    overwrite(files.path)
    for span in (Span(0, 1), Span(SIZE - 1, SIZE)):
        with pytest.raises(ObjectChanged):
            await read(opened, span)


async def test_other_changes_are_not_of_the_bytes(files: Files) -> None:
    opened = files.open()
    files.path.chmod(0o600)
    files.path.rename(files.path.with_name("elsewhere"))
    files.path.with_name("elsewhere").unlink()
    assert b"".join(await read(opened, Span(0, SIZE))) == BODY


@pytest.mark.parametrize("reader", READERS)
async def test_reading_what_was_closed(files: Files, reader: Callable[[], HotReader]) -> None:
    opened = files.open(reader())
    await opened.aclose()
    with pytest.raises(OriginBroke):
        await read(opened, Span(0, 1))


async def test_others_get_their_turn_while_all_is_in_memory(files: Files, tmp_path: Path) -> None:
    with files.path.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    age(files.path, 100)
    size = files.path.stat().st_size
    await read(files.open(), Span(0, size))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await read(files.open(), Span(0, size))
    assert turns >= 7
    task.cancel()
    await asyncio.wait([task])


# --- lending ------------------------------------------------------------------------------------


def lender(files: Files, *, weak: bool = False) -> OpenFile:
    opened = files.open()
    what = Representation(SIZE, etag=EntityTag("a", weak=weak))
    by = (HotReader(), files.threads)
    lends = OpenFile(opened._descriptor, what, os.stat(files.path), by)
    files.opened.append(lends)
    return lends


async def lent(opened: OpenFile, span: Span) -> list[Piece]:
    async with aclosing(opened.lend(span)) as pieces:
        return [piece async for piece in pieces]


@pytest.mark.parametrize(
    "span", [Span(0, SIZE), Span(5, SIZE - 5), Span(SIZE - 20_000, SIZE), Span(7, 8)]
)
async def test_all_but_the_last_bytes_are_lent(files: Files, span: Span) -> None:
    opened = lender(files)
    *stretches, last = await lent(opened, span)
    body = b""
    for one in stretches:
        assert isinstance(one, Stretch)
        await one.fetch(one.offset, one.count)
        body += os.pread(one.fileno(), len(one), one.offset)
    assert isinstance(last, bytes)
    assert len(last) == min(16 * 1024, span.length)
    assert body + last == BODY[span.start : span.stop]
    copied = [one.copied for one in stretches if isinstance(one, Stretch)]
    assert copied[-1:] == [min(120 * 1024, len(body))] * bool(body)
    assert not any(copied[:-1])


async def test_a_large_file_is_lent_in_several_stretches(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which only the last is copied in part: what is before it reaches the client meanwhile."""
    monkeypatch.setattr(reading, "_LENT", 300_000)
    *stretches, last = await lent(lender(files), Span(5, SIZE))
    place = 5
    for one in stretches:
        assert isinstance(one, Stretch)
        assert one.offset == place
        place += len(one)
    assert place + len(last) == SIZE
    assert len(stretches) > 2
    copied = [one.copied for one in stretches if isinstance(one, Stretch)]
    assert copied[-1] == 120 * 1024
    assert not any(copied[:-1])


async def test_what_changes_while_it_is_lent_is_never_complete(files: Files) -> None:
    opened = lender(files)
    async with aclosing(opened.lend(Span(0, SIZE))) as pieces:
        assert isinstance(await anext(pieces), Stretch)
        with files.path.open("r+b") as file:
            file.write(b"another version")
        with pytest.raises(ObjectChanged):
            async for _ in pieces:
                pass


async def test_a_file_that_was_cut_can_not_be_fetched(files: Files) -> None:
    opened = lender(files)
    stretch = (await lent(opened, Span(0, SIZE)))[0]
    assert isinstance(stretch, Stretch)
    os.truncate(files.path, 1000)
    with pytest.raises(ObjectChanged):
        await stretch.fetch(0, len(stretch))


async def test_a_file_that_was_cut_is_seen_before_anything_is_lent(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PageCache, "holds", lambda *_, **__: False)
    opened = lender(files)
    os.truncate(files.path, 1000)
    with pytest.raises(ObjectChanged):
        await lent(opened, Span(0, SIZE))


async def test_what_was_just_written_is_not_lent(files: Files) -> None:
    """It may be being written to; and what is lent is not yet copied."""
    assert can_lend(lender(files))
    assert not can_lend(lender(files, weak=True))
    assert not can_lend(files.open())

"""What is known of a file that is being sent, and the buffer that is read into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from proxy.origins.resident import PageCache
from proxy.server import files
from proxy.server.files import AHEAD, FileToSend, Scratch

SIZE = 3 * AHEAD + 5


@pytest.fixture
def number(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (SIZE // 256) + b"ended")
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


async def test_it_is_asked_once_whether_much_is_in_memory(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def noted(self: PageCache, number: int, offset: int, count: int) -> bool:
        asked.append((offset, count))
        return True

    monkeypatch.setattr(PageCache, "holds_much", noted)
    file = FileToSend(number, 10, SIZE - 10, more=True)
    await file.ready()
    file.passed(2 * AHEAD)
    await file.look(AHEAD - 5)
    assert asked == [(10, SIZE - 10)]
    assert file.is_near(AHEAD - 5)
    monkeypatch.setattr(files, "monotonic", lambda: monotonic() + 1.0)  # it was a while ago
    assert not file.is_near(1)
    await file.look(1)
    assert asked[1:] == [(2 * AHEAD + 10, AHEAD - 5)]


async def test_what_is_not_all_in_memory_is_fetched_by_the_mebibyte(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once something was not there, it is no longer asked of much at once."""
    asked: list[int] = []

    def missing(self: PageCache, number: int, offset: int, count: int) -> bool:
        asked.append(offset)
        return False

    monkeypatch.setattr(PageCache, "holds_much", missing)
    monkeypatch.setattr(PageCache, "holds", lambda *_, **__: False)
    fetched: list[tuple[int, int]] = []

    async def fetch(offset: int, count: int) -> None:
        fetched.append((offset, count))

    file = FileToSend(number, 0, SIZE, more=True)
    monkeypatch.setattr(file, "_fetch", fetch)
    for _ in range(2):
        await file.look(AHEAD)
        file.passed(AHEAD)
    assert fetched == [(0, AHEAD), (AHEAD, AHEAD)]
    assert asked == [0]


async def test_what_is_in_memory_is_found_out_without_waiting(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = True
    monkeypatch.setattr(PageCache, "holds_much", lambda *_: False)
    monkeypatch.setattr(PageCache, "holds", lambda *_, **__: there)
    file = FileToSend(number, 0, SIZE, more=True)
    assert file.looks_near(AHEAD)
    assert file.is_near(AHEAD)
    there = False
    assert file.looks_near(AHEAD)  # known already
    file.passed(1)
    assert not file.looks_near(AHEAD)


def test_bytes_are_read_into_several_places(number: int) -> None:
    scratch = Scratch(64)
    whole = scratch.view(64)
    file = FileToSend(number, SIZE - 7, 7, more=True)
    assert file.read_into([whole[1:3], whole[10:20]], 7) == 7
    assert bytes(whole[1:3]) + bytes(whole[10:15]) == b"\xfe\xffended"
    file.passed(7)
    with pytest.raises(RuntimeError, match="2 bytes short"):
        file.read_into([whole], 2)


def test_what_somebody_keeps_is_not_written_over() -> None:
    scratch = Scratch(8)
    kept = scratch.view(4)
    kept[:] = b"kept"
    scratch.give_away()
    assert (scratch.size, len(scratch.view(8))) == (8, 8)
    scratch.view(4)[:] = b"next"
    assert bytes(kept) == b"kept"

"""Whether bytes of a file are in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.origins import resident
from proxy.origins.resident import PageCache, bring

SIZE = 700_001


@pytest.fixture
def number(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("counts", [True, False])
def test_what_was_written_is_there(number: int, counts: bool) -> None:
    cache = PageCache(counts=counts)
    for offset, count in ((0, SIZE), (0, 1), (SIZE - 1, 1), (4095, 2), (300_000, 300_000)):
        assert cache.holds(number, offset, count)


@pytest.mark.parametrize("counts", [True, False])
def test_what_lies_behind_the_end_is_not(number: int, counts: bool) -> None:
    cache = PageCache(counts=counts)
    for offset, count in ((0, SIZE + 1), (SIZE, 1), (SIZE + 10_000, 5)):
        assert not cache.holds(number, offset, count)


@pytest.mark.parametrize("place", [0, 256 * 1024, 512 * 1024, SIZE - 1])
def test_a_page_that_must_be_waited_for(
    number: int, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Also where it is counted: it may still be on its way."""
    read = os.preadv

    def waits(number: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if flags and offset <= place < offset + sum(map(len, buffers)):
            raise BlockingIOError
        return read(number, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", waits)
    assert not PageCache(counts=True).holds(number, 0, SIZE)
    assert not PageCache(counts=False).holds(number, 0, SIZE)


def test_much_is_known_only_where_it_is_counted(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would take too long to read."""
    assert PageCache().holds_much(number, 0, SIZE)
    assert not PageCache().holds_much(number, 0, SIZE + 4096)
    assert not PageCache(counts=False).holds_much(number, 0, SIZE)
    monkeypatch.setattr(resident, "NO_WAIT", 0)
    assert not PageCache().holds_much(number, 0, SIZE)


@pytest.mark.parametrize(("place", "there"), [(0, False), (300_000, True), (SIZE - 1, False)])
def test_of_much_one_byte_of_each_mebibyte_is_read_and_the_last(
    number: int, monkeypatch: pytest.MonkeyPatch, place: int, there: bool
) -> None:
    read = os.preadv

    def waits(number: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if offset <= place < offset + sum(map(len, buffers)):
            raise BlockingIOError
        return read(number, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", waits)
    assert PageCache().holds_much(number, 0, SIZE) == there


def test_a_missing_page_is_counted(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PageCache()
    pages = -(-SIZE // 4096)
    monkeypatch.setattr(cache, "_cached", lambda *_: pages - 1)
    assert not cache.holds(number, 0, SIZE)


def test_a_system_without_reading_ahead_of_waiting_knows_nothing(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "NO_WAIT", 0)
    assert not PageCache().holds(number, 0, SIZE)


def test_bringing_reads_to_the_end(number: int) -> None:
    assert bring(number, 0, SIZE)
    assert bring(number, SIZE - 1, 1)
    assert not bring(number, SIZE - 1, 2)

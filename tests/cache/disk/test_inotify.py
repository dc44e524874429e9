"""What the kernel says, read from its bytes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.cache.disk import inotify
from proxy.cache.disk.inotify import Inotify, RawEvent


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """No file can be opened inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_names_of_any_length_and_bytes_are_read(tmp_path: Path) -> None:
    opened = Inotify()
    watch = opened.add(tmp_path, inotify.CREATE)
    names = ["a", "b" * 15, "c" * 16, "d" * 255, "ä", os.fsdecode(b"\xff")]
    for name in names:
        (tmp_path / name).touch()
    assert opened.read() == [RawEvent(watch, inotify.CREATE, name) for name in names]
    assert opened.read() == []
    opened.close()


def test_one_file_has_one_number(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    opened = Inotify()
    first = opened.add(tmp_path / "a", inotify.MODIFY)
    assert opened.add(tmp_path / "b", inotify.MODIFY) == first
    opened.remove(first)
    opened.remove(first)
    assert opened.read() == [RawEvent(first, inotify.IGNORED, "")]
    opened.close()
    opened.close()


def test_faults_are_os_errors(tmp_path: Path) -> None:
    opened = Inotify()
    with pytest.raises(FileNotFoundError, match="none"):
        opened.add(tmp_path / "none", inotify.MODIFY)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        opened.add(tmp_path / "file", inotify.CREATE | inotify.ONLY_DIRECTORIES)
    opened.close()
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
        Inotify()


def test_an_operating_system_without_it_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    with pytest.raises(OSError, match="no inotify"):
        Inotify()

"""Reading a real directory with anything in it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from proxy.cache.upkeep.scanning import read_shard, size_of, sweep, total_size, weight_in_memory
from tests.cache.writing import Writer

OBJECT = "ab" + "0" * 30
SLICE = f"{OBJECT}.{0:016x}.0"


@pytest.fixture
def failed() -> list[OSError]:
    return []


def test_only_files_of_ours_are_found(tmp_path: Path, failed: list[OSError]) -> None:
    shard = tmp_path / "ab"
    shard.mkdir()
    (shard / SLICE).write_bytes(b"12345")
    os.utime(shard / SLICE, ns=(7, 8))
    (shard / f"{OBJECT}.head").touch()
    (shard / "notes.txt").touch()
    (shard / f"cd{'0' * 30}.head").touch()  # of another shard
    (shard / f"{OBJECT}.{0:016x}.1").mkdir()
    (shard / f"{OBJECT}.{0:016x}.2").symlink_to(shard / SLICE)
    os.mkfifo(shard / f"{OBJECT}.{0:016x}.3")
    found = [one for some in read_shard(shard, failed.append) for one in some]
    assert sorted((name, size) for _, name, size in found) == [(SLICE, 5), (f"{OBJECT}.head", 0)]
    assert (8, SLICE, 5) in found
    assert failed == []


def test_what_a_file_takes_of_the_memory(tmp_path: Path, failed: list[OSError]) -> None:
    weights = [weight_in_memory(size) for size in (0, 1, 4096, 4097)]
    assert weights == [1024, 4096 + 1024, 4096 + 1024, 8192 + 1024]
    (tmp_path / SLICE).write_bytes(b"12345")
    (tmp_path / "b").write_bytes(bytes(5000))
    assert total_size(tmp_path, weight_in_memory, failed.append) == 4096 + 8192 + 2048
    assert size_of(str(tmp_path / SLICE), weight_in_memory) == 5120
    assert failed == []
    assert total_size(tmp_path / "none", weight_in_memory, failed.append) == 0
    assert len(failed) == 1


def test_many_come_some_at_a_time(tmp_path: Path, failed: list[OSError]) -> None:
    (tmp_path / "ab").mkdir()
    for number in range(333):
        (tmp_path / "ab" / f"{OBJECT}.{0:016x}.{number}").touch()
    batches = list(read_shard(tmp_path / "ab", failed.append))
    assert sum(map(len, batches)) == 333
    assert max(map(len, batches)) <= 50


def test_a_shard_that_can_not_be_read_is_a_fault_told(
    tmp_path: Path, failed: list[OSError]
) -> None:
    assert list(read_shard(tmp_path / "ab", failed.append)) == [[]]
    assert [type(one) for one in failed] == [FileNotFoundError]
    assert list(sweep(tmp_path / "tmp", 5, 0, failed.append)) == []
    assert len(failed) == 2


def test_sizes_are_of_regular_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert [size_of(f"{tmp_path}/{name}") for name in "abc"] == [3, None, None]
    with pytest.raises(NotADirectoryError):
        size_of(f"{tmp_path}/a/b")


def test_what_dead_writers_left_is_removed(tmp_path: Path, failed: list[OSError]) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "dead")
    os.mkfifo(tmp_path / "pipe")
    with Writer(tmp_path / "alive") as alive, Writer(tmp_path / "dead") as dead:
        dead.stop()
        opened = len(os.listdir("/dev/fd"))
        later = time.time() + 60
        assert not any(sweep(tmp_path, 100, later, failed.append))
        assert sum(sweep(tmp_path, 30, later, failed.append)) == 1
        assert len(os.listdir("/dev/fd")) == opened
        assert sorted(os.listdir(tmp_path)) == ["alive", "directory", "link", "pipe"]
        alive.stop()
        assert sum(sweep(tmp_path, 30, later, failed.append)) == 1
    assert failed == []


def test_what_was_written_to_after_it_was_listed_stays(
    tmp_path: Path, failed: list[OSError]
) -> None:
    for name in "ab":
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    files = sweep(tmp_path, 30, time.time(), failed.append)
    assert next(files)
    [left] = list(tmp_path.iterdir())
    left.write_bytes(b"new")
    assert list(files) == [False]
    assert failed == []

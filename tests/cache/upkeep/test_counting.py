"""The count follows a real directory, whatever happens to it and whatever is told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk import watching
from proxy.cache.disk.inotify import Inotify
from proxy.cache.disk.watching import Batch, DirectoryWatch
from proxy.cache.upkeep.counting import Counting
from proxy.cache.upkeep.pacing import Pace
from tests.cache.directory import head_path, make, put, slice_path


def in_directory(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in root.glob("[0-9a-f][0-9a-f]/*")}


def is_like(counting: Counting, root: Path) -> bool:
    there = in_directory(root)
    held = counting.holdings
    return set(held) == there.keys() and held.bytes == sum(there.values())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def pace() -> Pace:
    return Pace(lambda _: None)


@pytest.fixture
def counting(root: Path, pace: Pace) -> Iterator[Counting]:
    for number in range(50):
        put(slice_path(root, number), number)
        put(head_path(root, number), 5)
    begun = Counting(root, pace)
    begun.begin()
    yield begun
    begun.close()
    assert pace.errors == 0


def test_what_was_there_is_counted(root: Path, counting: Counting) -> None:
    assert counting.scanned
    assert counting.holdings.files == 100
    assert is_like(counting, root)


def test_what_was_there_goes_by_age(root: Path, pace: Pace) -> None:
    ages = {number: (number * 7) % 20 for number in range(20)}
    for number, age in ages.items():
        put(slice_path(root, number), 1, age)
    counting = Counting(root, pace)
    counting.begin()
    victims = [counting.holdings.victim(lambda _: 0) for _ in ages]
    oldest_first = sorted(ages, key=lambda number: -ages[number])
    assert [victim and victim[0] for victim in victims] == [
        slice_path(root, number).name for number in oldest_first
    ]
    counting.close()


def test_changes_are_followed(root: Path, counting: Counting) -> None:
    put(slice_path(root, 1000), 7)
    put(slice_path(root, 3), 70)  # replaced by one of another size
    slice_path(root, 4).unlink()
    head_path(root, 5).unlink()
    slice_path(root, 6).rename(root / "tmp" / "away")
    (root / "00" / "notes.txt").write_bytes(b"not ours")
    counting.follow(0.0)
    (root / "00" / "notes.txt").unlink()
    assert is_like(counting, root)
    assert counting.holdings.files == 98


def test_a_change_that_is_told_late_is_no_harm(root: Path, counting: Counting) -> None:
    path = put(slice_path(root, 1000), 7)
    path.unlink()
    put(path, 8)
    counting.holdings.gone(path.name)
    counting.follow(0.0)
    assert is_like(counting, root)


def test_more_changes_than_are_told_are_found(root: Path, counting: Counting) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(most // 2 + 10):
        path = root / f"{number % 256:02x}" / "other"
        path.touch()
        path.unlink()
    put(slice_path(root, 1000), 7)
    slice_path(root, 7).unlink()
    for _ in range(100):
        counting.follow(0.0)
    assert is_like(counting, root)


def test_a_fault_of_the_watch_is_survived(
    root: Path, counting: Counting, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Batch:
        raise OSError(5, "Input/output error")

    put(slice_path(root, 1000), 7)
    with monkeypatch.context() as patch:
        patch.setattr(DirectoryWatch, "read", broken)
        counting.follow(0.0)
    assert pace.errors == 1
    assert is_like(counting, root)
    pace.errors = 0


def test_without_the_kernels_help_all_is_read_again(
    root: Path, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Inotify:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(watching, "Inotify", none)
    for number in range(300):
        put(slice_path(root, number), 1)
    counting = Counting(root, pace)
    counting.begin()
    for number in range(0, 300, 3):
        slice_path(root, number).unlink()
    put(slice_path(root, 1000), 7)
    counting.follow(0.0)
    assert not is_like(counting, root)  # not yet its time
    pace.put_off("scan", 0.0)
    counting.follow(0.0)
    assert is_like(counting, root)
    counting.close()


def test_shards_that_are_missing_are_made(tmp_path: Path, pace: Pace) -> None:
    counting = Counting(tmp_path, pace)
    counting.begin()
    assert len(list(tmp_path.iterdir())) == 256
    put_in = slice_path(tmp_path, 1)
    put_in.write_bytes(b"123")
    counting.follow(0.0)
    assert is_like(counting, tmp_path)
    counting.close()
    assert pace.errors == 0


def test_a_directory_that_can_not_be_had_is_faults_only(tmp_path: Path, pace: Pace) -> None:
    (tmp_path / "file").touch()
    counting = Counting(tmp_path / "file", pace)
    counting.begin()
    counting.follow(0.0)
    counting.close()
    assert counting.holdings.files == 0
    assert pace.errors == 512


ACTS = st.lists(
    st.tuples(st.sampled_from(["slice", "head", "unlink", "follow"]), st.integers(0, 5)),
    max_size=30,
)


@settings(max_examples=15, deadline=None)
@given(ACTS, ACTS)
def test_any_history_ends_in_the_right_count(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = make(Path(directory))
        counting = Counting(root, Pace(lambda _: None))
        for number, (act, which) in enumerate([*before, ("begin", 0), *after]):
            if act == "slice":
                put(slice_path(root, which), number)
            elif act == "head":
                put(head_path(root, which), number)
            elif act == "unlink":
                for path in (slice_path(root, which), head_path(root, which)):
                    path.unlink(missing_ok=True)
            elif act == "begin":
                counting.begin()
            elif counting.scanned:
                counting.follow(0.0)
        counting.follow(0.0)
        assert is_like(counting, root)
        counting.close()


def test_nothing_is_left_open(root: Path, pace: Pace) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        counting = Counting(root, pace)
        counting.begin()
        counting.close()
        counting.close()
    assert len(os.listdir("/dev/fd")) == before

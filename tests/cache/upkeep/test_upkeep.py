"""A real directory is kept within its limits, whatever its file system says."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from proxy.cache.disk.hits import HitTable
from proxy.cache.upkeep.pacing import Pace
from proxy.cache.upkeep.upkeep import FIRST_SWEEP_AGE, HEAD_AGE, SWEEP_AGE, Limits, Removed, Upkeep
from tests.cache.directory import head_path, make, put, slice_path

MANY = 1 << 60


class Ended(Exception):
    """Enough rounds."""


class Kept:
    """An upkeep that is run for so many rounds at a time, in this thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hits = HitTable.open(root / "hits")
        self.removed = Removed()
        self.pace = Pace(self._wait)
        self.limits = Limits(MANY, MANY, 0)
        self.in_memory = False
        self._rounds = 0

    def _wait(self, seconds: float) -> None:
        self._rounds -= seconds >= 0.05
        if self._rounds < 0:
            raise Ended

    def run(self, rounds: int = 3, **limits: int) -> Upkeep:
        """As a process that has just become the janitor does."""
        given = {"bytes": MANY, "files": MANY, "free": 0, **limits}
        told = Limits(given["bytes"], given["files"], given["free"], self.in_memory)
        upkeep = Upkeep(self.root, told, self.hits, self.removed, self.pace)
        self._rounds = rounds - 1
        with pytest.raises(Ended):
            upkeep.run()
        return upkeep


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(make(tmp_path))
    yield made
    made.hits.close()


def slices(root: Path) -> set[Path]:
    return set(root.glob("[0-9a-f][0-9a-f]/*.[0-9]*"))


def test_below_its_limits_nothing_goes(kept: Kept) -> None:
    paths = {put(slice_path(kept.root, number), 100) for number in range(50)}
    kept.run(bytes=5000, files=50)
    assert slices(kept.root) == paths
    assert kept.removed == Removed()
    published = kept.hits.usage()
    assert published is not None
    assert (published.bytes, published.files, published.full) == (5000, 50, False)


@pytest.mark.parametrize("limits", [{"bytes": 199_999}, {"files": 1999}])
def test_above_a_limit_the_oldest_go_until_one_percent_below(
    kept: Kept, limits: dict[str, int]
) -> None:
    paths = [put(slice_path(kept.root, number), 100, 5000 - number) for number in range(2000)]
    kept.run(**limits)
    assert slices(kept.root) == set(paths[21:])
    assert kept.removed == Removed(evicted=21, evicted_bytes=2100)


def test_a_lot_goes_in_several_rounds_down_to_the_goal(kept: Kept) -> None:
    for number in range(3000):
        put(slice_path(kept.root, number), 1)
    kept.run(1, bytes=100)
    assert len(slices(kept.root)) == 3000 - 1024
    published = kept.hits.usage()
    assert published is not None
    assert published.full
    kept.run(6, bytes=100)
    assert len(slices(kept.root)) == 99


@pytest.mark.parametrize(("held", "full"), [(104, False), (106, True)])
def test_full_is_what_no_eviction_helps(kept: Kept, held: int, full: bool) -> None:
    put(head_path(kept.root, 1), held)
    kept.run(bytes=100)
    published = kept.hits.usage()
    assert published is not None
    assert published.full == full


def test_what_is_used_in_any_process_stays(kept: Kept) -> None:
    paths = [put(slice_path(kept.root, number), 100, 500 - number) for number in range(100)]
    for path in paths[:20]:
        kept.hits.touch(path.name)
    kept.run(bytes=5000)
    assert slices(kept.root) == {*paths[:20], *paths[-29:]}


def test_what_comes_in_later_is_kept_within_the_limit(kept: Kept) -> None:
    come = iter(range(500))

    def wait(seconds: float) -> None:
        kept._wait(seconds)
        for number in islice(come, 50):
            put(slice_path(kept.root, number), 100)

    kept.pace.wait = wait
    kept.run(14, bytes=10_000)
    assert 90 <= len(slices(kept.root)) <= 100
    assert kept.removed.evicted == 500 - len(slices(kept.root))


def test_in_memory_files_count_by_pages_and_those_being_written_too(kept: Kept) -> None:
    paths = [put(slice_path(kept.root, number), 100, 50 - number) for number in range(10)]
    kept.in_memory = True
    kept.run(bytes=10 * 5120)
    assert slices(kept.root) == set(paths)
    (kept.root / "tmp" / "being-written").write_bytes(bytes(3 * 4096))
    kept.run(bytes=10 * 5120)
    assert slices(kept.root) == set(paths[3:]), "3 pages, what is beside, and 1 percent"
    published = kept.hits.usage()
    assert published is not None
    assert published.bytes == 7 * 5120 + 3 * 4096 + 1024


def test_heads_without_slices_go_when_they_are_old(kept: Kept) -> None:
    old, young = HEAD_AGE + 5, HEAD_AGE - 30
    for number, age in enumerate((old, young, old, young)):
        put(head_path(kept.root, number), 10, age)
    for number in (2, 3):
        put(slice_path(kept.root, number), 10)
    for number in range(10, 300):
        put(head_path(kept.root, number), 10, old)
    kept.run(4)
    assert {path.name for path in kept.root.glob("??/*.head")} == {
        head_path(kept.root, number).name for number in (1, 2, 3)
    }
    assert kept.removed == Removed()


def test_a_head_goes_with_its_last_slice(kept: Kept) -> None:
    for number in range(100):
        put(head_path(kept.root, number), 10, HEAD_AGE + 5)
        put(slice_path(kept.root, number), 90, 500 - number)
        put(slice_path(kept.root, 100 + number), 90, 500 - number)
    put(slice_path(kept.root, 0, 1), 90, 0)
    upkeep = kept.run(1, files=200)
    assert head_path(kept.root, 0).exists()
    assert not head_path(kept.root, 1).exists()
    assert upkeep.counting.holdings.files <= 198
    assert kept.removed.evicted <= 75  # every second one took its head along
    assert len(list(kept.root.glob("??/*"))) == upkeep.counting.holdings.files


def test_what_dead_writers_left_goes(kept: Kept) -> None:
    tmp = kept.root / "tmp"
    for name, age in (("young", 0.0), ("middle", FIRST_SWEEP_AGE + 5), ("old", SWEEP_AGE + 5)):
        (tmp / name).touch()
        then = (tmp / name).stat().st_mtime - age
        os.utime(tmp / name, (then, then))
    kept.run()
    assert os.listdir(tmp) == ["young"]
    assert kept.removed.orphans == 2


def test_what_is_not_ours_is_left_alone_and_not_counted(kept: Kept) -> None:
    others = [kept.root / "00" / "notes", kept.root / "a", slice_path(kept.root, 1)]
    others[0].write_bytes(b"x" * 100)
    others[1].write_bytes(b"x" * 100)
    others[2].mkdir()
    upkeep = kept.run(bytes=0, files=0)
    assert upkeep.counting.holdings.files == upkeep.counting.holdings.bytes == 0
    assert all(path.exists() for path in others)


def test_a_slice_that_can_not_be_removed_is_still_counted(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        put(slice_path(kept.root, number), 100)

    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        upkeep = kept.run(5, bytes=500)
    assert upkeep.counting.holdings.bytes == 1000
    assert kept.removed.evicted == 0
    assert 1 <= kept.pace.errors <= 5
    assert len(caplog.records) == 1
    published = kept.hits.usage()
    assert published is not None
    assert published.full


def test_a_slice_somebody_else_removes_meanwhile_is_no_fault(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        put(slice_path(kept.root, number), 100, 100 - number)
    unlink_first: list[Callable[[], None]] = [slice_path(kept.root, 0).unlink]

    def take(_: str) -> int:
        while unlink_first:
            unlink_first.pop()()
        return 0

    monkeypatch.setattr(kept.hits, "take", take)
    upkeep = kept.run(bytes=950)
    assert upkeep.counting.holdings.bytes == 900
    assert kept.pace.errors == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB where one can be mounted; else the one there is."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    yield path
    if mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_room_is_left_on_the_disk(small_disk: Path) -> None:
    kept = Kept(make(small_disk))
    for number in range(80):
        put(slice_path(kept.root, number), 65536, 100 - number)
    status = os.statvfs(small_disk)
    free = status.f_bavail * status.f_frsize
    kept.run(free=free + (1 << 20))
    assert 16 <= kept.removed.evicted <= 40
    assert not slice_path(kept.root, 0).exists()
    assert slice_path(kept.root, 79).exists()
    kept.hits.close()


def test_a_full_disk_is_told_and_made_free(small_disk: Path) -> None:
    kept = Kept(make(small_disk))
    with contextlib.suppress(OSError):  # it is full, if it is a small one
        for number in range(70):
            put(slice_path(kept.root, number), 131_072)
    status = os.statvfs(small_disk)
    lacking = status.f_bavail * status.f_frsize + (2 << 20)
    kept.run(1, free=lacking)
    published = kept.hits.usage()
    assert published is not None
    assert published.full
    assert kept.removed.evicted_bytes >= 2 << 20
    (kept.root / "00" / "new").write_bytes(bytes(1 << 20))
    kept.hits.close()

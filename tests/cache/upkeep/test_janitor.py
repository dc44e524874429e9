"""One process keeps the directory at any time, and another when that dies."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cache.disk.hits import HitTable
from proxy.cache.upkeep.janitor import Janitor, Limits, Usage
from proxy.cache.upkeep.upkeep import Upkeep
from tests.cache.directory import Keeper, eventually, head_path, make, put, slice_path

LIMITS = Limits(bytes=10_000, files=1000, free=0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def janitor(root: Path) -> Iterator[Janitor]:
    hits = HitTable.open(root / "hits")
    made = Janitor(root, LIMITS, hits)
    yield made
    made.stop()
    hits.close()
    assert not [one for one in threading.enumerate() if one.name == "cache-janitor"]


def is_ready(janitor: Janitor) -> bool:
    known = janitor.statistics()
    return known.is_janitor and known.scanned


def test_it_counts_follows_and_evicts(root: Path, janitor: Janitor) -> None:
    assert janitor.statistics() == Usage(0, 0, 0, 0, 0, 0, is_janitor=False, scanned=False)
    put(slice_path(root, 1), 100)
    put(head_path(root, 1), 5)
    janitor.start()
    eventually(lambda: is_ready(janitor))
    assert janitor.statistics() == Usage(105, 2, 0, 0, 0, 0, is_janitor=True, scanned=True)
    for number in range(200):
        put(slice_path(root, number), 100)
    eventually(lambda: janitor.statistics().evicted >= 100)
    eventually(lambda: janitor.statistics().bytes <= 10_000)
    known = janitor.statistics()
    assert known.evicted_bytes == 100 * known.evicted
    assert known.errors == 0


def test_it_stops_within_two_seconds_whatever_it_does(root: Path, janitor: Janitor) -> None:
    for number in range(2000):
        put(slice_path(root, number), 100)
    for _ in range(3):
        janitor.start()
        begun = time.monotonic()
        janitor.stop()
        assert time.monotonic() - begun < 20, "two seconds, and a machine that is busy"
    janitor.start()
    eventually(lambda: is_ready(janitor))
    janitor.stop()
    assert not janitor.statistics().is_janitor
    janitor.stop()


def test_nothing_is_left_open(root: Path, janitor: Janitor) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        janitor.start()
        eventually(lambda: is_ready(janitor))
        janitor.stop()
    assert len(os.listdir("/dev/fd")) == before


@pytest.fixture
def keepers(root: Path) -> Iterator[list[Keeper]]:
    started: list[Keeper] = []
    yield started
    for one in started:
        one.kill()


def test_another_takes_over_from_one_that_is_killed(root: Path, keepers: list[Keeper]) -> None:
    for number in range(50):
        put(slice_path(root, number), 100)
    keepers += [Keeper(root, 10_000) for _ in range(3)]
    for left in (3, 2, 1):
        eventually(lambda: any(one.is_janitor() for one in keepers))
        told = [one.statistics() for one in keepers]
        assert sum(one["is_janitor"] for one in told) == 1
        eventually(lambda: all(one.statistics()["files"] == 50 for one in keepers))
        # What comes in while nobody looks is found, too.
        [killed] = [one for one in keepers if one.is_janitor()]
        killed.kill()
        keepers.remove(killed)
        put(slice_path(root, 100 + left), 100)
        slice_path(root, left).unlink()
    published = HitTable.open(root / "hits").usage()
    assert published is not None
    assert (published.bytes, published.files, published.full) == (5000, 50, False)


def test_only_the_janitor_evicts(root: Path, keepers: list[Keeper]) -> None:
    keepers += [Keeper(root, 5000) for _ in range(2)]
    eventually(lambda: any(one.is_janitor() for one in keepers))
    for number in range(100):
        put(slice_path(root, number), 100)
    eventually(lambda: sum(one.statistics()["evicted"] for one in keepers) >= 51)
    evicted = {one.statistics()["is_janitor"]: one.statistics()["evicted"] for one in keepers}
    assert evicted[False] == 0
    assert len(list(root.glob("??/*"))) == 100 - evicted[True]


def test_a_lock_that_is_taken_away_is_let_go(root: Path, janitor: Janitor) -> None:
    janitor.start()
    eventually(lambda: is_ready(janitor))
    other, again = Keeper(root, 10_000), 0.0

    def is_taken_over() -> bool:
        nonlocal again
        if other.is_janitor():  # which it says only once it has started
            return True
        if time.monotonic() > again:  # where the same one was quicker again
            (root / "janitor").unlink(missing_ok=True)
            again = time.monotonic() + 5
        return False

    try:
        eventually(is_taken_over)
        eventually(lambda: not janitor.statistics().is_janitor)
        assert other.is_janitor()
    finally:
        other.kill()
    eventually(lambda: is_ready(janitor))


def test_a_directory_that_goes_and_comes_back_is_kept_again(root: Path, janitor: Janitor) -> None:
    janitor.start()
    eventually(lambda: is_ready(janitor))
    for one in list(root.iterdir()):
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()
    root.rename(root.parent / "away")
    eventually(lambda: not janitor.statistics().is_janitor)
    root.mkdir()
    make(root)
    put(slice_path(root, 1), 100)
    eventually(lambda: is_ready(janitor) and janitor.statistics().bytes == 100)
    assert janitor.statistics().errors > 0


def test_a_fault_of_ours_is_told_and_it_begins_anew(
    root: Path, janitor: Janitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()

    def fail(_: Upkeep) -> None:
        broken.set()
        raise ZeroDivisionError("a slip")

    with monkeypatch.context() as patch:
        patch.setattr(Upkeep, "run", fail)
        janitor.start()
        assert broken.wait(60)
    eventually(lambda: is_ready(janitor))
    assert "a slip" in caplog.text
    assert janitor.statistics().errors == 1

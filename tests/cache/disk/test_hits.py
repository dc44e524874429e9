"""Counters in a file that several processes have mapped, and that may hold anything."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk import hits
from proxy.cache.disk.hits import BUCKETS, PIECE, SIZE, HitTable, Published, bucket_of


def name(number: int) -> str:
    return f"{number * 2654435761 % 2**128:032x}.{number:016x}.{number % 10}"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[HitTable]:
    opened = HitTable.open(tmp_path / "hits")
    assert opened.shared
    yield opened
    opened.close()


@pytest.mark.parametrize(("touched", "taken"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (500, 3)])
def test_uses_are_counted_up_to_three_and_taken_once(
    table: HitTable, touched: int, taken: int
) -> None:
    for _ in range(touched):
        table.touch(name(1))
    assert (table.take(name(1)), table.take(name(1))) == (taken, 0)
    assert table.take(name(2)) == 0


def test_a_bucket_can_be_kept(table: HitTable) -> None:
    bucket = bucket_of(name(7))
    table.touch_bucket(bucket)
    table.touch(name(7))
    assert table.take(name(7)) == 2
    for _ in range(9):
        table.touch_bucket(bucket)
    assert table.take(name(7)) == 3


def test_names_spread_over_the_counters() -> None:
    object_ = f"{random.Random(1).getrandbits(128):032x}.0123456789abcdef"
    slices = {bucket_of(f"{object_}.{index}") for index in range(1000)}
    assert len(slices) > 990
    assert len({bucket_of(name(number)) for number in range(100_000)}) > 93_000
    assert max(slices) < BUCKETS


def test_aging_halves_each_counter_once(table: HitTable) -> None:
    table._map[0], table._map[PIECE], table._map[BUCKETS - 1] = 3, 1, 2
    table.publish(Published(1, 2, False, 3.0))
    begin = table.age(0)
    assert begin == PIECE
    while begin:
        begin = table.age(begin)
    assert (table._map[0], table._map[PIECE], table._map[BUCKETS - 1]) == (1, 0, 1)
    assert table.usage() == Published(1, 2, False, 3.0)


COUNT = """
import sys
from pathlib import Path
from proxy.cache.disk.hits import HitTable
table = HitTable.open(Path(sys.argv[1]))
for name in sys.argv[2:]:
    table.touch(name)
print(table.usage())
"""


def test_another_process_sees_what_is_counted_and_published(
    table: HitTable, tmp_path: Path
) -> None:
    table.publish(Published(5, 6, True, 7.5))
    command = [sys.executable, "-c", COUNT, str(tmp_path / "hits"), name(1), name(2), name(2)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(Published(5, 6, True, 7.5))
    assert (table.take(name(1)), table.take(name(2)), table.take(name(3))) == (1, 2, 0)


def test_what_was_counted_is_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        before = HitTable.open(tmp_path / "hits")
        before.touch(name(1))
        before.close()
    after = HitTable.open(tmp_path / "hits")
    assert after.take(name(1)) == 2
    after.close()


@given(st.sampled_from([0, 1, BUCKETS, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE]), st.binary(max_size=70))
def test_any_file_will_do(tmp_path_factory: pytest.TempPathFactory, size: int, end: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "hits"
    whole = random.Random(size).randbytes(size) if size else b""
    path.write_bytes((whole[: max(0, size - len(end))] + end)[:size])
    table = HitTable.open(path)
    assert table.shared
    assert path.stat().st_size >= SIZE
    assert table.usage() is None
    for number in range(20):
        table.touch(name(number))
        assert 1 <= table.take(name(number)) <= 3
    table.publish(Published(1, 1, False, 1.0))
    assert table.usage() == Published(1, 1, False, 1.0)
    table.close()


def test_a_file_that_is_mapped_is_never_cut(table: HitTable, tmp_path: Path) -> None:
    with (tmp_path / "hits").open("ab") as file:
        file.write(b"more")
    other = HitTable.open(tmp_path / "hits")
    other.touch(name(1))
    assert table.take(name(1)) == 1
    assert (tmp_path / "hits").stat().st_size == SIZE + 4
    other.close()


def test_its_blocks_are_there_before_they_are_written(table: HitTable, tmp_path: Path) -> None:
    assert (tmp_path / "hits").stat().st_blocks * 512 >= BUCKETS


@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "missing directory"])
def test_where_no_file_can_be_had_the_counters_are_our_own(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hits"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path = tmp_path / "gone" / "hits"
    table = HitTable.open(path)
    assert not table.shared
    table.touch(name(1))
    assert table.take(name(1)) == 1
    assert "hit counters" in caplog.text
    assert not (tmp_path / "elsewhere").exists()
    table.close()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.booleans(), st.integers(0, 59))
def test_what_is_published_is_read_whole_or_not_at_all(
    used: int, files: int, full: bool, place: int
) -> None:
    table = HitTable.open(Path("/dev/null/none"))
    published = Published(used, files, full, 1.5)
    table.publish(published)
    assert table.usage() == published
    table._map[hits._PLACE + place] ^= 1
    assert table.usage() is None
    table.close()


def test_descriptors_are_not_kept(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        HitTable.open(tmp_path / "hits").close()
    assert len(os.listdir("/dev/fd")) == before

"""The cache's directory: who may own it, what is found in it, and what is left when it fails."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.cache.disk.claims import Claim
from proxy.cache.disk.files import SHARDS, Files, Found
from proxy.cache.disk.format import MOST_HEAD, write_footer
from proxy.cache.disk.stored import DamagedSlice
from proxy.cache.rules.naming import HEAD, OPENING, object_name, slice_name, version_name
from proxy.errors import StartError
from tests.cache.claiming import Writers, size_of, writers
from tests.cache.directory import eventually
from tests.cache.samples import a_head, bytes_of, descriptors, label_of, put_slice, table_of

OBJECT = object_name("store", "key")
VERSION = "cd" * 8
NAME = slice_name(OBJECT, VERSION, 0)
BODY = bytes_of(100_000)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(str(tmp_path / "cache"))
    made.prepare()
    return made


@pytest.fixture(scope="module")
def others() -> Iterator[Writers]:
    with writers() as made:
        yield made


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """So many files can be opened inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(count + 1)]
    for one in spare:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def left_in_tmp(files: Files) -> list[str]:
    return os.listdir(os.path.join(files.root, "tmp"))


# --- the directory itself -----------------------------------------------------------------------


def test_it_is_made_and_private(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    for _ in range(2):
        Files(str(root)).prepare()
    assert sorted(os.listdir(root)) == sorted([*SHARDS, "tmp"])
    for path in (root, root / "tmp", root / "00", root / "ff"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_one_that_others_may_read_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Files(str(tmp_path)).prepare()


def refused(root: Path) -> str:
    """Why a directory is refused, in one line."""
    with pytest.raises(StartError) as raised:
        Files(str(root)).prepare()
    told = str(raised.value)
    assert "\n" not in told
    assert "cache.directory" in told
    assert str(root) in told
    return told


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777, 0o720])
def test_one_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(mode)
    assert "chmod 700" in refused(root)
    assert os.listdir(root) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.symlink_to(tmp_path / "elsewhere")
    assert "File exists" in refused(root)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    assert "is no directory" in refused(root)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "File exists" in refused(tmp_path / "file")
    assert "Not a directory" in refused(tmp_path / "file" / "below")
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    (root / "tmp").touch()
    assert "File exists" in refused(root)


def test_anothers_is_refused(tmp_path: Path) -> None:
    root = Path("/etc")  # where we are not root, it is root's
    if not os.geteuid():
        root = tmp_path / "cache"
        root.mkdir(mode=0o700)
        os.chown(root, 65534, 65534)
    assert "belong to the user" in refused(root)


_AS_ANOTHER = """
import os, sys
from proxy.cache.disk.files import Files
from proxy.errors import StartError
if not os.geteuid():
    os.chown(sys.argv[1], 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    Files(sys.argv[1]).prepare()
except StartError as error:
    print(error)
"""


def test_one_that_can_not_be_written_to_is_refused() -> None:
    with TemporaryDirectory() as directory:
        os.chmod(directory, 0o500)
        command = [sys.executable, "-c", _AS_ANOTHER, directory]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [line] = told.splitlines()
    assert f"cache.directory '{directory}' can't be used (Permission denied)" in line


# --- heads --------------------------------------------------------------------------------------


def test_a_head_is_read_as_it_was_written(files: Files) -> None:
    assert files.read_head(OBJECT) is None
    first = a_head()
    files.write_head(OBJECT, first)
    assert files.read_head(OBJECT) == first
    second = replace(first, validated=2.0)
    files.write_head(OBJECT, second)
    assert files.read_head(OBJECT) == second
    assert os.stat(files.path(OBJECT + HEAD)).st_mode & 0o777 == 0o600
    assert left_in_tmp(files) == []


@pytest.mark.parametrize("content", [b"", b"HGhead1\n", bytes(MOST_HEAD + 10)])
def test_a_damaged_head_is_none_and_is_unlinked(files: Files, content: bytes) -> None:
    path = Path(files.path(OBJECT + HEAD))
    path.write_bytes(content)
    assert files.read_head(OBJECT) is None
    assert not path.exists()


def test_heads_are_replaced_as_a_whole(files: Files) -> None:
    heads = [a_head(key=f"{number}" * 3000) for number in range(4)]
    files.write_head(OBJECT, heads[0])
    done = threading.Event()

    def write() -> None:
        for number in range(120):
            files.write_head(OBJECT, heads[number % 4])

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write) for _ in range(2)]
        while not all(one.done() for one in writing):
            assert files.read_head(OBJECT) in heads
        done.set()
        for one in writing:
            one.result()
    assert left_in_tmp(files) == []


def test_a_head_that_can_not_be_put_in_place_leaves_nothing(files: Files) -> None:
    os.rmdir(os.path.join(files.root, OBJECT[:2]))
    with pytest.raises(FileNotFoundError):
        files.write_head(OBJECT, a_head())
    assert left_in_tmp(files) == []


def test_one_asks_about_an_object_and_is_told_what_is_known(files: Files) -> None:
    first = files.open_or_wait(OBJECT)
    assert (first.head, first.claim.mine) == (None, True)
    assert first.claim.path.endswith(OBJECT + OPENING)
    second = files.open_or_wait(OBJECT)
    assert not second.claim.mine
    files.write_head(OBJECT, a_head())
    first.claim.withdraw()
    first.close()
    assert not second.claim.is_locked()
    second.close()
    third = files.open_or_wait(OBJECT)
    assert (third.head, third.claim.mine) == (a_head(), True)
    third.claim.withdraw()
    third.close()
    assert left_in_tmp(files) == []


def test_a_claim_is_closed_where_the_head_can_not_be_read(files: Files) -> None:
    os.symlink("/dev/null", files.path(OBJECT + HEAD))
    with pytest.raises(OSError, match="symbolic links"):
        files.open_or_wait(OBJECT)


# --- slices -------------------------------------------------------------------------------------


def test_a_slice_is_filled_by_one_and_found_by_all(files: Files) -> None:
    held = files.look(NAME)
    assert isinstance(held, Claim)
    assert held.mine
    follower = files.look(NAME)
    assert isinstance(follower, Claim)
    assert not follower.mine
    held.write([BODY[:60_000]])
    assert follower.read(100_000, 0) == BODY[:60_000]
    label, table = label_of(BODY), table_of(BODY)
    files.finish_slice(held, NAME, [BODY[60_000:]], label, table)
    held.close()
    assert not follower.is_locked()
    assert follower.read(200_000, 0)[: len(BODY)] == BODY
    follower.close()
    found = files.look(NAME)
    assert isinstance(found, Found)
    assert (found.label, found.table) == (label, table)
    assert os.pread(found.number, len(BODY), 0) == BODY
    found.close()
    assert Path(files.path(NAME)).read_bytes() == BODY + write_footer(label, table)
    assert left_in_tmp(files) == []
    assert files.are_there([NAME, NAME + "1"]) == [True, False]


def test_one_that_was_finished_between_two_looks_is_found(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = files.open_slice, 0

    def open_slice(name: str) -> Found | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            put_slice(files, name, BODY)
        return real(name)

    monkeypatch.setattr(files, "open_slice", open_slice)
    found = files.look(NAME)
    assert isinstance(found, Found)
    found.close()
    assert left_in_tmp(files) == []


@pytest.mark.parametrize("content", [b"", b"x", bytes(100), BODY])
def test_a_damaged_slice_is_told_and_unlinked(files: Files, content: bytes) -> None:
    path = Path(files.path(NAME))
    for look in (files.look, files.open_slice):
        path.write_bytes(content)
        with pytest.raises(DamagedSlice) as raised:
            look(NAME)
        assert str(raised.value) == str(path)
        assert not path.exists()
    assert left_in_tmp(files) == []


def test_a_claim_is_closed_where_the_slice_is_damaged_between_two_looks(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = files.open_slice, 0

    def open_slice(name: str) -> Found | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            Path(files.path(name)).write_bytes(b"damaged")
        return real(name)

    monkeypatch.setattr(files, "open_slice", open_slice)
    with pytest.raises(DamagedSlice):
        files.look(NAME)
    held = files.look(NAME)
    assert isinstance(held, Claim)
    assert held.mine
    held.close()


@pytest.mark.parametrize("count", [0, 1])
def test_without_descriptors_no_claim_stays_locked(files: Files, count: int) -> None:
    with descriptors_left(count), pytest.raises(OSError, match="Too many open files"):
        files.look(NAME)
    held = files.look(NAME)
    assert isinstance(held, Claim)
    assert held.mine
    held.close()


def test_a_writer_that_is_killed_is_taken_over(files: Files, others: Writers) -> None:
    path = Path(files.temporary(NAME))
    child = others.begin(path, len(BODY), stop=70_000)
    eventually(lambda: size_of(path) == 70_000)
    looking = files.look(NAME)
    assert isinstance(looking, Claim)
    assert not looking.mine
    child.kill()
    held = files.look(NAME)
    assert isinstance(held, Claim)
    assert held.mine
    files.finish_slice(held, NAME, [BODY], label_of(BODY), table_of(BODY))
    assert looking.read(200_000, 0)[: len(BODY)] == BODY
    held.close()
    looking.close()
    assert left_in_tmp(files) == []


# --- removing and listing -----------------------------------------------------------------------


def test_a_version_is_removed_and_no_other(files: Files) -> None:
    head = a_head()
    version = version_name(head.representation, head.width)
    files.write_head(OBJECT, head)
    other = object_name("store", "other")
    kept = [slice_name(OBJECT, VERSION, 0), slice_name(other, version, 0)]
    for name in [*kept, *(slice_name(OBJECT, version, index) for index in (0, 1, 10))]:
        put_slice(files, name, BODY[:10])
    files.remove_version(OBJECT, version)
    assert sorted(files.names()) == sorted(kept)
    files.write_head(OBJECT, head)
    files.remove_version(OBJECT, VERSION)  # the head is of another version: it stays
    assert sorted(files.names()) == sorted([OBJECT + HEAD, kept[1]])
    files.remove_version(OBJECT, VERSION)


def test_names_are_those_of_the_files(files: Files) -> None:
    assert list(files.names()) == []
    names = [slice_name(object_name("store", key), VERSION, 0) for key in "abcdefgh"]
    for name in names:
        put_slice(files, name, b"x")
    assert sorted(files.names()) == sorted(names)
    shard = names[0][:2]
    assert names[0] in list(files.names((shard,)))
    os.rename(os.path.join(files.root, shard), os.path.join(files.root, "away"))
    assert names[0] not in list(files.names())
    assert files.names_of(names[0][:32]) == []


def test_the_head_comes_first(files: Files) -> None:
    for index in range(5):
        put_slice(files, slice_name(OBJECT, VERSION, index), b"x")
    files.write_head(OBJECT, a_head())
    put_slice(files, f"{OBJECT[:2]}{'0' * 30}.{VERSION}.0", b"x")
    found = files.names_of(OBJECT)
    assert found[0] == OBJECT + HEAD
    assert len(found) == 6


def test_dropping_what_is_not_there_does_nothing(files: Files) -> None:
    path = put_slice(files, NAME, BODY)
    for _ in range(2):
        files.drop(str(path))
    assert not path.exists()

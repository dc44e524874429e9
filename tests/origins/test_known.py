"""Files that were opened a moment ago: they are opened again without asking where they lie, and
never in place of what is there now."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from time import monotonic

import pytest

from proxy.errors import Fault, NotFound, ObjectChanged
from proxy.origins import directory, known, leases
from proxy.origins.base import WHOLE, Want
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.tree import Tree
from proxy.semantics.representation import Representation, Span
from tests.origins.test_directory import descriptors, serving

OLD = 1_700_000_000


@pytest.fixture
async def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DirectoryOrigin]:
    # Times of inodes can't be set: here a file that was written just now is as good as an old one.
    monkeypatch.setattr(directory, "_TICK_NS", 0)
    write(tmp_path / "a", b"one")
    async with serving(tmp_path, recheck=5) as made:
        yield made


def write(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    os.utime(path, (OLD, OLD))


async def body_of(origin: DirectoryOrigin, key: str, want: Want = WHOLE) -> bytes:
    opened = await origin.open(key, want)
    try:
        span = Span(0, opened.representation.size)
        async with aclosing(opened.read(span)) as buffers:
            return b"".join([one async for one in buffers])
    finally:
        await opened.aclose()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths that were looked for by all rules of the tree."""
    found: list[bytes] = []
    open_file = Tree.open_file

    def noting(tree: Tree, path: bytes) -> tuple[int, os.stat_result]:
        found.append(path)
        return open_file(tree, path)

    monkeypatch.setattr(Tree, "open_file", noting)
    return found


async def test_where_a_file_lies_is_asked_once(origin: DirectoryOrigin, asked: list[bytes]) -> None:
    before = descriptors()
    for _ in range(3):
        assert await body_of(origin, "a") == b"one"
    assert asked == [b"a"]
    assert descriptors() == before


async def test_with_zero_it_is_asked_each_time(
    tmp_path: Path, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_TICK_NS", 0)
    write(tmp_path / "a", b"one")
    async with serving(tmp_path, recheck=0) as origin:
        for _ in range(3):
            assert await body_of(origin, "a") == b"one"
    assert asked == [b"a"] * 3


async def test_a_young_file_is_never_known(tmp_path: Path, asked: list[bytes]) -> None:
    (tmp_path / "a").write_bytes(b"one")
    async with serving(tmp_path, recheck=5) as origin:
        await body_of(origin, "a")
        await body_of(origin, "a")
    assert asked == [b"a", b"a"]


def overwrite(path: Path) -> None:
    write(path, b"two")


def replace(path: Path) -> None:
    write(path.with_name("b"), b"two")
    path.with_name("b").replace(path)


def link(path: Path) -> None:
    write(path.with_name("b"), b"two")
    path.unlink()
    path.symlink_to("b")


@pytest.mark.parametrize("change", [overwrite, replace, link])
async def test_what_is_there_now_is_given(
    tmp_path: Path, origin: DirectoryOrigin, change: Callable[[Path], None]
) -> None:
    assert await body_of(origin, "a") == b"one"
    change(tmp_path / "a")
    assert await body_of(origin, "a") == b"two"


def remove(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lead_outside(path: Path) -> None:
    outside = path.parent.parent / f"{path.parent.name} outside"
    write(outside, b"secret")
    path.unlink()
    path.symlink_to(outside)


@pytest.mark.parametrize("change", [remove, make_directory, lead_outside])
async def test_what_may_not_be_seen_now_is_not(
    tmp_path: Path, origin: DirectoryOrigin, change: Callable[[Path], None]
) -> None:
    assert await body_of(origin, "a") == b"one"
    before = descriptors()
    change(tmp_path / "a")
    with pytest.raises(NotFound):
        await body_of(origin, "a")
    assert descriptors() == before


async def test_other_rights_are_noticed(
    tmp_path: Path, origin: DirectoryOrigin, asked: list[bytes]
) -> None:
    await body_of(origin, "a")
    (tmp_path / "a").chmod(stat.S_IRUSR)
    await body_of(origin, "a")
    assert asked == [b"a", b"a"]


async def test_a_directory_that_moved_outside_is_noticed_when_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the same, but the way to it is no longer allowed."""
    monkeypatch.setattr(directory, "_TICK_NS", 0)
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "d").mkdir(parents=True)
    write(root / "d" / "a", b"one")
    async with serving(root, recheck=5) as origin:
        assert await body_of(origin, "d/a") == b"one"
        (root / "d").rename(outside)
        (root / "d").symlink_to(outside)
        now = monotonic()
        monkeypatch.setattr(leases, "monotonic", lambda: now + 5.1)
        with pytest.raises(NotFound):
            await body_of(origin, "d/a")


async def test_another_version_than_is_wanted_is_refused(origin: DirectoryOrigin) -> None:
    await body_of(origin, "a")
    before = descriptors()
    with pytest.raises(ObjectChanged):
        await origin.open("a", Want(pin=Representation(77)))
    assert descriptors() == before


async def test_they_are_bounded(
    tmp_path: Path,
    origin: DirectoryOrigin,
    asked: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "_MOST", 2)
    for name in "abc":
        write(tmp_path / name, b"one")
        await body_of(origin, name)
    await body_of(origin, "c")
    await body_of(origin, "b")
    assert asked == [b"a", b"b", b"c"]
    await body_of(origin, "a")
    assert asked[3:] == [b"a"]


async def test_after_the_end_nothing_is_known(origin: DirectoryOrigin) -> None:
    await body_of(origin, "a")
    await origin.aclose()
    with pytest.raises(Fault):
        await origin.open("a")

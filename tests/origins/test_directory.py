from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from proxy.errors import NotFound, ObjectChanged, OriginTimeout, OriginUnavailable, StartError
from proxy.origins.base import Entry, Lister, Origin, Page
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.tree import Links
from proxy.semantics.representation import Representation, Span


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[DirectoryOrigin]:
    async with serving(tmp_path) as made:
        yield made


@asynccontextmanager
async def serving(
    root: Path,
    *,
    links: Links = "inside",
    show_hidden: bool = False,
    patience: float = 60,
    recheck: float = 1.0,
) -> AsyncIterator[DirectoryOrigin]:
    origin = DirectoryOrigin(
        root, follow_symlinks=links, show_hidden=show_hidden, patience=patience, recheck=recheck
    )
    try:
        await origin.start()
        yield origin
    finally:
        await origin.aclose()


async def known_of(origin: Origin, key: str) -> Representation:
    opened = await origin.open(key)
    await opened.aclose()
    return opened.representation


async def names(origin: Lister, prefix: str = "") -> list[str]:
    return [entry.name for entry in (await origin.list(prefix)).entries]


def descriptors() -> set[str]:
    """What is open, of files and directories."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found


# --- start and end ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing", "file"])
async def test_a_root_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartError, match=name):
        async with serving(tmp_path / name):
            pass


async def test_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    async with serving(tmp_path) as origin:
        await known_of(origin, "a")
    await origin.aclose()
    with pytest.raises(OriginUnavailable):
        await origin.open("a")


# --- what is known ------------------------------------------------------------------------------


async def test_the_tag_follows_time_size_and_file(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "a"
    then = time.time_ns() - 10**12

    async def tag() -> str:
        known = await known_of(origin, "a")
        assert known.etag is not None
        assert not known.etag.weak
        return str(known.etag)

    path.write_bytes(b"one")
    os.utime(path, ns=(then, then))
    seen = [await tag()]
    os.utime(path, ns=(then, then + 1))
    seen.append(await tag())
    path.write_bytes(b"other")
    os.utime(path, ns=(then, then))
    seen.append(await tag())
    (tmp_path / "b").write_bytes(b"one")
    os.utime(tmp_path / "b", ns=(then, then))
    (tmp_path / "b").replace(path)
    seen.append(await tag())
    assert len(set(seen)) == 4
    assert await tag() == seen[-1]


@pytest.mark.parametrize(
    ("age", "weak"), [(0, True), (1.5, True), (-3600, True), (10, False), (1e9, False)]
)
async def test_a_young_file_has_a_weak_tag(
    tmp_path: Path, origin: Origin, age: float, weak: bool
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    then = time.time() - age
    os.utime(path, (then, then))
    known = await known_of(origin, "a")
    assert known.etag is not None
    assert known.etag.weak is weak


async def test_last_modified_is_whole_seconds_and_never_in_the_future(
    tmp_path: Path, origin: Origin
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    for then, expected in ((1_000_000_000.9, 1_000_000_000), (0.0, 0), (-1.5, -2)):
        os.utime(path, (then, then))
        assert (await known_of(origin, "a")).last_modified == expected
    os.utime(path, (4e9, 4e9))
    modified = (await known_of(origin, "a")).last_modified
    assert modified is not None
    assert time.time() - 60 < modified <= time.time()


async def test_the_type_is_of_the_key_not_of_what_a_link_leads_to(
    tmp_path: Path, origin: Origin
) -> None:
    (tmp_path / "data.bin").write_bytes(b"")
    (tmp_path / "page.HTML").symlink_to("data.bin")
    (tmp_path / "none").symlink_to("data.bin")
    assert (await known_of(origin, "page.HTML")).media_type == "text/html; charset=utf-8"
    assert (await known_of(origin, "none")).media_type is None


# --- leaving ----------------------------------------------------------------------------------


class Gate:
    """Holds a thread inside its work until it may go on."""

    def __init__(self) -> None:
        self.entered, self.may_go, self.left = (threading.Event() for _ in range(3))

    def __call__(self) -> None:
        self.entered.set()
        assert self.may_go.wait(60)


@pytest.mark.parametrize("how", ["cancelled", "late"])
async def test_what_is_opened_for_nobody_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    gate = Gate()
    async with serving(tmp_path, patience=60 if how == "cancelled" else 0.2) as origin:
        really_open = origin._tree.open_file

        def open_slowly(path: bytes) -> tuple[int, os.stat_result]:
            opened = really_open(path)
            gate()
            return opened

        monkeypatch.setattr(origin._tree, "open_file", open_slowly)
        task = asyncio.ensure_future(origin.open("a"))
        await asyncio.to_thread(gate.entered.wait, 60)
        assert str(tmp_path / "a") in descriptors()
        if how == "cancelled":
            task.cancel()
        with pytest.raises((asyncio.CancelledError, OriginTimeout)):
            await task
        gate.may_go.set()
        await until_closed(tmp_path / "a")


async def test_a_thread_that_reads_closes_behind_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a" * 1000)
    gate, results = Gate(), []
    really_read = os.pread

    def read_slowly(number: int, length: int, position: int) -> bytes:
        gate()
        results.append(really_read(number, length, position))
        return results[-1]

    async with serving(tmp_path) as origin:
        opened = await origin.open("a")
        monkeypatch.setattr(opened, "_can_tell", False)
        monkeypatch.setattr(os, "pread", read_slowly)

        async def use() -> None:
            try:
                async with aclosing(opened.read(Span(0, 1000))) as buffers:
                    await anext(buffers)
            finally:
                await opened.aclose()

        task = asyncio.create_task(use())
        await asyncio.to_thread(gate.entered.wait, 60)
        task.cancel()
        await asyncio.wait([task])
        assert str(path) in descriptors()  # or the thread would read another's file
        gate.may_go.set()
        await until_closed(path)
        assert results == [b"a" * 1000]


async def until_closed(path: Path) -> None:
    for _ in range(1000):
        if str(path) not in descriptors():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} is still open")


async def test_a_file_that_grows_while_it_is_served(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    opened = await origin.open("log")
    with path.open("ab") as file:
        file.write(b"two\n")
    with pytest.raises(ObjectChanged):
        await anext(opened.read(Span(0, 4)))
    await opened.aclose()


# --- listing ----------------------------------------------------------------------------------


async def test_lists_directories_first_then_by_octets(tmp_path: Path, origin: Lister) -> None:
    for name in ("b", "B", "a", "é", "😀", "_"):
        (tmp_path / f"f{name}").write_bytes(b"12")
        (tmp_path / f"d{name}").mkdir()
    order = ["B", "_", "a", "b", "é", "😀"]
    assert await names(origin) == [f"d{n}/" for n in order] + [f"f{n}" for n in order]
    os.utime(tmp_path / "fa", (1e9 + 0.9, 1e9 + 0.9))
    entries = (await origin.list("")).entries
    assert entries[8] == Entry("fa", 2, 1_000_000_000)
    assert entries[0] == Entry("dB/")


async def test_hidden_names_are_listed_only_if_wanted(tmp_path: Path, origin: Lister) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_bytes(b"")
    (tmp_path / ".env").write_bytes(b"")
    assert await names(origin) == await names(origin, ".git/") == []
    async with serving(tmp_path, show_hidden=True) as other:
        assert await names(other) == [".git/", ".env"]
        assert await names(other, ".git/") == ["config"]


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("inside", ["dir/", "to-dir/", "file", "to-file"]),
        ("never", ["dir/", "file"]),
        ("anywhere", ["dir/", "to-dir/", "to-dir-outside/", "file", "to-file", "to-outside"]),
    ],
)
async def test_links_are_listed_as_they_are_served(
    tmp_path: Path, links: Links, expected: list[str]
) -> None:
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "file").write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    targets = {
        "to-dir": "dir",
        "to-file": "file",
        "to-outside": "../outside",
        "to-dir-outside": "..",
        "dangling": "missing",
        "loop": "loop",
    }
    for name, target in targets.items():
        (root / name).symlink_to(target)
    async with serving(root, links=links) as origin:
        assert await names(origin) == expected
        for name in targets:
            if name not in expected and f"{name}/" not in expected:
                with pytest.raises(NotFound):
                    await origin.open(name)
                assert await names(origin, f"{name}/") == []
        for entry in (await origin.list("")).entries:
            if not entry.name.endswith("/"):
                assert entry.size == (await known_of(origin, entry.name)).size


async def test_what_cant_be_served_is_not_listed(tmp_path: Path, origin: Lister) -> None:
    (tmp_path / "good").write_bytes(b"")
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    assert await names(origin) == ["good"]


@pytest.mark.parametrize(
    "prefix", ["missing/", "file/", "/", "//", "../", "a/../", "a\0/", "\ud800/"]
)
async def test_nothing_lies_below(tmp_path: Path, origin: Lister, prefix: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert await origin.list(prefix) == Page(())


async def test_a_cursor_may_be_anything(tmp_path: Path, origin: Lister) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"")
    cursors = {"a": "bc", "": "abc", "x/": "abc", "aa": "bc", "\ud800": "", "c": "", "a\0": "bc"}
    for after, expected in cursors.items():
        page = await origin.list("", after)
        assert [entry.name for entry in page.entries] == list(expected), after
        assert page.after is None
    page = await origin.list("", None, 0)
    assert [entry.name for entry in page.entries] == ["a"]


async def test_pages_while_names_come_and_go(tmp_path: Path, origin: Lister) -> None:
    for number in range(10):
        (tmp_path / f"{number}").write_bytes(b"")
    page = await origin.list("", None, 5)
    assert [entry.name for entry in page.entries] == list("01234")
    (tmp_path / "4").unlink()
    (tmp_path / "00").write_bytes(b"")
    (tmp_path / "44").write_bytes(b"")
    page = await origin.list("", page.after, 100)
    assert [entry.name for entry in page.entries] == ["44", *"56789"]


async def test_listing_leaves_nothing_open(tmp_path: Path, origin: Lister) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("dir")
    before = descriptors()
    for prefix in ("", "dir/", "link/", "missing/"):
        await names(origin, prefix)
    assert descriptors() == before

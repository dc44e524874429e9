"""Leases on files: what they notice, how often they look, and when they no longer hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.errors import NotFound
from proxy.origins import leases
from proxy.origins.base import Lease, lease_of
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.leases import REMEMBERED, FileLease, LookedUp, local_devices
from proxy.origins.tree import Links
from tests.origins.test_directory import serving

OLD = 1_700_000_000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(leases, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Looks:
    def __init__(self, *answers: bool) -> None:
        self.left = list(answers)

    def __call__(self) -> bool:
        return self.left.pop(0)


# --- when it looks ----------------------------------------------------------------------------


def test_it_looks_when_the_last_look_is_old_enough(clock: Clock) -> None:
    looks = Looks(True, True)
    lease = FileLease(clock.now - 0.4, 1.0, looks)
    assert lease.holds()
    clock.now += 0.59
    assert lease.holds()
    assert len(looks.left) == 2
    clock.now += 0.02
    assert lease.holds()
    clock.now += 0.99
    assert lease.holds()
    assert len(looks.left) == 1
    clock.now += 0.02
    assert lease.holds()
    assert looks.left == []


def test_with_zero_it_looks_each_time(clock: Clock) -> None:
    looks = Looks(True, True, False)
    lease = FileLease(clock.now, 0.0, looks)
    assert lease.holds()
    assert lease.holds()
    assert not lease.holds()
    assert looks.left == []


def test_what_is_over_stays_over(clock: Clock) -> None:
    lease = FileLease(clock.now, 1.0, Looks(False))
    clock.now += 1
    assert not lease.holds()
    assert not lease.holds()
    clock.now += 5
    assert not lease.holds()


def test_without_a_look_it_ends_with_its_time(clock: Clock) -> None:
    lease = FileLease(clock.now, 1.0, None)
    clock.now += 0.9
    assert lease.holds()
    clock.now += 0.2
    assert not lease.holds()


def test_a_path_that_was_not_looked_up_for_long_is_asked_for_in_a_thread(clock: Clock) -> None:
    looks = Looks(True)
    lease = FileLease(clock.now, 1.0, looks)
    clock.now += REMEMBERED + 0.1
    assert not lease.holds()
    assert looks.left == [True]


def test_paths_are_forgotten_by_time_and_by_number(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_MOST_REMEMBERED", 2)
    paths = LookedUp()
    for name in (b"a", b"b", b"a", b"c"):
        paths.add(name)
    assert [name for name in (b"a", b"b", b"c") if name in paths] == [b"a", b"c"]
    clock.now += REMEMBERED + 0.1
    assert b"c" not in paths
    paths.add(b"c")
    paths.clear()
    assert b"c" not in paths


# --- whose disk it is -------------------------------------------------------------------------


def test_only_file_systems_of_this_machine_are_local(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "23 22 0:40 / /mnt/nfs rw shared:2 master:3 - nfs4 store:/ rw\n"
        "24 22 0:41 / /mnt/a\\040b rw - fuse.sshfs x rw\n"
        "25 22 0:42 / /tmp rw - tmpfs tmpfs rw\n"
    )
    assert local_devices(mounts) == {os.makedev(254, 1), os.makedev(0, 42)}


def test_where_nobody_says_so_none_is(tmp_path: Path) -> None:
    assert local_devices(tmp_path / "missing") == frozenset()


# --- what it notices --------------------------------------------------------------------------


def settled(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))


@pytest.fixture
def settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests need not wait until a file is old enough."""
    monkeypatch.setattr("proxy.origins.directory._TICK_NS", 0)


async def lease_on(origin: DirectoryOrigin, key: str) -> Lease:
    try:
        opened = await origin.open(key)
    except NotFound as missing:
        found = lease_of(missing)
    else:
        await opened.aclose()
        found = lease_of(opened)
    assert found is not None
    return found


def _write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"B")
    os.utime(path, (OLD, OLD))


def _replace(path: Path) -> None:
    settled(path.parent / "other", b"b")
    (path.parent / "other").replace(path)


def _link_to_a_copy(path: Path) -> None:
    settled(path.parent / "copy", b"a")
    path.unlink()
    path.symlink_to("copy")


def _move_outside(path: Path) -> None:
    outside = path.parents[2] / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def _swap_its_directory(path: Path) -> None:
    outside = path.parents[2] / "elsewhere"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)


def _make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change",
    [
        _write,
        _replace,
        _link_to_a_copy,
        _move_outside,
        _swap_its_directory,
        _make_directory,
        lambda path: path.unlink(),
        lambda path: path.chmod(0o600),
        lambda path: path.touch(),
        lambda path: os.truncate(path, 0),
    ],
)
@pytest.mark.usefixtures("settling")
async def test_a_change_is_noticed(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = tmp_path / "root" / "folder" / "a"
    file.parent.mkdir(parents=True)
    settled(file, b"a")
    async with serving(tmp_path / "root", recheck=0.0) as origin:
        lease = await lease_on(origin, "folder/a")
        assert lease.holds()
        change(file)
        assert not lease.holds()


@pytest.mark.parametrize(
    ("links", "holds"), [("inside", True), ("never", False), ("anywhere", True)]
)
@pytest.mark.usefixtures("settling")
async def test_a_link_to_the_same_file_is_judged_by_the_tree(
    tmp_path: Path, links: Links, holds: bool
) -> None:
    settled(tmp_path / "a", b"a")
    async with serving(tmp_path, recheck=0.0, links=links) as origin:
        lease = await lease_on(origin, "a")
        known = (tmp_path / "a").stat()
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").symlink_to("b")
        if (tmp_path / "a").stat().st_ctime_ns == known.st_ctime_ns:
            assert lease.holds() == holds
        else:  # most file systems note a renaming in the file itself
            assert not lease.holds()


@pytest.mark.usefixtures("settling")
async def test_a_root_that_is_gone_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    settled(tmp_path / "root" / "a", b"a")
    async with serving(tmp_path / "root", recheck=0.0) as origin:
        there, nothing = await lease_on(origin, "a"), await lease_on(origin, "b")
        assert there.holds()
        assert nothing.holds()
        (tmp_path / "root").rename(tmp_path / "aside")
        assert not there.holds()
        assert not nothing.holds()


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b""), lambda path: path.mkdir()])
@pytest.mark.usefixtures("settling")
async def test_what_appears_is_noticed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    async with serving(tmp_path, recheck=0.0) as origin:
        lease = await lease_on(origin, "a")
        assert lease.holds()
        make(tmp_path / "a")
        assert lease.holds() == (tmp_path / "a").is_dir()


async def test_a_young_file_has_no_lease(tmp_path: Path) -> None:
    settled(tmp_path / "a", b"a")  # old by its own word, but it was changed just now
    async with serving(tmp_path) as origin:
        opened = await origin.open("a")
        await opened.aclose()
        assert lease_of(opened) is None


# --- opening without a thread -----------------------------------------------------------------


@pytest.mark.parametrize("key", ["a", "missing"])
async def test_what_was_looked_up_a_moment_ago_is_opened_at_once(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    async with serving(tmp_path) as origin:
        works: list[object] = []
        run = origin._threads.run

        async def counted(work: Callable[..., object], *args: object) -> object:
            works.append(work)
            return await run(work, *args)

        monkeypatch.setattr(origin._threads, "run", counted)
        for _ in range(3):
            try:
                await (await origin.open(key)).aclose()
            except NotFound:
                pass
        assert len(works) == 1
        monkeypatch.setattr(origin, "_local", frozenset())
        monkeypatch.setattr(origin, "_root_is_local", False)
        origin._looked_up.clear()
        for _ in range(3):
            try:
                await (await origin.open(key)).aclose()
            except NotFound:
                pass
        assert len(works) == 4


async def test_time_goes_by_from_before_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.origins.directory._TICK_NS", 0)
    settled(tmp_path / "a", b"a")
    async with serving(tmp_path, recheck=1.0) as origin:
        before = time.monotonic()
        lease = await lease_on(origin, "a")
        assert isinstance(lease, FileLease)
        assert before <= lease._looked <= time.monotonic()

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.errors import (
    Fault,
    NotFound,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    StartError,
)
from proxy.origins.tree import Links, Tree, fault_of

INSIDE, OUTSIDE = b"inside", b"outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "dir/sub").mkdir(parents=True)
    (root / "dir/file").write_bytes(INSIDE)
    (root / "file").write_bytes(INSIDE)
    (tmp_path / "away").mkdir()
    (tmp_path / "away/file").write_bytes(OUTSIDE)
    # Its path begins with that of the root, but it is not in it.
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted/file").write_bytes(OUTSIDE)
    return root


def content(tree: Tree, key: str) -> bytes:
    number, known = tree.open_file(tree.path_of(key))
    with os.fdopen(number, "rb") as file:
        body = file.read()
    assert known.st_size == len(body)
    return body


def tree_of(root: Path, links: Links = "inside", *, show_hidden: bool = False) -> Tree:
    return Tree(root, links, show_hidden=show_hidden)


LINKS = {
    "here": "file",
    "down": "dir/file",
    "dir/up": "../file",
    "folder": "dir",
    "dir/loop-of-folders": "..",
}
LINKS_OUT = {
    "out": "../away/file",
    "dir/out": "../../away/file",
    "folder-out": "../away",
    "beside": "../rooted/file",
    "system": "/etc/passwd",
    "proc": "/proc/self/environ",
}


@pytest.mark.parametrize("links", ["inside", "never", "anywhere"])
def test_links(root: Path, links: Links) -> None:
    for name, target in {**LINKS, **LINKS_OUT}.items():
        (root / name).symlink_to(target)
    tree = tree_of(root, links)
    assert content(tree, "file") == content(tree, "dir/file") == INSIDE
    for key in ("here", "down", "dir/up", "folder/file", "dir/loop-of-folders/file"):
        if links == "never":
            with pytest.raises(NotFound):
                content(tree, key)
        else:
            assert content(tree, key) == INSIDE, key
    for key in ("out", "dir/out", "folder-out/file", "beside"):
        if links == "anywhere":
            assert content(tree, key) == OUTSIDE, key
        else:
            with pytest.raises(NotFound):
                content(tree, key)
    if links != "anywhere":
        for key in ("system", "proc"):
            with pytest.raises(NotFound):
                content(tree, key)


def test_links_that_lead_nowhere(root: Path) -> None:
    (root / "dangling").symlink_to("missing")
    (root / "loop").symlink_to("loop")
    for key in ("dangling", "loop", "loop/x"):
        with pytest.raises(NotFound):
            content(tree_of(root), key)


def swap_while(root: Path, names: tuple[str, str], target: str, work: Callable[[], None]) -> None:
    """Lets `root/target` be a link to the one and to the other of `names`, until work is done."""
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.is_set():
            temporary = root / "temporary"
            temporary.symlink_to(names[turn % 2])
            temporary.replace(root / target)
            turn += 1

    thread = threading.Thread(target=swap)
    (root / target).symlink_to(names[0])
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("names", "key"), [(("file", "../away/file"), "link"), (("dir", "../away"), "link/file")]
)
def test_links_that_are_swapped_meanwhile(root: Path, names: tuple[str, str], key: str) -> None:
    tree = tree_of(root)

    def work() -> None:
        for _ in range(3000):
            try:
                assert content(tree, key) == INSIDE
            except NotFound:
                pass

    swap_while(root, names, "link", work)


def test_files_that_are_replaced_meanwhile_are_always_found(root: Path) -> None:
    tree, done = tree_of(root, "never"), threading.Event()

    def replace() -> None:
        while not done.is_set():
            (root / "temporary").write_bytes(INSIDE)
            (root / "temporary").replace(root / "file")

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(3000):
            assert content(tree, "file") == INSIDE
    finally:
        done.set()
        thread.join()


def test_the_root_may_be_a_link_that_moves(root: Path, tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.symlink_to("root")
    tree = tree_of(current, "never")
    assert content(tree, "file") == INSIDE
    (tmp_path / "next").symlink_to("away")
    (tmp_path / "next").replace(current)
    assert content(tree, "file") == OUTSIDE


def test_a_root_that_is_gone_is_not_a_missing_file(root: Path) -> None:
    tree = tree_of(root)
    root.rename(root.with_name("moved"))
    with pytest.raises(OriginUnavailable):
        tree.open_file(b"file")
    with pytest.raises(OriginUnavailable), tree.opened_directory(b"dir"):
        pass


@pytest.mark.parametrize(
    "key",
    ["", "/", "//", "/file", "file/", "dir/", "dir//file", ".", "..", "./file", "dir/.", "dir/..",
     "dir/../file", "../root/file", "a\0b", "\udc80", "n" * 256, "n/" * 3000 + "n", "file/below",
     "dir", "dir/sub", "missing", "dir/missing", "missing/file", "FILE"],
)  # fmt: skip
@pytest.mark.parametrize("links", ["inside", "never", "anywhere"])
def test_keys_that_are_no_file(root: Path, key: str, links: Links) -> None:
    with pytest.raises(NotFound):
        content(tree_of(root, links, show_hidden=True), key)


def test_only_regular_files(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root)  # a socket's path is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        for key in ("fifo", "null", "socket"):
            with pytest.raises(NotFound):
                content(tree_of(root, "anywhere"), key)


@pytest.mark.parametrize("key", [".secret", ".git/config", "dir/.secret", "..secret"])
def test_hidden(root: Path, key: str) -> None:
    (root / key).parent.mkdir(exist_ok=True)
    (root / key).write_bytes(INSIDE)
    with pytest.raises(NotFound):
        content(tree_of(root), key)
    assert content(tree_of(root, show_hidden=True), key) == INSIDE


def test_too_many_open_files_is_busy_not_missing(root: Path) -> None:
    tree = tree_of(root)
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for free in (0, 1):  # none for the root, or none for the file
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, hard))
        try:
            with pytest.raises(OriginUnavailable):
                tree.open_file(b"file")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert content(tree, "file") == INSIDE


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (errno.ENOENT, NotFound),
        (errno.ENOTDIR, NotFound),
        (errno.ENAMETOOLONG, NotFound),
        (errno.ELOOP, NotFound),
        (errno.EACCES, OriginRefused),
        (errno.EPERM, OriginRefused),
        (errno.EMFILE, OriginUnavailable),
        (errno.ENFILE, OriginUnavailable),
        (errno.ENOMEM, OriginUnavailable),
        (errno.ESTALE, OriginUnavailable),
        (errno.ETIMEDOUT, OriginTimeout),
        (errno.EIO, OriginFault),
    ],
)
def test_faults(number: int, fault: type[Fault]) -> None:
    made = fault_of(OSError(number, os.strerror(number)), "name")
    assert type(made) is fault
    assert "name" in made.detail
    assert "name" not in made.said


def test_nothing_is_left_open(root: Path) -> None:
    (root / "out").symlink_to("../away/file")
    tree = tree_of(root)
    before = len(os.listdir("/proc/self/fd"))
    for key in ("file", "out", "dir", "missing", ".h"):
        for _ in range(3):
            try:
                content(tree, key)
            except NotFound:
                pass
            tree.look(key.encode())
    with pytest.raises(NotFound), tree.opened_directory(b"file"):
        pass
    with pytest.raises(OriginFault), tree.opened_directory(b"dir"):
        raise OSError(errno.EIO, "Input/output error")
    assert len(os.listdir("/proc/self/fd")) == before


def test_looking(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "out").symlink_to("../away/file")
    tree = tree_of(root)
    assert tree.look(b"missing") is tree.look(b"out") is None
    seen = tree.look(b"fifo")  # without waiting for a writer
    assert seen is not None


def test_start(root: Path) -> None:
    for links in ("inside", "never", "anywhere"):
        tree_of(root, links).check()
    for bad in (root / "missing", root / "file"):
        with pytest.raises(StartError, match=bad.name):
            tree_of(bad).check()

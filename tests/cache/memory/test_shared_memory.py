"""Directories in memory: private, shared by plans, and never left behind for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cache.memory import shared_memory as module
from proxy.cache.memory.shared_memory import SHARED_MEMORY, SharedMemory
from proxy.cache.rules.shares import CannotShare

MIB = 1024 * 1024


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """A directory of our own in memory, so that nobody else's is in it."""
    made = SHARED_MEMORY / f"test-{os.getpid()}-{tmp_path.name}"
    made.mkdir()
    yield made
    for path in made.iterdir():
        path.rmdir()
    made.rmdir()


def test_it_is_private_and_goes_with_its_last_user(base: Path) -> None:
    memory = SharedMemory(base)
    path = memory.take(MIB)
    assert path.parent == base
    assert path.stat().st_mode & 0o777 == 0o700
    assert memory.take(MIB) == path, "a reload keeps what is kept"
    (path / "ab").mkdir()
    (path / "ab" / "slice").write_bytes(b"x")
    memory.give_back(path)
    assert (path / "ab" / "slice").exists()
    memory.give_back(path)
    assert list(base.iterdir()) == []
    memory.give_back(path)  # once more does nothing
    again = memory.take(MIB)
    assert again != path
    memory.close()
    assert list(base.iterdir()) == []


def test_what_somebody_took_away_is_made_anew(base: Path) -> None:
    memory = SharedMemory(base)
    path = memory.take(MIB)
    path.rmdir()
    again = memory.take(MIB)
    assert again != path
    assert again.is_dir()
    memory.give_back(path)
    assert again.is_dir()
    memory.close()


def test_one_that_has_another_place_by_now_is_left_alone(base: Path) -> None:
    memory = SharedMemory(base)
    path = memory.take(MIB)
    path.rmdir()
    path.mkdir()
    memory.close()
    assert path.is_dir()


def test_what_is_kept_already_is_no_want_of_room(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SharedMemory(base)
    path = memory.take(MIB)
    (path / "slice").write_bytes(bytes(8 * MIB))
    left = type("Left", (), {"f_bavail": 9 * MIB, "f_frsize": 1})
    monkeypatch.setattr("proxy.cache.memory.shared_memory.os.statvfs", lambda _: left)
    assert memory.take(17 * MIB) == path
    with pytest.raises(CannotShare, match=r"has room for 17 MiB, and 18 are needed"):
        memory.take(18 * MIB)
    memory.close()


def test_where_it_can_not_be(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where, why in ((tmp_path / "none", "there is no"), (tmp_path, "is not in memory")):
        with pytest.raises(CannotShare, match=why):
            SharedMemory(where).take(MIB)
    with pytest.raises(CannotShare, match=r"has room for \d+ MiB, and 1099511627776 are needed"):
        SharedMemory(base).take(2**60)
    # Root, as which tests may run, may write everywhere.
    monkeypatch.setattr("proxy.cache.memory.shared_memory.os.access", lambda *_: False)
    with pytest.raises(CannotShare, match="may not write"):
        SharedMemory(base).take(MIB)
    assert SharedMemory(tmp_path / "none").sweep() == 0


_HOLD = """
import sys
from pathlib import Path
from proxy.cache.memory.shared_memory import SharedMemory
path = SharedMemory(Path(sys.argv[1])).take(1)
(path / "slice").write_bytes(b"x")
print(path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(base: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(base)]
    holders = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        paths = [Path(one.stdout.readline().strip()) for one in holders if one.stdout]
        assert SharedMemory(base).sweep() == 0
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait(30)
        assert SharedMemory(base).sweep() == 1
        assert [path.exists() for path in paths] == [False, True]
    finally:
        for one in holders:
            one.kill()
            one.communicate(timeout=30)
    assert SharedMemory(base).sweep() == 1


def test_nothing_else_is_swept(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, link = base / "other", base / "headgate-1-0123456789abcdef"
    other.mkdir()
    link.symlink_to(other)
    open_to_others = base / "headgate-2-0123456789abcdef"
    open_to_others.mkdir()
    open_to_others.chmod(0o755)
    foreign = base / "headgate-3-0123456789abcdef"
    foreign.mkdir(mode=0o700)
    monkeypatch.setattr(
        "proxy.cache.memory.shared_memory.os.geteuid", lambda: foreign.stat().st_uid + 1
    )
    assert SharedMemory(base).sweep() == 0
    assert all(path.exists() for path in (other, link, open_to_others, foreign))
    monkeypatch.undo()
    assert SharedMemory(base).sweep() == 1
    link.unlink()


def test_a_new_one_that_is_taken_for_left_is_made_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making and locking it, another start sweeps."""
    real, taken = module._locked, list[Path]()

    def late(path: Path) -> int | None:
        if not taken:
            taken.append(path)
            path.rmdir()
        return real(path)

    monkeypatch.setattr(module, "_locked", late)
    memory = SharedMemory(base)
    path = memory.take(MIB)
    assert path.is_dir()
    assert path != taken[0]
    memory.close()

"""A directory in the memory of the machine, where the workers of one Headgate share their slices.

The supervisor makes it, in the file system that the kernel has for such things, and removes it when
no worker uses it any more. Its name is a random one that nobody can have taken before, nobody else
may look into it, and its supervisor holds a lock on it (flock), which the kernel lets go when that
is killed: so the next start knows what was left by the dead, and never takes what a living Headgate
uses. All of it is for threads.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.cache.disk.file_systems import IN_MEMORY, file_system_of
from proxy.cache.rules.shares import CannotShare

logger = logging.getLogger("headgate")

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # nothing is opened there by a known name
_PREFIX: Final = "headgate-"
_MIB: Final = 1024 * 1024
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Between making a directory and locking it, another start may take it for one that was left.
_TRIES: Final = 16


@dataclass(slots=True)
class _Made:
    """A directory of ours: the descriptor that holds its lock, and how many use it."""

    locked: int
    users: int = 0


class SharedMemory:
    """The directories of one supervisor below `base`; mostly there is one. `close` at the end."""

    def __init__(self, base: Path = SHARED_MEMORY) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._made: dict[Path, _Made] = {}

    def sweep(self) -> int:
        """Removes what supervisors left that were killed; how many directories that were."""
        return sum(_removed_if_left(path) for path in self._ours())

    def take(self, room: int) -> Path:
        """A directory with room for so many bytes, to be given back by `give_back`.

        The one that is there is given again, so that a reload keeps what is kept. Raises
        `CannotShare`.
        """
        with self._lock:
            found = next((path for path, made in self._made.items() if _is_at(made, path)), None)
            check_room(self._base, room, _held(found) if found is not None else 0)
            try:
                path = found or self._make()
            except OSError as error:
                raise CannotShare(f"{self._base} can't be used ({error.strerror})") from None
            self._made[path].users += 1
            return path

    def give_back(self, path: Path) -> None:
        """One that took it uses it no more; with the last one it is removed. Raises nothing."""
        with self._lock:
            made = self._made.get(path)
            if made is None:
                return
            made.users -= 1
            if not made.users:
                self._remove(path)

    def close(self) -> None:
        """Removes all that is left. Raises nothing."""
        with self._lock:
            for path in list(self._made):
                self._remove(path)

    def _make(self) -> Path:
        for _ in range(_TRIES):
            path = self._base / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            locked = _locked(path)
            if locked is not None:
                self._made[path] = _Made(locked)
                return path
        raise OSError(0, "each new directory is taken away at once")

    def _remove(self, path: Path) -> None:
        made = self._made.pop(path)
        if _is_at(made, path):
            _remove_all(path)
        os.close(made.locked)

    def _ours(self) -> list[Path]:
        try:
            return [self._base / name for name in os.listdir(self._base) if _is_name(name)]
        except OSError:
            return []


def check_room(base: Path, room: int, held: int = 0) -> None:
    """Raises `CannotShare` unless `base` is in memory and has room for so many bytes.

    `held`: bytes there that are ours already.
    """
    if not base.is_dir():
        raise CannotShare(f"there is no {base}")
    kind = file_system_of(base)
    if kind not in IN_MEMORY:
        raise CannotShare(f"{base} is not in memory ({kind or 'of a kind that is not told'})")
    if not os.access(base, os.W_OK | os.X_OK):
        raise CannotShare(f"this user may not write to {base}")
    free = os.statvfs(base)
    left = free.f_bavail * free.f_frsize + held
    if left < room:
        said = f"{base} has room for {left / _MIB:.0f} MiB, and {room / _MIB:.0f} are needed"
        raise CannotShare(said)


def _is_name(name: str) -> bool:
    pid, _, token = name.removeprefix(_PREFIX).partition("-")
    return name.startswith(_PREFIX) and pid.isdigit() and len(token) == 16


def _is_at(made: _Made, path: Path) -> bool:
    """Whether it is still there: who cleans up after users may have taken it away."""
    try:
        return os.path.samestat(os.fstat(made.locked), os.lstat(path))
    except OSError:
        return False


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock on a directory of this user; None if another has it, it is
    another user's, or gone."""
    try:
        number = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        known = os.fstat(number)
        ours = known.st_uid == os.geteuid() and stat.S_IMODE(known.st_mode) == 0o700
        if ours and os.path.samestat(known, os.lstat(path)):
            return number
    except OSError:
        pass
    os.close(number)
    return None


def _removed_if_left(path: Path) -> bool:
    locked = _locked(path)
    if locked is None:
        return False
    try:
        return _remove_all(path)
    finally:
        os.close(locked)


def _remove_all(path: Path) -> bool:
    """Whether it is gone. A worker that still lives may make files meanwhile: twice does."""
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        logger.warning("%s could not be removed", path)
        return False
    return True


def _held(directory: Path) -> int:
    """Bytes that the files in it take; those that go meanwhile may be left out."""
    held = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                held += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return held

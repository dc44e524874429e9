"""Leases on files: whether what was found at a path, or that nothing was, is still so.

A file is looked at again by the rules of its tree, no more often than was asked for, and on the
event loop: that takes some microseconds where the path is in the system's memory. So it is done
only on file systems of this machine, and only for a path that was found there a moment ago. Else
the lease no longer holds, and the origin is asked as usual, in a thread.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from proxy.errors import Fault
from proxy.origins.tree import Tree, identity_of

# Seconds for which a path that was looked up is taken to be in the system's memory still.
REMEMBERED = 10.0
# Paths of one origin that are remembered so, about 250 bytes each.
_MOST_REMEMBERED = 16_384
# File systems that no other machine has a part in (Linux).
_LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs"),
        *("overlay", "squashfs", "tmpfs", "vfat", "xfs", "zfs"),
    }
)
_MOUNTS = Path("/proc/self/mountinfo")

Look = Callable[[], bool]


def local_devices(mounts: Path = _MOUNTS) -> frozenset[int]:
    """The devices (`st_dev`) of this machine's own file systems; none where nobody says so."""
    found = set()
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:  # proc_pid_mountinfo(5)
        before, _, after = line.partition(" - ")
        if after.partition(" ")[0] in _LOCAL:
            major, _, minor = before.split()[2].partition(":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)


class LookedUp:
    """Paths that were looked up a moment ago, so that the system finds them without a disk."""

    def __init__(self) -> None:
        self._paths: OrderedDict[bytes, float] = OrderedDict()

    def add(self, path: bytes) -> None:
        """The path was looked up just now."""
        self._paths[path] = monotonic()
        self._paths.move_to_end(path)
        if len(self._paths) > _MOST_REMEMBERED:
            self._paths.popitem(last=False)

    def __contains__(self, path: bytes) -> bool:
        looked = self._paths.get(path)
        return looked is not None and monotonic() - looked <= REMEMBERED

    def clear(self) -> None:
        """Forgets them all."""
        self._paths.clear()


class FileLease:
    """Holds for some time after it was found out, and then as `look` says, each time for as long.

    What was once found to be otherwise never holds again.

    Args:
        found: when it was asked, by `time.monotonic`; what was found is at least as new.
        every: how old (in seconds) the last look may be; 0 looks every time.
        look: looks again; None where that could take long.
    """

    __slots__ = ("_every", "_look", "_looked", "_over")

    def __init__(self, found: float, every: float, look: Look | None) -> None:
        self._looked = found
        self._every = every
        self._look = look
        self._over = False

    def holds(self) -> bool:
        """Whether nothing has changed, as far as was looked at."""
        now = monotonic()
        if now - self._looked < self._every:
            return not self._over
        return not self._over and self._looks(now)

    def _looks(self, now: float) -> bool:
        late = now - self._looked > REMEMBERED
        self._over = late or self._look is None or not self._look()
        self._looked = now
        return not self._over


def same_file(tree: Tree, path: bytes, known: os.stat_result) -> Look:
    """Looks whether the path still leads, by the tree's rules, to the file that was opened, and
    whether that is as it was."""
    identity = identity_of(known)

    def look() -> bool:
        try:
            now = tree.look(path)
        except Fault:
            return False
        return now is not None and identity_of(now) == identity

    return look


def no_file(tree: Tree, path: bytes) -> Look:
    """Looks whether there is still no file at the path."""

    def look() -> bool:
        try:
            now = tree.look(path)
        except Fault:
            return False
        return now is None or not stat.S_ISREG(now.st_mode)

    return look

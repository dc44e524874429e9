"""Files that were opened a moment ago: what was found out about them need not be found out again.

Of ten system calls for a small file six ask where it lies, and that answer is good for as long as
any that is made from a file (`FileLease`). Whether the path still leads to that very file, and that
is as it was, is asked each time: it is opened anew, and no descriptor is kept. Of one that is read
as a whole it is asked once, behind its last byte. A file that might change unseen is never known;
see `DirectoryOrigin`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from proxy.origins.leases import FileLease, LookedUp
from proxy.origins.tree import Read, Tree
from proxy.semantics.representation import Representation

# About 1 kB each.
_MOST = 4096


@dataclass(slots=True)
class KnownFile:
    """A file that was opened: its path below the root, and what was found out about it."""

    path: bytes
    status: os.stat_result
    identity: tuple[int, ...]
    representation: Representation
    lease: FileLease


class KnownFiles:
    """The files of one origin, by key. What was found out first goes first."""

    def __init__(self, tree: Tree, looked_up: LookedUp) -> None:
        self._tree = tree
        self._looked_up = looked_up
        self._files: dict[str, KnownFile] = {}

    def add(self, key: str, file: KnownFile) -> None:
        """Notes what was found out just now."""
        self._files.pop(key, None)
        self._files[key] = file
        if len(self._files) > _MOST:
            del self._files[next(iter(self._files))]

    def open(self, key: str) -> tuple[int, KnownFile] | None:
        """A descriptor of a known file, to be closed by the caller; None if it is not known, or
        may be another one by now. For the event loop: no disk is waited for."""
        known = self._current(key)
        if known is None:
            return None
        number = self._tree.open_again(known.path, known.identity)
        if number is None:
            del self._files[key]
            return None
        self._looked_up.add(known.path)
        return number, known

    def read(self, key: str, of: Representation, by: Read) -> tuple[bytes, FileLease] | None:
        """All of a known file, if it is still the one that `of` was found out of, and in memory.

        `by` reads so many bytes of a descriptor from an offset on, without waiting for a disk.
        """
        known = self._current(key)
        if known is None or known.representation is not of:
            return None
        body = self._tree.read_again(known.path, known.identity, by)
        if body is None:
            return None  # cold, or another one: whoever opens it finds out
        self._looked_up.add(known.path)
        return body, known.lease

    def _current(self, key: str) -> KnownFile | None:
        """A file that need not be found out about anew; it is forgotten if it has to be."""
        known = self._files.get(key)
        if known is None or (known.path in self._looked_up and known.lease.holds()):
            return known
        del self._files[key]
        return None

    def clear(self) -> None:
        """Forgets them all."""
        self._files.clear()

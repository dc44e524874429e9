"""Keeps the cache's directory within its limits, for as long as this process is the janitor.

Above a limit it evicts slices by the policy until it is 1 % below. A head that has no slices left
goes once it is a minute old, and what writers that died left in `tmp/` goes, too. Nothing here
holds the interpreter for long (`pacing`), and faults of the file system are survived and counted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import time

from proxy.cache.disk.hits import HitTable, Published
from proxy.cache.upkeep.counting import Counting
from proxy.cache.upkeep.pacing import Pace
from proxy.cache.upkeep.scanning import sweep, total_size, weight_in_memory, weight_on_disk

# Seconds after each round, so that many changes are taken in together.
_ROUND = 0.05
# Seconds to wait for changes, so that chores are done and a stop is seen.
_WAIT = 0.5
# Heads looked at together.
_BATCH = 50
# Slices evicted at most before changes are read again.
_MOST_VICTIMS = 1024
# How far below a limit eviction goes, and how far above it nothing new should be begun.
_BELOW, _FULL = 0.99, 1.05
# Seconds a head is kept without slices: whoever made it will fill one.
HEAD_AGE = 60.0
# Seconds that a file in tmp/ wasn't written to, at the start and later: a writer that has only
# begun hasn't locked its file yet.
FIRST_SWEEP_AGE, SWEEP_AGE = 5.0, 30.0
# Seconds between chores. Counters are aged in sixteen pieces: each is halved once an hour.
_SWEEP_EVERY, _HEADS_EVERY, _DISK_EVERY, _AGE_EVERY = 20.0, 1.0, 1.0, 225.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What the directory may hold: `bytes` and `files` at most, of slices and heads together.

    `free` is how many bytes of the file system are left to others; 0 for none. `in_memory`: `bytes`
    are of the machine's memory, of which files take whole pages, those being written too.
    """

    bytes: int
    files: int
    free: int
    in_memory: bool = False


@dataclass(slots=True)
class Removed:
    """What was removed since the process began; `Usage` says what each is."""

    evicted: int = 0
    evicted_bytes: int = 0
    orphans: int = 0


class Upkeep:
    """The work on one directory, until it is handed to another process."""

    def __init__(
        self, root: Path, limits: Limits, hits: HitTable, removed: Removed, pace: Pace
    ) -> None:
        weight = weight_in_memory if limits.in_memory else weight_on_disk
        self.counting = Counting(root, pace, weight)
        self._holdings = self.counting.holdings
        self._root, self._limits, self._hits = root, limits, hits
        self._removed, self._pace = removed, pace
        self._goal: tuple[float, float] | None = None
        self._free: int | None = None
        self._disk_is_full = False
        self._aged = 0
        self._growing = 0

    def run(self) -> None:
        """Works until the pace ends it, by what its `wait` raises."""
        self._sweep(FIRST_SWEEP_AGE)
        for chore, seconds in (("sweep", _SWEEP_EVERY), ("age", _AGE_EVERY)):
            self._pace.put_off(chore, seconds)
        try:
            self.counting.begin()
            while True:
                self._round()
        finally:
            self.counting.close()

    def _round(self) -> None:
        if self._pace.is_due("disk", _DISK_EVERY):
            self._look_at_disk()
        if self._limits.in_memory:
            self._growing = total_size(self._root / "tmp", weight_in_memory, self._pace.failed)
        self._evict()
        if self._pace.is_due("heads", _HEADS_EVERY):
            self._remove_idle_heads()
        if self._pace.is_due("sweep", _SWEEP_EVERY):
            self._sweep(SWEEP_AGE)
        if self._pace.is_due("age", _AGE_EVERY):
            self._aged = self._hits.age(self._aged)
        self._publish()
        self._pace.wait(_ROUND)
        self.counting.follow(_WAIT if self._goal is None and not self._growing else 0.0)

    @property
    def _bytes(self) -> int:
        """What counts against the limit."""
        return self._holdings.bytes + self._growing

    def _publish(self) -> None:
        used, files, limits = self._bytes, self._holdings.files, self._limits
        over = used > limits.bytes * _FULL or files > limits.files * _FULL
        self._hits.publish(Published(used, files, over or self._disk_is_full, time()))

    # --- limits -------------------------------------------------------------------------------

    def _look_at_disk(self) -> None:
        if not self._limits.free:
            return
        try:
            status = os.statvfs(self._root)
        except OSError as error:
            self._pace.failed(error)
            return
        self._free = status.f_bavail * status.f_frsize
        self._disk_is_full = self._free * _FULL < self._limits.free

    def _set_goal(self) -> None:
        """Down to how many bytes and files to evict, from now until that is reached."""
        held, limits = self._holdings, self._limits
        most_bytes, most_files = float(limits.bytes), float(limits.files)
        over = self._bytes > most_bytes or held.files > most_files
        if over:
            most_bytes, most_files = most_bytes * _BELOW, most_files * _BELOW
        lacks = self._free is not None and self._free < limits.free
        if self._free is not None and lacks:
            most_bytes = min(most_bytes, held.bytes - (limits.free / _BELOW - self._free))
        # What was unlinked is free only when its last reader is done: for the disk's sake nothing
        # more goes until it was looked at again.
        self._free = None
        if over or lacks:
            self._goal = (most_bytes, most_files)

    def _evict(self) -> None:
        if self._goal is None:
            self._set_goal()
        for _ in range(_MOST_VICTIMS):
            if self._is_reached() or not self._evict_one():
                self._goal = None
                return
            self._pace.breathe()

    def _is_reached(self) -> bool:
        if self._goal is None:
            return True
        most_bytes, most_files = self._goal
        return self._bytes <= most_bytes and self._holdings.files <= most_files

    def _evict_one(self) -> bool:
        """False if there is nothing to evict, or it can't be done."""
        victim = self._holdings.victim(self._hits.take)
        if victim is None:
            return False
        name, size = victim
        if not self._is_unlinked(name):
            self._holdings.found(name, size)
            return False
        self._removed.evicted += 1
        self._removed.evicted_bytes += size
        head = self._holdings.idle_head_of(name)
        if head is not None:
            self._remove_old_head(head)
        return True

    def _is_unlinked(self, name: str) -> bool:
        try:
            os.unlink(self.counting.path(name))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._pace.failed(error)
            return False
        return True

    # --- what is of no use any more -----------------------------------------------------------

    def _remove_idle_heads(self) -> None:
        found = True
        while found:
            heads = self._holdings.idle_heads(_BATCH)
            found = sum(map(self._remove_old_head, heads)) > 0
            self._pace.breathe()

    def _remove_old_head(self, head: str) -> bool:
        """Whether it was old enough, and is removed."""
        try:
            modified = os.lstat(self.counting.path(head)).st_mtime
        except FileNotFoundError:
            self._holdings.gone(head)
            return False
        except OSError as error:
            self._pace.failed(error)
            return False
        if time() - modified < HEAD_AGE or not self._is_unlinked(head):
            return False
        self._holdings.gone(head)
        return True

    def _sweep(self, older: float) -> None:
        files = sweep(self._root / "tmp", older, time(), self._pace.failed)
        for swept in files:
            self._removed.orphans += swept
            self._pace.breathe()

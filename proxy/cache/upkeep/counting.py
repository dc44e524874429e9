"""What is in the cache's directory, counted: by a scan at first, then by what the kernel tells.

A change that is told is only a reason to look at that file. Where changes were lost all is looked
at again, and where none are told that is done every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from pathlib import Path
from time import monotonic

from proxy.cache.disk.watching import Batch, DirectoryWatch
from proxy.cache.upkeep.holdings import SHARDS, Holdings, is_ours
from proxy.cache.upkeep.pacing import Pace
from proxy.cache.upkeep.scanning import Found, Weight, read_shard, size_of, weight_on_disk

# Files taken in at a time.
_BATCH = 20
# Seconds between scans: a check of our own count. Where the kernel tells us nothing it is the only
# way to count, and then takes no more than a twentieth of the time.
_SCAN_EVERY, _BLIND_SCAN_EVERY, _BLIND_SHARE = 3600.0, 5.0, 20.0


class Counting:
    """Keeps `holdings` like the directory `root`. `begin` first, `close` at last."""

    def __init__(self, root: Path, pace: Pace, weight: Weight = weight_on_disk) -> None:
        self.holdings = Holdings()
        self.scanned = False
        """Whether all that was there at the beginning is counted."""
        self._root, self._pace, self._weight = root, pace, weight
        self._shards = [root / shard for shard in SHARDS]
        self._watch: DirectoryWatch | None = None

    def begin(self) -> None:
        """Watches, then scans, so that nothing is missed between."""
        for one in self._shards:
            try:
                one.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                self._pace.failed(error)
        self._watch = DirectoryWatch.open(self._shards)
        self._scan()

    def close(self) -> None:
        """Ends the watching."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def path(self, name: str) -> str:
        """Where a file of ours is."""
        return f"{self._root}/{name[:2]}/{name}"

    def follow(self, seconds: float) -> None:
        """Takes in what changed, waiting up to `seconds` for it."""
        batch = self._changes(seconds)
        for one in batch.happened:
            ours = one.name.startswith(one.directory.name) and is_ours(one.name)
            # What is gone and not held is mostly what we removed ourselves.
            if ours and (one.appeared or one.name in self.holdings):
                self._look(one.name)
            self._pace.breathe()
        if batch.lost or self._pace.is_due("scan", _SCAN_EVERY):
            self._scan()

    def _changes(self, seconds: float) -> Batch:
        if self._watch is None:
            self._pace.wait(seconds)
            return Batch([], lost=False)
        try:
            return self._watch.read(seconds)
        except OSError as error:
            self._pace.failed(error)
            self._pace.wait(seconds)
            return Batch([], lost=True)

    def _look(self, name: str) -> None:
        try:
            size = size_of(self.path(name), self._weight)
        except OSError as error:
            self._pace.failed(error)
            return
        if size is None:
            self.holdings.gone(name)
        else:
            self.holdings.found(name, size)

    def _scan(self) -> None:
        begun = monotonic()
        known = self._known()
        shards = self._read_shards()
        if self.scanned:
            self._compare(known, shards)
        else:
            self._preload(shards)
        self.scanned = True
        every = _SCAN_EVERY
        if self._watch is None:
            every = max(_BLIND_SCAN_EVERY, (monotonic() - begun) * _BLIND_SHARE)
        self._pace.put_off("scan", every)

    def _known(self) -> list[str]:
        known: list[str] = []
        for name in self.holdings:  # which only this thread changes, and not meanwhile
            known.append(name)
            self._pace.breathe()
        return known

    def _read_shards(self) -> list[list[Found]]:
        """What is in each shard, the oldest last."""
        shards = []
        for shard in self._shards:
            found: list[Found] = []
            for some in read_shard(shard, self._pace.failed, self._weight):
                found += some
                self._pace.breathe()
            found.sort(reverse=True)
            shards.append(found)
        return shards

    def _preload(self, shards: list[list[Found]]) -> None:
        for some in _by_age(shards):
            self.holdings.preload((name, size) for _, name, size in some)
            self._pace.breathe()

    def _compare(self, known: list[str], shards: list[list[Found]]) -> None:
        """Takes in what is new, by age, and what isn't there any more out."""
        seen: set[str] = set()
        for some in _by_age(shards):
            for _, name, size in some:
                seen.add(name)
                self.holdings.found(name, size)
            self._pace.breathe()
        for name in known:
            if name not in seen:
                self._look(name)
            self._pace.breathe()


def _by_age(shards: list[list[Found]]) -> Iterator[list[Found]]:
    """The oldest first, some at a time; `shards` are emptied.

    One sort of everything would take too long at a stretch, and so would freeing it at once.
    """
    by_age = merge(*map(_taken_out, shards))
    while some := list(islice(by_age, _BATCH)):
        yield some


def _taken_out(shard: list[Found]) -> Iterator[Found]:
    while shard:
        yield shard.pop()

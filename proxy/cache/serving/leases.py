"""Leases on what is kept: for how long an answer may be given again without opening its object.

Each is asked before every answer, so that it compares a handful of values and no more. What ends
one is seen at once: the end of freshness, a purge, another version, news of the same one.
"""

from __future__ import annotations

from time import monotonic

from proxy.cache.cache import Cache
from proxy.cache.disk.hits import bucket_of
from proxy.cache.filling.entry import Entry
from proxy.cache.rules.standing import age_of
from proxy.semantics.freshness import Terms


class EntryLease:
    """Holds while a version is fresh by its terms, and is what was known when this was made.

    It may be used once the version's slices were read: they count as used when the answer is given.
    """

    __slots__ = ("_buckets", "_cache", "_entry", "_until", "_validated")

    def __init__(self, cache: Cache, entry: Entry, terms: Terms) -> None:
        self._cache = cache
        self._entry = entry
        self._validated = entry.validated
        self._until = entry.validated + entry.lifetime(terms).fresh
        self._buckets: tuple[int, ...] | None = None

    def holds(self) -> bool:
        """Whether opening the object would find the same, without asking the origin."""
        entry = self._entry
        return (
            monotonic() < self._until
            and entry.validated == self._validated
            # What is dropped is known no more. To be asked for keeps it known, so that a purge
            # finds it.
            and self._cache.entries.get(entry.name) is entry
        )

    def age(self) -> int:
        """Seconds since it was validated, as the Age field has them (RFC 9111 §5.1)."""
        return age_of(self._entry.age)

    def used(self, size: int) -> None:
        """An answer with so many bytes was given from memory: the slices stay on disk for it."""
        if not size:
            return
        self._cache.bytes.memory += size
        disk = self._cache.disk
        if disk is not None:
            for bucket in self._buckets or self._of_slices():
                disk.hits.touch_bucket(bucket)

    def _of_slices(self) -> tuple[int, ...]:
        entry = self._entry
        names = map(entry.slice_name, range(entry.slices))
        self._buckets = tuple(map(bucket_of, names))
        return self._buckets


class MissingLease:
    """Holds while an object is known to be missing. `name` is the object's."""

    __slots__ = ("_cache", "_name")

    def __init__(self, cache: Cache, name: str) -> None:
        self._cache = cache
        self._name = name

    def holds(self) -> bool:
        """Whether there is still nothing, as far as is known."""
        return self._cache.missing.has(self._name)

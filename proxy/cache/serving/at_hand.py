"""What may be given of an object without asking its origin: from what is known of it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proxy.cache.cache import Cache
from proxy.cache.disk.format import Head
from proxy.cache.filling.entry import Entry
from proxy.cache.rules.standing import How, Standing
from proxy.cache.serving.leases import EntryLease
from proxy.cache.serving.object import CachedObject
from proxy.origins.base import Origin, Want
from proxy.origins.whole import Whole
from proxy.semantics.freshness import NO_DEMANDS, Use, use_of
from proxy.semantics.representation import Representation


class AtHand:
    """The objects of one origin. `validate` is called for those that are given stale meanwhile."""

    def __init__(
        self, origin: Origin, name: str, cache: Cache, validate: Callable[[Entry, Want], None]
    ) -> None:
        self._origin, self._name, self._cache = origin, name, cache
        self._validate = validate

    def find(
        self, name: str, want: Want, arrived: float | None, *, stale: bool = True
    ) -> CachedObject | None:
        """What may be given without asking; `arrived` is when a request came that has waited.

        `stale`: also what has to be validated meanwhile.
        """
        entry = self._cache.entries.get(name)
        if entry is None or (want.checksums and not entry.head.complete):
            return None
        if want.pin is not None or want.unless is not None:
            want.check(entry.representation)
        if arrived is not None and entry.validated >= arrived:
            return self.object_of(entry, "joined", want)
        lifetime = entry.lifetime(want.terms)
        use = use_of(lifetime, entry.age, want.demands)
        if use is Use.VALIDATE:
            return None
        if use is Use.STALE_WHILE_REVALIDATE:
            if not stale:
                return None
            self._validate(entry, want)
        return self.object_of(entry, "hit" if entry.age < lifetime.fresh else "stale", want)

    def take_whole(
        self, name: str, want: Want, known: Representation, *, sealed: bool
    ) -> Whole | None:
        """The whole of an object that need not be asked for, where it is one slice in memory."""
        entry, cache = self._cache.entries.get(name), self._cache
        if entry is None or entry.representation is not known or not 0 < known.size <= entry.width:
            return None
        if want.demands is not NO_DEMANDS or want.pin is not None or want.unless is not None:
            return None
        head = entry.head
        if (want.checksums and not head.complete) or (sealed and not head.sealed_by):
            return None
        lease = EntryLease(cache, entry, want.terms)
        if not lease.holds():
            return None
        found = cache.filler.whole_in_memory(entry, 0)
        body = found.at_hand(0, known.size) if found is not None else None
        if found is None or body is None:
            return None
        found.was_read = True
        cache.bytes.memory += len(body)
        entry.recent.append(known.size)
        may = head.complete and not cache.options.follow_demands
        return Whole(body, lease if may else None, lease.age, head.sealed_by)

    def object_of(
        self,
        entry: Entry,
        how: How,
        want: Want,
        status: int | None = None,
        begun: int | None = None,
    ) -> CachedObject:
        """The object of an entry; `how`, `status` and `begun` as `Standing` and it have them."""
        age = entry.age
        standing = Standing(how, age, entry.lifetime(want.terms).fresh - age, status=status)
        return CachedObject(self._origin, self._cache, entry, standing, begun, want.terms)

    def take_head(self, name: str, key: str, want: Want, head: Head | None) -> CachedObject | None:
        """Takes over what the disk says, if that is newer than what is known; gives the object if
        it may be used now."""
        if head is None or (head.origin, head.key) != (self._name, key):
            return None
        if head.width != self._cache.options.width or self._cache.is_purged(head):
            return None
        if self._cache.is_purged(head, soft=True):
            head = replace(head, validated=0.0)
        entry = self._cache.entries.get(name)
        if entry is None or head.validated > entry.head.validated:
            self._cache.adopt(Entry(name, head, on_disk=True))
        return self.find(name, want, None, stale=False)

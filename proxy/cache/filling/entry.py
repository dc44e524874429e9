"""What one process knows of objects: versions that may be served, keys without an object, keys that
are not kept.

All of it is bounded, and what was used last stays longest. Losing any of it costs a question to the
disk or the origin, never a wrong byte.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic, time
from typing import Final

from proxy.cache.disk.format import Head, Label
from proxy.cache.rules.naming import slice_name, version_name
from proxy.cache.rules.slices import slice_count, slice_span
from proxy.semantics.freshness import Lifetime, Terms, lifetime_of
from proxy.semantics.representation import Representation

# About 2 kB each: 20 MB. Of more objects than that, the head is read from disk again.
MOST_ENTRIES: Final = 10_000
# Names with nothing but a time.
MOST_MARKS: Final = 20_000
# The age in seconds of what is to be validated in any case: more than the 2**31 for which something
# may be fresh, and as much again for which it may be used when stale.
_LONG_AGO: Final = 2.0**33
# Ends of ranges that were read lately: a range that begins at one of them goes on with it.
_RECENT: Final = 8


class Entry:
    """One version of one object. It is dropped when another takes its place, or it is purged.

    Attributes:
        name: of the object.
        head: what is known of it; kept on disk as it is here if `on_disk`.
        version: its name, as in the names of its slices.
        validated: when the origin last said that it is the current one, by `time.monotonic`.
        dropped: nothing of it may be given to a request that comes from now on.
        recent: where ranges of it ended lately.
        sums: of its slices, by the store's algorithm, as far as this process fetched them.
        tables: the check values of the same slices' tables.
        proven: those of slices that are known to be right although not all of the object is, which
            were checked by the store's checksums of its parts, of the kind `proven_by`.
        validating: the origin is being asked about it while it is given.
    """

    __slots__ = (
        "_last",
        "_lifetimes",
        "dropped",
        "head",
        "name",
        "on_disk",
        "proven",
        "proven_by",
        "recent",
        "sums",
        "tables",
        "validated",
        "validating",
        "version",
    )

    def __init__(self, name: str, head: Head, *, on_disk: bool = False) -> None:
        self.name = name
        self.head = head
        self.version = version_name(head.representation, head.width)
        self.on_disk = on_disk
        self.dropped = False
        self.validating = False
        self.sums: dict[int, bytes] = {}
        self.tables: dict[int, bytes] = {}
        self.proven: dict[int, bytes] = {}
        self.proven_by = ""
        self.recent: deque[int] = deque(maxlen=_RECENT)
        self._lifetimes: dict[Terms, Lifetime] = {}
        self._last: tuple[Terms, Lifetime] | None = None
        self.validated = _validated(head.validated)

    @property
    def representation(self) -> Representation:
        """What the store says of it."""
        return self.head.representation

    @property
    def width(self) -> int:
        """Of its slices, in bytes."""
        return self.head.width

    @property
    def age(self) -> float:
        """Seconds since it was validated (RFC 9111 §4.2.3)."""
        return monotonic() - self.validated

    def lifetime(self, terms: Terms) -> Lifetime:
        """How long it may be used after it was validated. There are as many terms as rules."""
        last = self._last
        if last is not None and last[0] is terms:  # hashing them takes longer than all else here
            return last[1]
        found = self._lifetimes.get(terms)
        if found is None:
            now = self.head.validated
            found = self._lifetimes[terms] = lifetime_of(self.representation, terms, now=now)
        self._last = terms, found
        return found

    @property
    def slices(self) -> int:
        """How many it has."""
        return slice_count(self.representation.size, self.head.width)

    def slice_name(self, index: int) -> str:
        """The name of one of its slices."""
        return slice_name(self.name, self.version, index)

    def length_of(self, index: int) -> int:
        """Of one of its slices, in bytes."""
        return slice_span(index, self.representation.size, self.head.width).length

    def right(self, index: int) -> bytes | None:
        """The check value of a slice's table when it was found right; None if it never was."""
        seal = self.head.seal
        return self.proven.get(index) if seal is None else seal[index]

    def label_of(self, index: int) -> Label:
        """What the file of one of its slices has to say of itself."""
        head = self.head
        return Label(head.origin, head.key, self.version, index, self.length_of(index))

    def now_valid(
        self,
        asked: float,
        representation: Representation | None = None,
        *,
        complete: bool = False,
    ) -> None:
        """The origin said that it is the current version, and perhaps what it knows of it.

        `asked` is when it was asked, in seconds since 1970: an age counts from there (RFC 9111
        §4.2.3).
        """
        head = replace(self.head, validated=asked)
        if representation is not None:
            head = replace(head, representation=representation, complete=complete or head.complete)
        self.head = head
        self.validated = _validated(asked)
        self._lifetimes.clear()
        self._last = None

    def renew(self, other: Entry) -> None:
        """Takes what another one says of the same version, for all who read this one too."""
        head = other.head
        if head.seal is None:
            head = replace(head, seal=self.head.seal, sealed_by=self.head.sealed_by)
        self.head, self.validated = head, other.validated
        self.on_disk = self.on_disk or other.on_disk
        self._lifetimes.clear()
        self._last = None

    def expire(self) -> None:
        """It is to be validated before it is used again."""
        self.head = replace(self.head, validated=0.0)
        self.validated = _validated(0.0)


def _validated(at: float) -> float:
    """When that was by `time.monotonic`; `at` is in seconds since 1970, or 0 for never.

    The wall clock may be set back; an age is never negative, and from here on it is not asked.
    """
    return monotonic() - (max(0.0, time() - at) if at else _LONG_AGO)


class Entries:
    """The entries of a process, by the name of their object."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = most
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, name: str) -> Entry | None:
        """The entry of an object, if it is known."""
        found = self._entries.get(name)
        if found is not None:
            self._entries.move_to_end(name)
        return found

    def put(self, entry: Entry) -> Entry | None:
        """Takes an entry; gives the one it replaces, which is another version of the object."""
        before = self._entries.pop(entry.name, None)
        self._entries[entry.name] = entry
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return before

    def remove(self, entry: Entry) -> None:
        """Forgets an entry, if it is the one that is known."""
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]


class Marks:
    """Names that are remembered for a while: until a time by `time.monotonic`."""

    def __init__(self, most: int = MOST_MARKS) -> None:
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    def set(self, name: str, seconds: float) -> None:
        """Remembers a name for so long."""
        self._until.pop(name, None)
        self._until[name] = monotonic() + seconds
        if len(self._until) > self._most:
            self._until.popitem(last=False)

    def has(self, name: str) -> bool:
        """Whether it is remembered."""
        until = self._until.get(name)
        if until is None:
            return False
        if monotonic() < until:
            return True
        del self._until[name]
        return False

    def discard(self, name: str) -> None:
        """Forgets a name."""
        self._until.pop(name, None)

    def clear(self) -> None:
        """Forgets all names."""
        self._until.clear()

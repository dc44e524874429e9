"""What an origin is: one operation, `open`, and what it gives.

Everything between a store and a plan keeps this interface, so that layers (a cache, a check, a
limit) can be added, removed and reordered in one line of `proxy.assembly`.

A key is the object's name as text: UTF-8, no leading slash (unless the name has one), already
percent-decoded once. Origins decide nothing about HTTP: they raise faults of `proxy.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from proxy.errors import HeadgateError, ObjectChanged
from proxy.semantics.etags import EntityTag
from proxy.semantics.freshness import NO_DEMANDS, Demands, Terms
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import PartSums, Representation, Span

USUAL_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Want:
    """What the caller means to read first, so that a store can open and read in one request.

    But for `pin` and `unless`, which stores keep, it is a hint: the answer's `representation` and
    every later `read` are right whatever it said.

    Attributes:
        body: false when no byte is likely to be read (HEAD, revalidation).
        first: the first range that will be read, or None for the whole.
        checksums: whether the store's checksums will be needed, so that a layer that keeps what it
            knows of objects does not answer without having asked for them.
        pin: only this version will do: opening raises `ObjectChanged` if there is another.
        unless: opening raises `Unmodified` if the current version has this strong validator.
        at_once: whether all of it is taken as soon as it comes, as for a cache; else a client may
            stop at any time, and little of what it does not take is to be held.
        terms: what the path's rules say of freshness, for a cache.
        demands: what the client says of it (RFC 9111 §5.2.1), for a cache.
    """

    body: bool = True
    first: ByteRange | None = None
    checksums: bool = False
    pin: Representation | None = None
    unless: EntityTag | None = None
    at_once: bool = False
    terms: Terms = USUAL_TERMS
    demands: Demands = NO_DEMANDS

    def check(self, representation: Representation) -> None:
        """Raises ObjectChanged or Unmodified if the version that was opened is not wanted."""
        if self.pin is not None and not is_same_version(self.pin, representation):
            raise ObjectChanged("there is another version by now")
        tag = representation.etag
        if self.unless is not None and tag is not None and tag.matches_strongly(self.unless):
            raise Unmodified(representation.last_modified)


class Unmodified(HeadgateError):
    """The current version is the one named by `Want.unless`: its bytes need not be sent.

    Attributes:
        last_modified: of the current version, seconds since the epoch, or None if it isn't said.
            Metadata can change without the bytes; then this is later than what was known.
    """

    def __init__(self, last_modified: int | None = None) -> None:
        super().__init__("not modified")
        self.last_modified = last_modified


def is_same_version(one: Representation, other: Representation) -> bool:
    """Whether bytes of both may be put together: a strong validator or a version id says so
    (RFC 9110 §8.8.1)."""
    if one.size != other.size:
        return False
    if one.etag is not None and other.etag is not None and not one.etag.weak:
        return one.etag.matches_strongly(other.etag)
    return one.version is not None and one.version == other.version


WHOLE = Want()
NO_BODY = Want(body=False)


class OpenObject(Protocol):
    """One version of one object, held open. Whoever opened it calls `aclose`, always."""

    @property
    def representation(self) -> Representation:
        """What the store says of this version."""
        ...

    def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes, in order, in buffers of the origin's choice, none of them empty.

        Gives exactly `span.length` bytes of this very version, or raises an `OriginFault`
        (`ObjectChanged` when the version is gone). The caller iterates under
        `contextlib.aclosing`, since only that returns a connection at once when it stops early.
        """
        ...

    async def aclose(self) -> None:
        """Gives back what the object holds. Safe to call twice, and while cancelled."""
        ...


@runtime_checkable
class Parted(Protocol):
    """An open object whose store may know in what parts it was uploaded. Layers pass it on."""

    async def part_sizes(self) -> tuple[int, ...] | None:
        """The sizes of its parts in order, in bytes; None if the store can't tell for certain.

        Raises an `OriginFault` where the store fails.
        """
        ...


@runtime_checkable
class SummedInParts(Protocol):
    """An open object whose store may tell the checksum of each of its parts. Layers pass it on."""

    async def part_sums(self) -> PartSums | None:
        """The checksum of each part; None if the store doesn't tell those of all of them.

        Raises an `OriginFault` where the store fails.
        """
        ...


class Lease(Protocol):
    """For how long an answer that was made from what an origin said may be given again."""

    def holds(self) -> bool:
        """Whether it may now, without asking the origin. Takes no more than microseconds."""
        ...


class KeptLease(Lease, Protocol):
    """A lease of a cache. Its answers carry an Age, and count as the cache's."""

    def age(self) -> int:
        """Seconds since the origin last vouched for what was said (RFC 9111 §5.1)."""
        ...

    def used(self, size: int) -> None:
        """An answer with so many bytes of it was given."""
        ...


def kept_lease(lease: Lease) -> KeptLease | None:
    """The lease, if it is a cache's."""
    return cast("KeptLease", lease) if getattr(lease, "age", None) is not None else None


def lease_of(told: object) -> Lease | None:
    """The lease that an open object, or a `NotFound`, has as its attribute `lease`, if any.

    An origin may offer one, and layers pass it on. That of an object is asked for when its bytes
    were read; that of a `NotFound` holds while there is still nothing.
    """
    lease: Lease | None = getattr(told, "lease", None)
    return lease


class Origin(Protocol):
    """A store of objects."""

    async def start(self) -> None:
        """Makes ready and checks that the store is there; raises `StartError` in one clear line."""
        ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        """Opens the current version of `key`; raises `NotFound` or another `Fault`."""
        ...

    async def aclose(self) -> None:
        """Gives back all connections and tasks. Objects still open must have been closed."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a listing: an object, or (with a trailing "/") a common prefix.

    Attributes:
        name: the last part of its key, below the prefix that was listed.
        size: bytes, or None for a prefix.
        last_modified: seconds since the epoch (UTC), or None.
    """

    name: str
    size: int | None = None
    last_modified: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing. `after` is the cursor of the next page, or None at the end."""

    entries: tuple[Entry, ...]
    after: str | None = None


@runtime_checkable
class Lister(Protocol):
    """An origin that can also list."""

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        """One page of what lies directly below `prefix` ("" or ending in "/").

        At most `limit` entries, in an order that stays the same from page to page. An empty
        page for a prefix below which nothing lies; raises a `Fault` as `open` does.
        """
        ...

"""An origin in memory, for tests, demonstrations and bug reports.

It behaves as S3 does: an object is one version, a read pins that version, and a read that begins
after the object was replaced or removed fails. A read under way goes on with the old bytes, as a
GET under way does. Objects may be put, replaced and removed while others read.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from heapq import nsmallest

from proxy.errors import NotFound, ObjectChanged
from proxy.origins.base import WHOLE, Entry, Lease, Page, Want
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation, Span

# As much as a socket gives at once; small, so that a test's object has several buffers.
BUFFER_SIZE = 64 * 1024

_LEFT_OUT = Representation(0)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object: its bytes and what is known of them.

    `representation` may be left out: then it has the size, and a strong entity tag made from the
    bytes. One that is given says what a store would say, be it right or wrong.
    """

    body: bytes
    representation: Representation = _LEFT_OUT

    def __post_init__(self) -> None:
        if self.representation is _LEFT_OUT:
            tag = EntityTag(hashlib.sha256(self.body).hexdigest()[:32])
            made = Representation(len(self.body), etag=tag)
            object.__setattr__(self, "representation", made)


class MemoryOrigin:
    """Objects in a dictionary. An `Origin` and a `Lister`.

    `buffer_size` is how many bytes a read gives at once.
    """

    def __init__(
        self, objects: Mapping[str, StoredObject] | None = None, *, buffer_size: int = BUFFER_SIZE
    ) -> None:
        self._objects = dict(objects or {})
        self._buffer_size = buffer_size

    def put(self, key: str, stored: StoredObject) -> None:
        """Stores an object, in place of an older one if there is one."""
        self._objects[key] = stored

    def remove(self, key: str) -> None:
        """Forgets an object; nothing happens if there is none."""
        self._objects.pop(key, None)

    def current(self, key: str) -> StoredObject | None:
        """The version that `open` would give now."""
        return self._objects.get(key)

    async def start(self) -> None:
        """Nothing to make ready."""

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        """Opens the current version; raises `NotFound`. Waits for nothing, whatever is wanted."""
        stored = self._objects.get(key)
        if stored is None:
            if want.pin is not None:
                raise ObjectChanged(f"{key!r} was removed")
            raise NotFound(f"no object {key!r} in memory")
        want.check(stored.representation)
        return MemoryObject(self, key, stored, self._buffer_size)

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        """One page of what lies directly below `prefix`, by the octets of the names, as S3."""
        named = {entry.name: entry for entry in self._below(prefix)}
        rest = [name for name in named if after is None or _order(name) > _order(after)]
        names = nsmallest(max(1, limit), rest, key=_order)
        return Page(
            tuple(named[name] for name in names),
            names[-1] if names and len(rest) > len(names) else None,
        )

    async def aclose(self) -> None:
        """Nothing to give back."""

    def _below(self, prefix: str) -> Iterator[Entry]:
        for key, stored in self._objects.items():
            if not key.startswith(prefix) or key == prefix:
                continue
            name, slash, _ = key[len(prefix) :].partition("/")
            known = stored.representation
            yield Entry(name + slash) if slash else Entry(name, known.size, known.last_modified)


def _order(name: str) -> bytes:
    return name.encode(errors="surrogatepass")


class _Version:
    """A lease on a version."""

    def __init__(self, opened: MemoryObject) -> None:
        self.holds = opened.is_current


class MemoryObject:
    """One version of one object, as it was when it was opened."""

    def __init__(
        self, origin: MemoryOrigin, key: str, stored: StoredObject, buffer_size: int
    ) -> None:
        self._origin = origin
        self._key = key
        self._stored = stored
        self._buffer_size = buffer_size

    @property
    def representation(self) -> Representation:
        """What is known of this version."""
        return self._stored.representation

    @property
    def lease(self) -> Lease:
        """Holds while this version is stored."""
        return _Version(self)

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes; raises `ObjectChanged` if the object is another one by now."""
        if not self.is_current():
            raise ObjectChanged(f"{self._key!r} was replaced or removed")
        for start in range(span.start, span.stop, self._buffer_size):
            await asyncio.sleep(0)
            yield self._stored.body[start : min(start + self._buffer_size, span.stop)]

    async def aclose(self) -> None:
        """Nothing to give back."""

    def is_current(self) -> bool:
        """Whether the same version is still stored; equal tags are one version, as for If-Match."""
        now = self._origin.current(self._key)
        if now is None or now is self._stored:
            return now is not None
        ours, theirs = self.representation.etag, now.representation.etag
        return ours is not None and theirs is not None and ours.matches_strongly(theirs)

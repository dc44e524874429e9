"""An origin over an origin that answers from slices it has kept, as RFC 9111 allows.

What is known of an object is asked of the origin once, however many want to know at the same time:
of the requests of a process one asks and the others wait, and between processes whoever holds the
lock. Who leaves while it asks hands over to a waiter.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic, time
from typing import Final, cast

from proxy.cache.cache import Cache
from proxy.cache.disk.format import Head
from proxy.cache.disk.held import Held
from proxy.cache.filling.entry import Entry
from proxy.cache.rules.naming import object_name
from proxy.cache.rules.slices import first_slice
from proxy.cache.rules.standing import How
from proxy.cache.serving.at_hand import AtHand
from proxy.cache.serving.leases import MissingLease
from proxy.cache.serving.object import CachedObject
from proxy.cache.serving.passing import PassedObject
from proxy.errors import Fault, NotFound, NotInCache, ObjectChanged, OriginFault
from proxy.origins.base import WHOLE, Lister, OpenObject, Origin, Page, Unmodified, Want
from proxy.origins.whole import Whole
from proxy.semantics.cache_status import CacheReport
from proxy.semantics.freshness import (
    NO_DEMANDS,
    Terms,
    lifetime_of,
    usable_on_error,
)
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Representation

# Seconds to wait for another process that asks about an object. An origin may take as long with its
# retries; after that we ask ourselves.
_OTHERS: Final = 30.0
# Seconds for which an object that may not be kept is asked for without looking for it first.
_PASSING: Final = 60.0
# Waiting for others and finding nothing usable, before a request asks for itself alone.
_MOST_WAITS: Final = 3


class Cached:
    """An `Origin`, and a `Lister` if `origin` is one. `name` is the origin's, and part of each key.

    Whoever made the cache starts and closes it; `start` and `aclose` are those of the origin below.
    """

    def __init__(self, origin: Origin, name: str, cache: Cache) -> None:
        self.origin = origin
        self.name = name
        self.cache = cache
        self._at_hand = AtHand(origin, name, cache, self._validate_behind)
        self._asking: dict[tuple[str, int], asyncio.Future[Fault | None]] = {}
        if callable(getattr(origin, "list", None)):
            self.list = self._list  # a layer can do what lies below it can do

    async def start(self) -> None:
        """As the origin below."""
        await self.origin.start()

    async def aclose(self) -> None:
        """As the origin below."""
        await self.origin.aclose()

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        """Opens `key` from what is kept, or by asking the origin; see `Origin.open`.

        Raises NotInCache where the client wants nothing but what is kept.
        """
        if want.demands is not NO_DEMANDS and not self.cache.options.follow_demands:
            want = replace(want, demands=NO_DEMANDS)
        begun = monotonic()
        opened = await self._open(key, want, begun)
        opened.standing.spent = monotonic() - begun - opened.standing.waited
        return opened

    async def _open(self, key: str, want: Want, arrived: float) -> CachedObject | PassedObject:
        name, waits = object_name(self.name, key), 0
        while True:
            found = self._at_hand.find(name, want, arrived if waits else None)
            if found is not None:
                return found
            if self.cache.missing.has(name) and not want.demands.no_cache:
                missing = NotFound(f"origin {self.name!r}: {key!r} was missing a moment ago")
                missing.lease = MissingLease(self.cache, name)
                missing.cache_report = CacheReport(hit=True, detail="missing")
                raise missing
            if self.cache.passing.has(name):
                return await self._pass(key, want)
            if want.demands.only_if_cached:
                raise NotInCache(f"origin {self.name!r}: {key!r} is not kept, or stale")
            # A question from before a purge tells nothing to who comes after it.
            other = self._asking.get((name, self.cache.era))
            if other is None or waits >= _MOST_WAITS:
                return await self._ask(name, key, want)
            waits += 1
            fault = await asyncio.shield(other)
            # A missing object is missing for all; a trouble that another try may mend gets one.
            if fault is not None and (waits > 1 or not fault.retryable):
                fault.cache_report = CacheReport(fwd="uri-miss", collapsed=True)
                raise fault

    def take_whole(
        self, key: str, want: Want, known: Representation, *, sealed: bool = False
    ) -> Whole | None:
        """As of `proxy.origins.whole`: what is fresh, and in memory as one slice."""
        return self._at_hand.take_whole(object_name(self.name, key), want, known, sealed=sealed)

    # --- by asking ------------------------------------------------------------------------------

    def _validate_behind(self, entry: Entry, want: Want) -> None:
        """Asks whether a stale entry is current, while it is being given."""
        if not entry.validating:
            quiet = replace(want, body=False, demands=NO_DEMANDS)
            entry.validating = self.cache.spawn(self._ask_quietly(entry, quiet))

    async def _ask_quietly(self, entry: Entry, want: Want) -> None:
        try:
            opened = await self._ask(entry.name, entry.head.key, want)
            await opened.aclose()
        except Fault:
            pass  # the next who needs to know asks again, and is told
        finally:
            entry.validating = False

    async def _ask(self, name: str, key: str, want: Want) -> CachedObject | PassedObject:
        """Asks, and lets all who wait go on."""
        begun = monotonic()
        waiting: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        question = (name, self.cache.era)
        alone = question in self._asking
        if not alone:
            self._asking[question] = waiting
        fault: Fault | None = None
        try:
            opened = await self._settle(name, key, want)
        except Fault as raised:
            fault = raised
            fault.cache_report = CacheReport(fwd="uri-miss")
            raise
        finally:
            if not alone:
                del self._asking[question]
                waiting.set_result(fault)
        if opened.standing.how != "hit":  # else another process had asked meanwhile
            opened.standing.waited = monotonic() - begun
        return opened

    async def _settle(self, name: str, key: str, want: Want) -> CachedObject | PassedObject:
        disk = self.cache.disk
        await self.cache.removed(name)
        held: Held | None = None
        deadline = monotonic() + _OTHERS
        while disk is not None and monotonic() < deadline:
            found = await disk.open_or_wait(name)
            if found is None:
                break
            head, held = found
            known = self._at_hand.take_head(name, key, want, head)
            if known is not None:
                await held.abandon()
                return known
            if held.mine:
                break
            await held.ended(deadline - monotonic())
            held.close()
            held = None
        try:
            return await self._ask_origin(name, key, want)
        finally:
            if held is not None:
                await held.abandon()

    async def _ask_origin(self, name: str, key: str, want: Want) -> CachedObject | PassedObject:
        known = self.cache.entries.get(name)
        begun, era = time(), self.cache.era
        try:
            return await self._ask_about(known, name, key, want, begun)
        except NotFound as missing:
            if era == self.cache.era:
                self.cache.forget(name)
                self.cache.missing.set(name, self.cache.options.missing_ttl)
            missing.lease = MissingLease(self.cache, name)
            raise
        except ObjectChanged:
            if known is not None:
                self.cache.replaced(known)
            raise
        except OriginFault:
            if known is None or known.dropped or want.demands.no_cache:
                raise
            if not usable_on_error(known.lifetime(want.terms), known.age):
                raise
            return self._at_hand.object_of(known, "stale", want)

    async def _ask_about(
        self, known: Entry | None, name: str, key: str, want: Want, begun: float
    ) -> CachedObject | PassedObject:
        if known is not None and want.checksums and not known.head.complete:
            # Its bytes may be kept already; what lacks is what stores tell only of the whole.
            asked = Want(body=False, checksums=True, pin=known.representation)
            return await self._ask_for_more(known, want, asked, begun, "completed")
        size = known.representation.size if known is not None else None
        asked = self._asked(want, size)
        if known is not None:
            asked = replace(asked, unless=known.representation.etag)
        try:
            opened = await self.origin.open(key, asked)
        except Unmodified as same:
            assert known is not None  # noqa: S101  # it was asked with `unless`
            return await self._still(known, same, want, begun)
        head = Head(
            self.name,
            key,
            self.cache.options.width,
            begun,
            opened.representation,
            complete=not asked.body or asked.first is None,
        )
        return await self._take(opened, Entry(name, head), want, asked)

    def _asked(self, want: Want, size: int | None) -> Want:
        """What to ask the origin for: no more than one slice, and the one that is wanted first."""
        asked = Want(body=want.body, first=want.first, checksums=want.checksums, pin=want.pin)
        if not want.body or want.first is None:
            return asked
        width = self.cache.options.width
        index = first_slice(want.first, size, width)
        if index is None:
            # The end of something whose size is not known: that is asked first.
            return replace(asked, body=False, first=None)
        if index == 0:
            # The whole, of which a slice is taken: stores tell its checksums only then.
            return replace(asked, first=None)
        return replace(asked, first=ByteRange(index * width, (index + 1) * width - 1))

    async def _ask_for_more(
        self, known: Entry, want: Want, asked: Want, begun: float, how: How
    ) -> CachedObject:
        opened = await self.origin.open(known.head.key, asked)
        await opened.aclose()
        self.cache.now_valid(known, begun, opened.representation, complete=True)
        await self._keep(known)
        return self._at_hand.object_of(known, how, want, 200)

    async def _still(
        self, known: Entry, same: Unmodified, want: Want, begun: float
    ) -> CachedObject:
        """The origin says that what is known is current. Its metadata may be newer all the same."""
        before = known.representation.last_modified
        if same.last_modified is not None and same.last_modified != before:
            pin = Want(body=False, checksums=True, pin=known.representation)
            return await self._ask_for_more(known, want, pin, begun, "validated")
        self.cache.now_valid(known, begun)
        await self._keep(known)
        return self._at_hand.object_of(known, "validated", want, 304)

    async def _keep(self, entry: Entry) -> None:
        if entry.on_disk:
            await self.cache.keep_head(entry)

    async def _take(
        self, opened: OpenObject, entry: Entry, want: Want, asked: Want
    ) -> CachedObject | PassedObject:
        """Takes over a version that the origin opened."""
        cache, head, representation = self.cache, entry.head, opened.representation
        if cache.is_purged(head):
            return PassedObject(opened)  # it was asked for before a purge: others must ask anew
        if not self._may_keep(representation, want.terms):
            cache.passing.set(entry.name, _PASSING)
            cache.forget(entry.name)
            return PassedObject(opened)
        entry = cache.adopt(entry)
        index = first_slice(asked.first, representation.size, head.width) if asked.body else None
        if index is None or not representation.size:
            await opened.aclose()
        else:
            found = await cache.filler.get(self.origin, entry, index, opened)
            if found is not None:
                await cache.keep_head(entry)
        return self._at_hand.object_of(
            entry, "new", want, 200 if asked.first is None else 206, index
        )

    def _may_keep(self, representation: Representation, terms: Terms) -> bool:
        """Bytes of two answers are put together only by a strong validator (RFC 9110 §8.8.1), and
        kept only where that is allowed (RFC 9111 §3)."""
        tag = representation.etag
        strong = (tag is not None and not tag.weak) or representation.version is not None
        return strong and lifetime_of(representation, terms).storable

    async def _pass(self, key: str, want: Want) -> PassedObject:
        """Opens an object that is not kept."""
        opened = await self.origin.open(key, want)
        return PassedObject(opened)

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        return await cast("Lister", self.origin).list(prefix, after, limit)

"""An object that is served from slices, and gets those it lacks from the origin.

A read goes from slice to slice: from memory, from disk, from one that is just being filled, or,
where there is no room to keep it, straight from the origin. Whichever it is, all bytes are of one
version. A reader that goes on has the next slices fetched before it comes to them: see `ahead`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from proxy.cache.cache import Cache
from proxy.cache.disk.stored import SliceGone
from proxy.cache.filling.entry import Entry
from proxy.cache.filling.filling import Source
from proxy.cache.filling.proving import proof_of
from proxy.cache.memory.growing import Slice
from proxy.cache.rules.checking import BLOCK, sum_of
from proxy.cache.rules.pace import Pace
from proxy.cache.rules.slices import indexes_of, pieces_of, slice_span
from proxy.cache.rules.standing import ONE_IN_MEMORY, Standing, report_of
from proxy.cache.serving.ahead import Window, last_to_fetch
from proxy.cache.serving.leases import EntryLease
from proxy.errors import ChecksumMismatch, Fault, ObjectChanged
from proxy.origins.base import USUAL_TERMS, Lease, Origin, Parted, SummedInParts, Want
from proxy.semantics.cache_status import CacheReport
from proxy.semantics.freshness import Terms
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import PartSums, Representation, Span

# Slices dropped under a reader before it goes past the cache for the rest of one.
_MOST_GONE: Final = 3
# Slices of one block are kept in memory too when they were read from disk; larger ones cost less
# there than they would take from others.
_SMALL: Final = BLOCK


class CachedObject:
    """One version of one object. Whoever opened it calls `aclose`.

    `begun` is the slice whose filling began with the opening, `terms` those it was opened on.
    """

    def __init__(
        self,
        origin: Origin,
        cache: Cache,
        entry: Entry,
        standing: Standing,
        begun: int | None = None,
        terms: Terms = USUAL_TERMS,
    ) -> None:
        self._origin = origin
        self._cache = cache
        self._filler = cache.filler
        self._entry = entry
        self._begun = begun
        self._terms = terms
        self._tables: dict[int, Source] = {}
        self.standing = standing
        self.representation: Representation = entry.representation

    # --- reading --------------------------------------------------------------------------------

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes; see `OpenObject.read`."""
        entry, position = self._entry, span.start
        ahead, last = self._cache.options.read_ahead, last_to_fetch(entry, span)
        whole, pace = span.length == self.representation.size, Pace()
        window = Window(self._filler, self._origin, entry, ahead, last, whole)
        try:
            for index, piece in pieces_of(span, entry.width):
                window.reach(index, position - span.start)
                async with aclosing(self._piece(index, piece, pace)) as buffers:
                    async for buffer in buffers:
                        position += len(buffer)
                        yield buffer
                        window.reach(index, position - span.start)
        finally:
            entry.recent.append(position)
            window.close()

    def at_hand(self, span: Span) -> bytes | None:
        """As of `proxy.origins.at_hand`: what lies in one slice that is whole, in memory."""
        entry, width = self._entry, self._entry.width
        index = span.start // width
        if index != (span.stop - 1) // width:
            return None
        found = self._filler.whole_in_memory(entry, index)
        if found is None:
            return None
        body = found.at_hand(span.start - index * width, span.stop - index * width)
        if body is not None:
            found.was_read = True
            self._cache.bytes.memory += len(body)
            entry.recent.append(span.stop)
        return body

    async def _piece(self, index: int, piece: Span, pace: Pace) -> AsyncGenerator[bytes, None]:
        """What a span has in one slice."""
        entry, base = self._entry, index * self._entry.width
        position, gone, tried = piece.start, 0, False
        while position < piece.stop:
            source = None
            if not gone or (gone < _MOST_GONE and self._filler.disk is not None):
                source = await self._filler.get(self._origin, entry, index)
            if source is None:
                rest = self._past_the_cache(index, Span(position, piece.stop))
                async with aclosing(rest) as buffers:
                    async for buffer in buffers:
                        yield buffer
                return
            rest = self._from(source, index, (position - base, piece.stop - base), pace)
            try:
                async with aclosing(rest) as buffers:
                    async for buffer in buffers:
                        position += len(buffer)
                        yield buffer
            except SliceGone:
                gone += 1
            except Fault as fault:
                # Who fills it had its tries; who only waited for that has one more.
                if tried or not fault.retryable:
                    raise
                tried = True

    async def _from(
        self, source: Source, index: int, ends: tuple[int, int], pace: Pace
    ) -> AsyncGenerator[bytes, None]:
        self._tables[index] = source
        count, (start, stop) = self._cache.bytes, ends
        if not isinstance(source, Slice):
            async with aclosing(source.read(start, stop, self.standing, pace)) as buffers:
                async for buffer in buffers:
                    count.disk += len(buffer)
                    if len(buffer) == source.length <= _SMALL:
                        self._filler.keep_small(self._entry, index, source, buffer)
                    yield buffer
            return
        source.interest += 1
        source.was_read = True
        try:
            sealed = self._entry.right(index) is not None
            read = self._held_back if sealed or source.judged or source.followed else _read
            async with aclosing(read(source, start, stop)) as buffers:
                async for buffer in buffers:
                    if source.state == "whole":
                        count.memory += len(buffer)
                    else:
                        count.filling += len(buffer)
                    yield buffer
        finally:
            self._filler.let_go(self._entry.slice_name(index), source)

    async def _held_back(self, source: Slice, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """As `Slice.read`, but the last piece waits until all of the slice is known to be right."""
        held: bytes | None = None
        async with aclosing(source.read(start, stop)) as buffers:
            async for buffer in buffers:
                if held is not None:
                    yield held
                held = buffer
        grew = source.state == "growing"
        await source.settled()
        if grew:
            self.standing.verified += source.judging
        if held is not None:
            yield held

    async def _past_the_cache(self, index: int, piece: Span) -> AsyncGenerator[bytes, None]:
        """Straight from the origin, at the reader's own pace; nothing of it is kept. Where the
        object is known to be right, all of the slice is read, and compared."""
        proof = proof_of(self._entry, index, self._filler.checks)
        if proof is None:
            async with aclosing(self._from_the_origin(piece)) as buffers:
                async for buffer in buffers:
                    yield buffer
            return
        whole = slice_span(index, self.representation.size, self._entry.width)
        position, held = whole.start, b""
        async with aclosing(self._from_the_origin(whole)) as buffers:
            async for buffer in buffers:
                proof.update(buffer)
                start, position = position, position + len(buffer)
                part = buffer[max(0, piece.start - start) : max(0, piece.stop - start)]
                if held and part:
                    yield held
                held = part or held
        if not proof.holds():
            self.discard()
            raise ChecksumMismatch(
                f"origin {self._entry.head.origin!r} key {self._entry.head.key!r}: slice {index} "
                "is not what the object was checked by"
            )
        yield held

    async def _from_the_origin(self, span: Span) -> AsyncGenerator[bytes, None]:
        entry, cache = self._entry, self._cache
        cache.filler.counts.bypassed += 1
        want = Want(first=ByteRange(span.start, span.stop - 1), pin=entry.representation)
        try:
            opened = await self._origin.open(entry.head.key, want)
            try:
                async with aclosing(opened.read(span)) as buffers:
                    async for buffer in buffers:
                        cache.bytes.bypassed += len(buffer)
                        yield buffer
            finally:
                await opened.aclose()
        except ObjectChanged:
            cache.replaced(entry)
            raise

    async def aclose(self) -> None:
        """Gives nothing back: what is read belongs to the cache."""

    # --- what layers above ask ------------------------------------------------------------------

    async def part_sizes(self) -> tuple[int, ...] | None:
        """As of `Parted`; asked of the origin."""
        want = Want(body=False, pin=self.representation)
        opened = await self._origin.open(self._entry.head.key, want)
        try:
            return await opened.part_sizes() if isinstance(opened, Parted) else None
        finally:
            await opened.aclose()

    async def part_sums(self) -> PartSums | None:
        """As of `SummedInParts`; asked of the origin."""
        want = Want(body=False, pin=self.representation)
        opened = await self._origin.open(self._entry.head.key, want)
        try:
            return await opened.part_sums() if isinstance(opened, SummedInParts) else None
        finally:
            await opened.aclose()

    @property
    def sealed_by(self) -> str:
        """The algorithm by which all of this version was checked once, so that each slice of it is
        known to be right, or by which its only slice is being checked; "" if neither is so."""
        entry = self._entry
        if entry.head.sealed_by or entry.slices != 1:
            return entry.head.sealed_by
        found = self._filler.known(entry, 0)
        checks = self._filler.checks
        if checks is None or not isinstance(found, Slice) or not found.judged:
            return ""
        expected = checks.expected(entry)
        return expected.algorithm if expected is not None else ""

    def proven_by(self, span: Span) -> str:
        """As `sealed_by`, of all slices that a span lies in."""
        entry = self._entry
        if not entry.proven:
            return ""
        known = all(index in entry.proven for index in indexes_of(span, entry.width))
        return entry.proven_by if known else ""

    def aligned(self, span: Span) -> Span:
        """The slices that a span lies in: what is best read of them to have them proven."""
        width = self._entry.width
        stop = -(-span.stop // width) * width
        return Span(span.start // width * width, min(stop, self.representation.size))

    def prove(self, span: Span, algorithm: str) -> None:
        """All of a span was read through this object and is what the store promised: so are the
        slices that lie in it as a whole."""
        entry, size = self._entry, self.representation.size
        for index in indexes_of(span, entry.width):
            whole = slice_span(index, size, entry.width)
            table = getattr(self._tables.get(index), "table", b"")
            if span.start <= whole.start and whole.stop <= span.stop and table:
                entry.proven[index] = sum_of(table)
                entry.proven_by = algorithm

    @property
    def lease(self) -> Lease | None:
        """Holds while it would be given again without a question. None where that depends on what
        each client demands, or more could be learnt of it."""
        if self._cache.options.follow_demands or not self._entry.head.complete:
            return None
        lease = EntryLease(self._cache, self._entry, self._terms)
        return lease if lease.holds() else None

    def confirm(self, algorithm: str) -> None:
        """All of it was read through this object and is what the store promised."""
        count = self._entry.slices
        tables = [getattr(self._tables.get(index), "table", b"") for index in range(count)]
        if all(tables):
            self._cache.seal(self._entry, tuple(map(sum_of, tables)), algorithm)

    def discard(self) -> None:
        """It is not what the store promised: nothing of it may be given to anybody."""
        self._cache.replaced(self._entry)

    # --- what is told of it ---------------------------------------------------------------------

    async def cache_report(self, spans: Sequence[Span]) -> CacheReport:
        """Where the bytes of an answer will come from, as far as that can be known before."""
        entry, cache = self._entry, self._cache
        if len(spans) == 1 and self._has_in_memory(spans[0]):
            presence = ONE_IN_MEMORY
        else:
            indexes = {one for span in spans for one in indexes_of(span, entry.width)}
            presence = await cache.presence(entry, sorted(indexes), self._begun)
        return report_of(self.standing, presence, keeps=not entry.dropped)

    def _has_in_memory(self, span: Span) -> bool:
        """Whether a span lies in one slice that was in memory before this request."""
        width = self._entry.width
        index = span.start // width
        one = index == (span.stop - 1) // width and index != self._begun
        return one and self._cache.is_in_memory(self._entry, index)


async def _read(source: Slice, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(source.read(start, stop)) as buffers:
        async for buffer in buffers:
            yield buffer

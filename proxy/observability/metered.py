"""A layer that counts what is asked of an origin, and how it answers. It changes nothing.

It stands directly over a store, below whatever asks again, so that each request counts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from time import monotonic
from typing import cast

from proxy.errors import (
    ChecksumMismatch,
    Fault,
    ObjectChanged,
    OriginBroke,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    OriginUnreachable,
    RequestFault,
)
from proxy.observability import metrics as names
from proxy.observability.flow import measure_waiting
from proxy.observability.meters import Meters
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import (
    WHOLE,
    Lease,
    Lister,
    OpenObject,
    Origin,
    Page,
    Parted,
    SummedInParts,
    Want,
    lease_of,
)
from proxy.origins.lending import Fetch, Lending, Piece, Stretch, can_lend
from proxy.origins.whole import Whole, taker_of
from proxy.semantics.representation import PartSums, Representation, Span

_KINDS: dict[type[Fault], str] = {
    OriginUnreachable: "unreachable",
    OriginTimeout: "timeout",
    OriginUnavailable: "unavailable",
    OriginRefused: "refused",
    OriginBroke: "broke",
    ObjectChanged: "changed",
    ChecksumMismatch: "mismatch",
}

# Seconds below which an answer is in the first bucket of the histogram.
_QUICK = names.ORIGIN_SECONDS.buckets[0]


def kind_of(fault: Fault) -> str:
    """The value of the label "kind" for a fault of the origin."""
    known = (_KINDS[one] for one in type(fault).__mro__ if one in _KINDS)
    return next(known, names.OTHER)


class Metered:
    """Origin over an origin; lists if that does. `name` is the origin's in the configuration."""

    def __init__(self, origin: Origin, name: str, meters: Meters) -> None:
        self._origin = origin
        self._count = _Count(name, meters)
        if callable(getattr(origin, "list", None)):
            self.list = self._list  # a layer can do what lies below it can do
        self._below = taker_of(origin)
        if self._below is not None:
            self.take_whole = self._take_whole
        waiting = getattr(origin, "waiting", None)
        if waiting is not None:
            measure_waiting(meters, name, waiting)

    async def start(self) -> None:
        """As the origin below."""
        await self._origin.start()

    async def open(self, key: str, want: Want = WHOLE) -> MeteredObject:
        """As the origin below."""
        begun, count = monotonic(), self._count
        count.asked("open")
        try:
            opened = await self._origin.open(key, want)
        except Fault as fault:
            count.failed(fault)
            raise
        finally:
            count.took(monotonic() - begun)
        return MeteredObject(opened, count)

    def _take_whole(
        self, key: str, want: Want, known: Representation, *, sealed: bool = False
    ) -> Whole | None:
        """As the origin below, counted as one that was opened and read."""
        begun, count = monotonic(), self._count
        assert self._below is not None  # noqa: S101  # else this is not offered
        whole = self._below(key, want, known, sealed=sealed)
        if whole is not None:
            count.took(monotonic() - begun)
            count.asked("open")
            count.asked("read")
            count.bytes += len(whole.body)
        return whole

    async def aclose(self) -> None:
        """As the origin below."""
        await self._origin.aclose()

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        self._count.asked("list")
        try:
            return await cast("Lister", self._origin).list(prefix, after, limit)
        except Fault as fault:
            self._count.failed(fault)
            raise


class _Count:
    """The counters of one origin. What is counted up here is looked up when somebody asks."""

    def __init__(self, name: str, meters: Meters) -> None:
        self._name, self._meters = name, meters
        self.bytes = 0
        self._asked: dict[str, int] = {}
        self._quick, self._quick_seconds = 0, 0.0
        meters.before_reading(self._fill_in)
        for kind in names.ERRORS:
            meters.add(names.ORIGIN_ERRORS, 0, name, kind)

    def asked(self, operation: str) -> None:
        self._asked[operation] = self._asked.get(operation, 0) + 1

    def _fill_in(self) -> None:
        self._meters.put(names.ORIGIN_BYTES, self.bytes, self._name)
        for operation, count in self._asked.items():
            self._meters.put(names.ORIGIN_REQUESTS, count, self._name, operation)
        if self._quick:
            quick, seconds = self._quick, self._quick_seconds
            self._meters.observe_quick(names.ORIGIN_SECONDS, quick, seconds, self._name)
            self._quick, self._quick_seconds = 0, 0.0

    def failed(self, fault: Fault) -> None:
        if isinstance(fault, OriginFault) or not isinstance(fault, RequestFault):
            self._meters.add(names.ORIGIN_ERRORS, 1, self._name, kind_of(fault))

    def took(self, seconds: float) -> None:
        if seconds < _QUICK:
            self._quick += 1
            self._quick_seconds += seconds
        else:
            self._meters.observe(names.ORIGIN_SECONDS, seconds, self._name)


class MeteredObject:
    """One version of one object, whose reads are counted."""

    __slots__ = ("_count", "_opened", "aclose", "lend", "part_sizes", "part_sums", "representation")

    def __init__(self, opened: OpenObject, count: _Count) -> None:
        self._opened, self._count = opened, count
        self.representation: Representation = opened.representation
        self.aclose = opened.aclose
        if getattr(opened, "part_sizes", None) is not None:  # isinstance would take 20 µs
            self.part_sizes = self._part_sizes
        if getattr(opened, "part_sums", None) is not None:
            self.part_sums = self._part_sums
        if can_lend(opened):
            self.lend = self._lend

    @property
    def lease(self) -> Lease | None:
        """As the object below."""
        return lease_of(self._opened)

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """As the object below."""
        count = self._count
        count.asked("read")
        buffers = self._opened.read(span)
        try:
            async for buffer in buffers:
                count.bytes += len(buffer)
                yield buffer
        except Fault as fault:
            count.failed(fault)
            raise
        finally:
            await buffers.aclose()

    def at_hand(self, span: Span) -> bytes | None:
        """As the object below. What could not be had so is counted when it is read."""
        body = bytes_at_hand(self._opened, span)
        if body is not None:
            self._count.asked("read")
            self._count.bytes += len(body)
        return body

    async def _lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        """As the object below. What is sent of what is lent counts as read."""
        count = self._count
        count.asked("read")
        pieces = cast("Lending", self._opened).lend(span)
        try:
            async for piece in pieces:
                if isinstance(piece, Stretch):
                    piece.fetch = self._counted(piece.fetch)
                try:
                    yield piece
                finally:
                    count.bytes += piece.taken if isinstance(piece, Stretch) else len(piece)
        except Fault as fault:
            count.failed(fault)
            raise
        finally:
            await pieces.aclose()

    def _counted(self, below: Fetch) -> Fetch:
        """The same, whose faults count."""

        async def fetch(offset: int, count: int) -> None:
            try:
                await below(offset, count)
            except Fault as fault:
                self._count.failed(fault)
                raise

        return fetch

    async def _part_sizes(self) -> tuple[int, ...] | None:
        self._count.asked("open")
        try:
            return await cast("Parted", self._opened).part_sizes()
        except Fault as fault:
            self._count.failed(fault)
            raise

    async def _part_sums(self) -> PartSums | None:
        self._count.asked("open")
        try:
            return await cast("SummedInParts", self._opened).part_sums()
        except Fault as fault:
            self._count.failed(fault)
            raise

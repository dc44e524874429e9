"""An origin over an origin: what is read as a whole is checked against the store's checksum.

The last piece of a body is held back until the checksum of all of it matches, so a wrong body can
be broken but never complete. A range is checked by reading all of its object through it: where
checks are required, and where a layer below keeps what was read. What can't be checked is passed on
with a verdict that says why, or, where checks are required, refused before a byte of it is given.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, Literal, cast

from proxy.errors import ChecksumMismatch, NotVerifiable, OriginFault
from proxy.integrity import verdict as reasons
from proxy.integrity.checksums import PartsSum, Sum, digest_of, is_fast, new_sum
from proxy.integrity.choice import choose
from proxy.integrity.parts import PartSizes
from proxy.integrity.rolling import Rolling
from proxy.integrity.verdict import State, Verdict, together, verdict_on_all
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import WHOLE, Lease, Lister, OpenObject, Origin, Page, Want, lease_of
from proxy.origins.lending import Lending, Piece, can_lend
from proxy.origins.whole import Whole, taker_of
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, Representation, Span

logger = logging.getLogger("headgate")

Policy = Literal["require", "when-available", "off"]

# Objects up to this size are held whole, so that a damaged one is answered with a status instead
# of a broken body. It is no more than one stalled stream holds in user space anyway, arrives
# within a few round trips, and the slowest checksum of it takes 0.4 ms.
HELD_WHOLE: Final = 256 * 1024

# Where checks are required, a range costs a read of the whole object. Up to the size of a slice
# that is what a slice cache would read for it too.
READ_THROUGH: Final = 8 * 1024 * 1024

_OPEN_ENDED: Final = ByteRange(0, None)


@dataclass(frozen=True, slots=True)
class Checking:
    """How a `Verified` checks.

    Attributes:
        policy: "require" refuses what can't be checked, "when-available" passes it on labelled,
            "off" checks nothing.
        pool: where slow checksums are computed, from `proxy.integrity.rolling.make_pool`.
        report: called with the verdict on each read when it is known.
        name: the origin's name in the log.
        read_through: most bytes read in vain to check a range, where checks are required.
        kept_through: the largest object that is read as a whole to check a range of it, where they
            are not required and a layer below keeps what was read, so that it is read once.
    """

    policy: Policy
    pool: Executor
    report: Callable[[Verdict], None] = lambda _: None
    name: str = ""
    read_through: int = READ_THROUGH
    kept_through: int = 0

    def looks_into(self, opened: OpenObject) -> bool:
        """Whether a range of an object is checked by reading all of it."""
        if self.policy != "when-available":
            return self.policy == "require"
        return _keeps(opened) and opened.representation.size <= self.kept_through


def _keeps(opened: OpenObject) -> bool:
    """Whether a layer below keeps what is read of it, and wants to know what came of the check."""
    return getattr(opened, "confirm", None) is not None


class Verified:
    """An `Origin`, and a `Lister` if `origin` is one, whose objects are checked as they are read.

    It holds nothing that must be given back: `start` and `aclose` are those of `origin`.
    """

    def __init__(self, origin: Origin, checking: Checking) -> None:
        self._origin = origin
        self._checking = checking
        self._sizes = PartSizes()
        self._asked = WHOLE, _with_checksums(WHOLE, checking.policy)
        if callable(getattr(origin, "list", None)):
            self.list = self._list  # a layer can do what lies below it can do
        self._below = taker_of(origin)
        if self._below is not None:
            self.take_whole = self._take_whole

    async def start(self) -> None:
        """Starts the origin below; see `Origin.start`."""
        await self._origin.start()

    async def open(self, key: str, want: Want = WHOLE) -> VerifiedObject:
        """Opens `key`; see `Origin.open`.

        Raises NotVerifiable where a check is required and there is nothing to check by, and
        ChecksumMismatch if the object is empty and should not be.
        """
        opened = await self._open(key, self._to_ask(want))
        try:
            wrapped = VerifiedObject(key, opened, self._checking, self._sizes)
            if wrapped.expected is not None or self._checking.policy == "require":
                await wrapped.check_head()
        except BaseException:
            await opened.aclose()
            raise
        return wrapped

    def _take_whole(
        self, key: str, want: Want, known: Representation, *, sealed: bool = False
    ) -> Whole | None:
        """As the origin below; nothing of what has to be checked now."""
        how = self._checking
        unchecked = reasons.OFF if how.policy == "off" else reasons.NO_CHECKSUM
        if how.policy == "require" or (how.policy != "off" and known.checksums):
            sealed = True
        assert self._below is not None  # noqa: S101  # else this is not offered
        whole = self._below(key, self._to_ask(want), known, sealed=sealed)
        if whole is not None:
            by = whole.sealed_by if how.policy != "off" else ""
            whole.verdict = verdict = verdict_on_all(by, "" if by else unchecked, known.size)
            how.report(verdict)
        return whole

    def _to_ask(self, want: Want) -> Want:
        if want is not self._asked[0]:  # mostly it is the one before
            self._asked = want, _with_checksums(want, self._checking.policy)
        return self._asked[1]

    async def aclose(self) -> None:
        """Closes the origin below."""
        await self._origin.aclose()

    async def _open(self, key: str, want: Want) -> OpenObject:
        """Opens the object below; asks for the checksums of one that turns out to be small enough
        to be read as a whole. A layer that keeps what it knows has them from then on."""
        opened = await self._origin.open(key, want)
        known = want.first is None or opened.representation.checksums
        if known or not want.body or not self._checking.looks_into(opened):
            return opened
        pin = opened.representation
        await opened.aclose()
        return await self._origin.open(key, replace(want, first=None, checksums=True, pin=pin))

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        return await cast("Lister", self._origin).list(prefix, after, limit)


def _with_checksums(want: Want, policy: Policy) -> Want:
    """Asks for the whole where that is what will be read: to a range, stores tell no checksums."""
    if policy == "off":
        return want
    if policy == "require" or (want.body and want.first in (None, _OPEN_ENDED)):
        return replace(want, first=None, checksums=True)
    return want


class VerifiedObject:
    """An open object that judges what is read of it.

    Attributes:
        expected: the checksum it is checked by, or None.
    """

    def __init__(self, key: str, opened: OpenObject, how: Checking, sizes: PartSizes) -> None:
        self._key = key
        self._opened = opened
        self._how = how
        self._sizes = sizes
        self.expected = None if how.policy == "off" else choose(opened.representation.checksums)
        self._parts: tuple[int, ...] | None = None
        self._unfinished = 0
        self._verdict: Verdict | None = None
        report = getattr(opened, "cache_report", None)
        if report is not None:
            self.cache_report = report
            self.standing = getattr(opened, "standing", None)
        if can_lend(opened):
            self.lend = self._lend

    @property
    def representation(self) -> Representation:
        """What the origin below says of this version."""
        return self._opened.representation

    @property
    def verdict(self) -> Verdict:
        """The verdict on all reads so far, the worst if they differ."""
        if self._unfinished:
            return Verdict("unverified", reason=reasons.NOT_ALL_READ)
        return self._verdict or Verdict("unverified", reason=reasons.NOT_READ)

    @property
    def lease(self) -> Lease | None:
        """That of the object below, unless it was not verified and has to be, or is damaged."""
        state = self.verdict.state
        may = state == "verified" or (state == "unverified" and self._how.policy != "require")
        return lease_of(self._opened) if may else None

    async def check_head(self) -> None:
        """Judges what can be judged before a read; raises as `Verified.open` does."""
        expected, size = self.expected, self.representation.size
        required = self._how.policy == "require" and not self._sealed_by
        if required and await self.new_sum() is None:
            raise self._not_verifiable("no checksum" if expected is None else "part sizes unknown")
        if expected is not None and not expected.composite and not size:
            # No byte will ever be read of it, so that this is the only moment.
            self._compare(expected, digest_of(expected.algorithm, b""))

    def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes, as of `OpenObject.read`.

        Raises ChecksumMismatch instead of giving the last piece if they, with the rest of the
        object where that had to be read too, are not what the store promised.
        """
        sealed_by = self._sealed_by if self._how.policy != "off" else ""
        if sealed_by:
            return self._sealed(span, sealed_by)
        unchecked = self._why_unchecked(span)
        if self.expected is None or unchecked:
            return self._unchecked(span, unchecked)
        return self._checked(span, self.expected)

    def at_hand(self, span: Span) -> bytes | None:
        """As `read`; nothing of what has to be checked now."""
        sealed_by = self._sealed_by if self._how.policy != "off" else ""
        unchecked = "" if sealed_by else self._why_unchecked(span)
        if not sealed_by and not unchecked:
            return None
        body = bytes_at_hand(self._opened, span)
        if body is not None:
            state: State = "verified" if sealed_by else "unverified"
            self._settle(Verdict(state, sealed_by, reason=unchecked, bytes=span.length))
        return body

    def _lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        """As `read`; lends what is not checked, if the object below does."""
        unchecked = self._why_unchecked(span)
        if not unchecked:
            return cast("AsyncGenerator[Piece, None]", self.read(span))
        self._settle(Verdict("unverified", reason=unchecked, bytes=span.length))
        return cast("Lending", self._opened).lend(span)

    def _why_unchecked(self, span: Span) -> str:
        """Why the span's bytes are passed on as they are; "" if they are checked."""
        if self._how.policy == "off":
            return reasons.OFF
        if span.length != self.representation.size and not self._how.looks_into(self._opened):
            return reasons.RANGE
        return reasons.NO_CHECKSUM if self.expected is None else ""

    @property
    def _sealed_by(self) -> str:
        """By which algorithm all of this version was checked before, by a layer below that has kept
        its bytes and knows them to be the same; "" if it was not."""
        return str(getattr(self._opened, "sealed_by", ""))

    async def new_sum(self) -> Sum | None:
        """A checksum to compare with `expected`; None if there is no way to make it.

        Asks the store for part sizes if it is a composite one; raises ChecksumMismatch if they
        contradict the object's size, and an OriginFault if asking fails and checks are required.
        """
        expected = self.expected
        if expected is None:
            return None
        if not expected.composite:
            return new_sum(expected.algorithm)
        if self._parts is None:
            try:
                self._parts = await self._sizes.of(self._key, self._opened)
            except ChecksumMismatch:
                size = self.representation.size
                self._settle(Verdict("mismatch", expected.algorithm, bytes=size))
                raise
            except OriginFault:
                if self._how.policy == "require":
                    raise
        if self._parts is None or expected.parts not in (None, len(self._parts)):
            return None
        return PartsSum(expected.algorithm, self._parts)

    async def aclose(self) -> None:
        """Closes the object below."""
        await self._opened.aclose()

    def _unchecked(self, span: Span, reason: str) -> AsyncGenerator[bytes, None]:
        self._settle(Verdict("unverified", reason=reason, bytes=span.length))
        return self._opened.read(span)

    async def _sealed(self, span: Span, algorithm: str) -> AsyncGenerator[bytes, None]:
        """What was checked as a whole before, or is being: the layer below gives just those bytes,
        or breaks off."""
        self._unfinished += 1
        streamed = self.representation.size > HELD_WHOLE
        held: list[bytes] = []
        async with aclosing(self._opened.read(span)) as buffers:
            async for buffer in buffers:
                if streamed:
                    yield buffer
                else:
                    held.append(buffer)
        self._unfinished -= 1
        self._settle(Verdict("verified", algorithm, bytes=span.length))
        if held:
            yield held[0] if len(held) == 1 else b"".join(held)

    async def _checked(self, span: Span, expected: Checksum) -> AsyncGenerator[bytes, None]:
        size = self.representation.size
        if self._how.policy == "require" and size - span.length > self._how.read_through:
            raise self._not_verifiable(f"a range of {span.length} bytes of {size}")
        self._unfinished += 1
        total = await self.new_sum()
        if total is None:
            self._unfinished -= 1
            async with aclosing(self._unchecked(span, reasons.PARTS_UNKNOWN)) as buffers:
                async for buffer in buffers:
                    yield buffer
            return
        rolling = Rolling(total, None if is_fast(expected.algorithm) else self._how.pool)
        whole, streamed = span.length == size, size > HELD_WHOLE
        held: list[bytes] = []
        async with aclosing(self._opened.read(Span(0, size))) as buffers:
            position = 0
            async for buffer in buffers:
                begun = monotonic()
                if rolling.take(buffer):
                    await rolling.work()
                self._note_spent(begun)
                piece = buffer if whole else _cut(buffer, position, span)
                position += len(buffer)
                if position < span.stop and streamed:
                    # At once, while it is in the processor's cache: nothing is held but the end.
                    if piece:
                        yield piece
                elif piece:
                    held.append(piece)
        begun = monotonic()
        self._compare(expected, await rolling.digest())
        self._note_spent(begun)
        confirm = getattr(self._opened, "confirm", None)
        if confirm is not None:
            confirm(expected.algorithm)
        self._unfinished -= 1
        self._settle(Verdict("verified", expected.algorithm, bytes=span.length))
        if held:
            yield held[0] if len(held) == 1 else b"".join(held)

    def _note_spent(self, begun: float) -> None:
        """Something was checked since then, by `time.monotonic`: told with what the cache did."""
        standing = getattr(self, "standing", None)
        if standing is not None:
            standing.verified += monotonic() - begun

    def _compare(self, expected: Checksum, found: bytes) -> None:
        """Raises ChecksumMismatch, after it was logged and reported, unless both are the same."""
        if found == expected.value:
            return
        self._unfinished = 0
        size = self.representation.size
        self._settle(Verdict("mismatch", expected.algorithm, bytes=size))
        kind = f"{expected.algorithm} of the parts" if expected.composite else expected.algorithm
        detail = (
            f"origin {self._how.name!r} key {self._key!r}: {size} bytes, of which the store "
            f"promised {kind} {expected.value.hex()} and which have {found.hex()}"
        )
        logger.error("checksum mismatch: %s", detail)
        discard = getattr(self._opened, "discard", None)
        if discard is not None:
            discard()  # a layer below that has kept it gives it to nobody else
        raise ChecksumMismatch(detail)

    def _not_verifiable(self, reason: str) -> NotVerifiable:
        return NotVerifiable(f"origin {self._how.name!r} key {self._key!r}: {reason}")

    def _settle(self, verdict: Verdict) -> None:
        self._verdict = together(self._verdict, verdict)
        self._how.report(verdict)


def _cut(buffer: bytes, position: int, span: Span) -> bytes:
    """What of a buffer that begins at `position` lies in the span."""
    if span.start <= position and position + len(buffer) <= span.stop:
        return buffer
    return buffer[max(0, span.start - position) : max(0, span.stop - position)]

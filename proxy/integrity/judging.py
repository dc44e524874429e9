"""One open object whose bytes are judged as they are read.

The last piece of a body is held back until the checksum of all of it matches, so a wrong body can
be broken but never complete. A range is checked by reading all of its object through it, or the
parts of it that the range lies in where the store tells their checksums: where checks are required,
and where a layer below keeps what was read. What can't be checked is passed on with a verdict that
says why, or, where checks are required, refused before a byte of it is given.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Final, Protocol, cast

from proxy.errors import ChecksumMismatch, NotVerifiable
from proxy.integrity import verdict as reasons
from proxy.integrity.checking import Checking, Keeping, keeps
from proxy.integrity.checksums import digest_of, is_fast
from proxy.integrity.parts import PartSizes, SumsOfParts
from proxy.integrity.reach import Reach
from proxy.integrity.rolling import Rolling
from proxy.integrity.stretches import Stretch
from proxy.integrity.verdict import State, Verdict, together
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import Lease, OpenObject, lease_of
from proxy.origins.lending import Lending, Piece, can_lend
from proxy.semantics.representation import Representation, Span

logger = logging.getLogger("headgate")

# Objects up to this size are held whole, so that a damaged one is answered with a status instead
# of a broken body. It is no more than one stalled stream holds in user space anyway, arrives
# within a few round trips, and the slowest checksum of it takes 0.4 ms.
HELD_WHOLE: Final = 256 * 1024


class _Standing(Protocol):
    """What a cache tells of a request; `verified` is the seconds that checks took."""

    verified: float


class VerifiedObject:
    """An open object that judges what is read of it.

    Attributes:
        expected: the checksum it is checked by, or None.
    """

    def __init__(
        self, key: str, opened: OpenObject, how: Checking, parts: tuple[PartSizes, SumsOfParts]
    ) -> None:
        self._key = key
        self._opened = opened
        self._how = how
        self._reach = Reach(key, opened, how, parts)
        self.expected = self._reach.expected
        self._unfinished = 0
        self._verdict: Verdict | None = None
        self._standing: _Standing | None = None
        report = getattr(opened, "cache_report", None)
        if report is not None:
            self.cache_report = report
            self.standing = self._standing = getattr(opened, "standing", None)
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
        required = self._how.policy == "require" and not self._sealed_by()
        if required and await self.whole() is None:
            raise self._not_verifiable("no checksum" if expected is None else "part sizes unknown")
        if expected is not None and not expected.composite and not size:
            # No byte will ever be read of it, so that this is the only moment.
            self._compare(Stretch(Span(0, 0), expected), digest_of(expected.algorithm, b""))

    def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes, as of `OpenObject.read`.

        Raises ChecksumMismatch instead of giving the last piece if they, with the rest of the
        object where that had to be read too, are not what the store promised.
        """
        sealed_by = self._sealed_by(span)
        if sealed_by:
            return self._sealed(span, sealed_by)
        by_parts = self._reach.may_go_by_parts(span)
        unchecked = "" if by_parts else self._why_unchecked(span)
        return self._unchecked(span, unchecked) if unchecked else self._checked(span, by_parts)

    def at_hand(self, span: Span) -> bytes | None:
        """As `read`; nothing of what has to be checked now."""
        sealed_by = self._sealed_by(span)
        unchecked = "" if sealed_by else self._why_unchecked(span)
        if not sealed_by and (not unchecked or self._reach.may_go_by_parts(span)):
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

    def _sealed_by(self, span: Span | None = None) -> str:
        """By which algorithm all of this version, or of a span, was checked before, by a layer
        below that has kept its bytes and knows them to be the same; "" if it was not."""
        if self._how.policy == "off":
            return ""
        sealed_by = str(getattr(self._opened, "sealed_by", ""))
        if not sealed_by and span is not None and keeps(self._opened):
            return str(cast("Keeping", self._opened).proven_by(span))
        return sealed_by

    async def whole(self) -> Stretch | None:
        """All of the object and what it is checked by; see `Reach.whole`."""
        try:
            return await self._reach.whole()
        except ChecksumMismatch:
            assert self.expected is not None  # noqa: S101  # there would be nothing to contradict
            size = self.representation.size
            self._settle(Verdict("mismatch", self.expected.algorithm, bytes=size))
            raise

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

    async def _checked(self, span: Span, by_parts: bool) -> AsyncGenerator[bytes, None]:
        over = await self._begin(span, by_parts)
        if over is None:
            reason = reasons.RANGE if by_parts else reasons.PARTS_UNKNOWN
            async with aclosing(self._unchecked(span, reason)) as buffers:
                async for buffer in buffers:
                    yield buffer
            return
        algorithm = over.expected.algorithm
        rolling = Rolling(over.new_sum(), None if is_fast(algorithm) else self._how.pool)
        take, timed, exact = rolling.take, self._standing is not None, span == over.span
        # Of a range that is checked by parts, what is small is held whole as a small object is.
        streamed = (span.length if by_parts else over.span.length) > HELD_WHOLE
        held: list[bytes] = []
        async with aclosing(self._opened.read(over.span)) as buffers:
            position = over.span.start
            async for buffer in buffers:
                begun = monotonic() if timed else 0.0
                if take(buffer):
                    await rolling.work()
                if timed:
                    self._note_spent(begun)
                piece = buffer if exact else _cut(buffer, position, span)
                position += len(buffer)
                if position < span.stop and streamed:
                    # At once, while it is in the processor's cache: nothing is held but the end.
                    if piece:
                        yield piece
                elif piece:
                    held.append(piece)
        await self._end(over, rolling)
        self._settle(Verdict("verified", algorithm, bytes=span.length))
        if held:
            yield held[0] if len(held) == 1 else b"".join(held)

    async def _begin(self, span: Span, by_parts: bool) -> Stretch | None:
        """What a check of a span reads, and is checked by; None where there is no way to check."""
        self._unfinished += 1
        over = await (self._reach.parts_over(span) if by_parts else self._whole_over(span))
        if over is None:
            self._unfinished -= 1
            if self._how.policy == "require":
                raise self._too_far(span)
        return over

    async def _end(self, over: Stretch, rolling: Rolling) -> None:
        """Compares all that was read, and tells the layer below, if it keeps that."""
        begun = monotonic()
        self._compare(over, await rolling.digest())
        self._note_spent(begun)
        if keeps(self._opened):
            below, algorithm = cast("Keeping", self._opened), over.expected.algorithm
            if over.span.length == self.representation.size:
                below.confirm(algorithm)
            else:
                below.prove(over.span, algorithm)
        self._unfinished -= 1

    async def _whole_over(self, span: Span) -> Stretch | None:
        """All of the object, unless a required check of a range would read too much in vain."""
        size = self.representation.size
        if self._how.policy == "require" and size - span.length > self._how.read_through:
            return None
        return await self.whole()

    def _note_spent(self, begun: float) -> None:
        """Something was checked since then, by `time.monotonic`: told with what the cache did."""
        if self._standing is not None:
            self._standing.verified += monotonic() - begun

    def _compare(self, over: Stretch, found: bytes) -> None:
        """Raises ChecksumMismatch, after it was logged and reported, unless both are the same."""
        expected, span = over.expected, over.span
        if found == expected.value:
            return
        self._unfinished = 0
        self._settle(Verdict("mismatch", expected.algorithm, bytes=span.length))
        kind = f"{expected.algorithm} of the parts" if expected.composite else expected.algorithm
        detail = (
            f"origin {self._how.name!r} key {self._key!r}: {span.length} bytes, of which the store "
            f"promised {kind} {expected.value.hex()} and which have {found.hex()}"
        )
        if span.length != self.representation.size:
            detail += f", from byte {span.start} on"
        logger.error("checksum mismatch: %s", detail)
        discard = getattr(self._opened, "discard", None)
        if discard is not None:
            discard()  # a layer below that has kept it gives it to nobody else
        raise ChecksumMismatch(detail)

    def _too_far(self, span: Span) -> NotVerifiable:
        size = self.representation.size
        return self._not_verifiable(f"a range of {span.length} bytes of {size}")

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

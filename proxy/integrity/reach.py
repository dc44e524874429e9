"""How far the checksums that a store tells of an object reach: to all of it, or to parts of it."""

from __future__ import annotations

from typing import cast

from proxy.errors import ChecksumMismatch, OriginFault
from proxy.integrity.checking import Checking, Keeping, keeps
from proxy.integrity.choice import choose
from proxy.integrity.parts import PartSizes, SumsOfParts
from proxy.integrity.stretches import Stretch, stretch_over
from proxy.origins.base import OpenObject
from proxy.semantics.representation import Span


class Reach:
    """Of one open object.

    Attributes:
        expected: the checksum that all of it is checked by, or None.
    """

    def __init__(
        self, key: str, opened: OpenObject, how: Checking, parts: tuple[PartSizes, SumsOfParts]
    ) -> None:
        self._key = key
        self._opened = opened
        self._how = how
        self._sizes, self._sums = parts
        self._required = how.policy == "require"
        self._whole: Stretch | None = None
        self.expected = None if how.policy == "off" else choose(opened.representation.checksums)

    async def whole(self) -> Stretch | None:
        """All of the object and what it is checked by; None if there is no way to.

        Asks the store for part sizes if that is composite; raises ChecksumMismatch if they
        contradict the object's size, and an OriginFault if asking fails and checks are required.
        """
        expected = self.expected
        if expected is None:
            return None
        all_of_it = Span(0, self._opened.representation.size)
        if not expected.composite:
            return Stretch(all_of_it, expected)
        if self._whole is None:
            sizes = await self._part_sizes()
            if sizes is None or expected.parts not in (None, len(sizes)):
                return None
            self._whole = Stretch(all_of_it, expected, sizes)
        return self._whole

    async def _part_sizes(self) -> tuple[int, ...] | None:
        try:
            return await self._sizes.of(self._key, self._opened)
        except ChecksumMismatch:
            raise
        except OriginFault:
            if self._required:
                raise
            return None

    def may_go_by_parts(self, span: Span) -> bool:
        """Whether a range could be checked by the parts it lies in, and by nothing better."""
        how, size = self._how, self._opened.representation.size
        if how.policy == "off" or span.length == size:
            return False
        if self._required:
            by_the_whole = size - span.length <= how.read_through
        else:
            by_the_whole = how.looks_into(self._opened)
            if not keeps(self._opened):
                return False
        return not by_the_whole and self._sums.may_have(self._key, self._opened)

    async def parts_over(self, span: Span) -> Stretch | None:
        """The parts that a range lies in, if not too much is read in vain; else None.

        Where what is read is kept, the slices that hold the range are read as a whole, so that the
        next range of them costs nothing. Raises an OriginFault if asking for the parts fails and
        checks are required.
        """
        try:
            sums = await self._sums.of(self._key, self._opened)
        except OriginFault:
            if self._required:
                raise
            return None
        if sums is None:
            return None
        spans = [cast("Keeping", self._opened).aligned(span)] if keeps(self._opened) else []
        most = self._how.read_through if self._required else self._how.kept_through
        return stretch_over(sums, [*spans, span], most)

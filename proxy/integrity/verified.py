"""An origin over an origin: what is read is checked against the store's checksums.

How each object is judged is in `judging`. Here it is opened so that what it is judged by is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from proxy.integrity import verdict as reasons
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.judging import VerifiedObject
from proxy.integrity.parts import PartSizes, SumsOfParts
from proxy.integrity.verdict import verdict_on_all
from proxy.origins.base import WHOLE, Lister, OpenObject, Origin, Page, Want
from proxy.origins.whole import Whole, taker_of
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Representation

_OPEN_ENDED: Final = ByteRange(0, None)


class Verified:
    """An `Origin`, and a `Lister` if `origin` is one, whose objects are checked as they are read.

    It holds nothing that must be given back: `start` and `aclose` are those of `origin`.
    """

    def __init__(self, origin: Origin, checking: Checking) -> None:
        self._origin = origin
        self._checking = checking
        self._parts = PartSizes(), SumsOfParts()
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
            wrapped = VerifiedObject(key, opened, self._checking, self._parts)
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

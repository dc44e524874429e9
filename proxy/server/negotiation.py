"""Which of an object's codings is opened, by what the client accepts (RFC 9110 §12.5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from proxy.errors import NotFound
from proxy.integrity.verdict import Verdict, verdict_of
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import Lease, OpenObject, Origin, Want, lease_of
from proxy.origins.lending import Lending, can_lend
from proxy.origins.media_types import media_type_of
from proxy.semantics.accept import acceptable_codings
from proxy.semantics.representation import Span

SUFFIX_OF_CODING = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}


@dataclass(slots=True)
class Negotiated:
    """What was opened, under which key.

    Attributes:
        accepted: those of the codings that were looked for which the client takes.
        absent: leases of the siblings that were not there; None in place of one that has none.
    """

    opened: OpenObject
    key: str
    accepted: tuple[str, ...] = ()
    absent: tuple[Lease | None, ...] = ()


async def open_negotiated(
    origin: Origin, key: str, codings: tuple[str, ...], fields: Mapping[str, str], want: Want
) -> Negotiated:
    """Opens the best sibling the client accepts, or else the object itself."""
    if not codings:
        return Negotiated(await origin.open(key, want), key)
    absent: list[Lease | None] = []
    accepted = acceptable_codings(fields.get("accept-encoding"), codings).accepted
    for coding in accepted:
        beside = key + SUFFIX_OF_CODING[coding]
        try:
            sibling = await origin.open(beside, want)
        except NotFound as missing:
            absent.append(lease_of(missing))
            continue
        return Negotiated(_Coded(sibling, key, coding), beside, accepted, tuple(absent))
    return Negotiated(await origin.open(key, want), key, accepted, tuple(absent))


class _Coded:
    """An object that is another one's content in a coding: its bytes, under the other's type."""

    __slots__ = (
        "_sibling",
        "aclose",
        "cache_report",
        "lend",
        "read",
        "representation",
        "standing",
    )

    def __init__(self, sibling: OpenObject, key: str, coding: str) -> None:
        self._sibling = sibling
        self.read = sibling.read
        self.aclose = sibling.aclose
        self.cache_report = getattr(sibling, "cache_report", None)
        self.standing = getattr(sibling, "standing", None)
        if can_lend(sibling):
            self.lend = cast("Lending", sibling).lend
        stored = sibling.representation
        self.representation = replace(
            stored,
            content_encoding=coding,
            media_type=media_type_of(key) or stored.media_type,
        )

    def at_hand(self, span: Span) -> bytes | None:
        """As the sibling."""
        return bytes_at_hand(self._sibling, span)

    @property
    def verdict(self) -> Verdict | None:
        """What the sibling says of the bytes that were read."""
        return verdict_of(self._sibling)

    @property
    def lease(self) -> Lease | None:
        """That of the sibling: what the other one's name tells does not change."""
        return lease_of(self._sibling)

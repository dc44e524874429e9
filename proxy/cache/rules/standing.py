"""How an object came to be opened, where its bytes are, and what of that is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Final, Literal

from proxy.semantics.cache_status import CacheReport, Forwarded

# RFC 9111 §1.2.2.
_MAX_AGE: Final = 2**31

How = Literal["hit", "new", "validated", "completed", "stale", "joined", "passed"]


@dataclass(slots=True)
class Standing:
    """How an object came to be opened.

    Attributes:
        how: from what was known ("hit", or "stale" where it was past its time), first seen ("new"),
            told by the origin to be current ("validated"), by another request's question
            ("joined"), or not to be kept ("passed").
        age: seconds since it was validated.
        ttl: seconds of freshness that were left, negative when it was stale.
        waited: seconds spent on asking the origin.
        spent: seconds spent on all else until it was open: looking, waiting for others.
        verified: seconds spent so far on comparing what was read with check values.
        status: the origin's, where it was asked.
    """

    how: How = "hit"
    age: float = 0.0
    ttl: float = 0.0
    waited: float = 0.0
    spent: float = 0.0
    verified: float = 0.0
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """Where slices are: how many in memory, on disk, on their way, and nowhere.

    `begun` of those on their way were begun for this request.
    """

    memory: int = 0
    disk: int = 0
    filling: int = 0
    nowhere: int = 0
    begun: int = 0

    @property
    def kept(self) -> int:
        """Those that are here as a whole."""
        return self.memory + self.disk


# What most small objects have; made once, since it is asked for with each answer.
ONE_IN_MEMORY: Final = Presence(memory=1)


def age_of(seconds: float) -> int:
    """An age as the Age field has it: whole seconds, and no more than anybody can read."""
    return min(max(0, floor(seconds)), _MAX_AGE)


def report_of(standing: Standing, presence: Presence, *, keeps: bool) -> CacheReport:
    """What the cache did for an answer (RFC 9211).

    `keeps`: whether what comes from the origin is kept.
    """
    ttl = floor(standing.ttl)
    lacking = presence.filling + presence.nowhere
    joined = standing.how == "joined" or presence.filling > presence.begun
    if standing.how == "validated":
        return CacheReport(fwd="stale", fwd_status=standing.status, ttl=ttl, stored=keeps)
    if not lacking and standing.how not in ("new", "completed"):
        age = age_of(standing.age)
        if standing.how == "joined":
            return CacheReport(fwd="miss", ttl=ttl, collapsed=True, age=age)
        detail = "disk" if presence.disk else "memory"
        return CacheReport(hit=True, ttl=ttl, detail=detail if presence.kept else "", age=age)
    return CacheReport(
        fwd=_why(standing, presence),
        fwd_status=standing.status,
        ttl=ttl,
        stored=keeps and bool(lacking),
        collapsed=joined,
    )


def _why(standing: Standing, presence: Presence) -> Forwarded:
    if presence.kept:
        return "partial"
    return "uri-miss" if standing.how in ("new", "joined") else "miss"

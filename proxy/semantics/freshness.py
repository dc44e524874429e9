"""How long an answer may be used again: RFC 9111, with RFC 5861, 8246 and 9213. No clock here.

Headgate's cache is shared and validates whole objects, so that ages count from the last time the
origin vouched for one. Who says for how long it is fresh, first to last:

1. the operator, by a rule for the path (`Terms.ttl`);
2. CDN-Cache-Control: where it is valid, Cache-Control and Expires say nothing (RFC 9213 §2.2);
3. Cache-Control, s-maxage before max-age (RFC 9111 §4.2.1);
4. Expires;
5. the rule's Cache-Control, which is also sent where the object has none;
6. the operator's default. Last-Modified is not guessed from: a default says what will happen.

Wherever the RFC leaves a choice, less is reused: a directive for seconds whose argument is
malformed counts as 0, a qualified no-cache or private as the plain one, and of conflicting
directives the most restrictive counts. Where one stands twice in Cache-Control, the first counts.
Nothing here raises or logs, whatever a field holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from proxy.semantics.dates import parse_http_date
from proxy.semantics.directives import (
    MALFORMED,
    MAX_SECONDS,
    Argument,
    Directives,
    read_directives,
    seconds_of,
)
from proxy.semantics.fields import safe_value
from proxy.semantics.representation import Representation
from proxy.semantics.structured import read_members

# Browsers send 30 bytes. Every client may make us read this much for each request: 0.4 ms at worst.
MAX_DEMANDS_LENGTH = 512

# What forbids a shared cache to serve stale (RFC 9111 §4.2.4; s-maxage by §5.2.2.10).
_NEVER_STALE = ("no-cache", "must-revalidate", "proxy-revalidate", "s-maxage")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator says, in seconds.

    Attributes:
        default_ttl: how long an object is fresh that does not say.
        stale_while_revalidate, stale_if_error: where the object does not say.
        ttl: how long every object is fresh that may be stored at all, whatever it says itself;
            None: as it says.
        cache_control: used where the object has no Cache-Control that can be sent.
    """

    default_ttl: float = 60.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    ttl: float | None = None
    cache_control: str | None = None


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long one version may be used after it was validated. All times from 0 to 2**31.

    Attributes:
        fresh: seconds after the last validation for which it is fresh.
        stale_while_revalidate: seconds after that for which it is served while it is validated.
        stale_if_error: seconds after becoming stale for which it may stand in for an origin that
            fails.
        storable: false where no part of it may be kept (no-store, private).
        must_revalidate: it may not be served stale, whatever the client would take.
        immutable: while it is fresh, a mere reload is no reason to validate (RFC 8246 §2).
    """

    fresh: float
    stale_while_revalidate: float
    stale_if_error: float
    storable: bool
    must_revalidate: bool = False
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class Demands:
    """A request's Cache-Control (RFC 9111 §5.2.1); times in seconds, None where not given.

    Attributes:
        no_cache: validate first.
        no_store: keep nothing of this request or its answer.
        only_if_cached: answer from what is stored, or with 504.
        max_age: validate what is older.
        max_stale: what is stale by no more than this will do; `math.inf`: however stale.
        min_fresh: validate what won't be fresh for this long.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    max_stale: float | None = None
    min_fresh: float | None = None


NO_DEMANDS = Demands()


class Use(Enum):
    """What may be done with a stored answer."""

    FRESH = "fresh"
    STALE_WHILE_REVALIDATE = "serve, and validate in the background"
    VALIDATE = "validate before it is served"


def lifetime_of(
    representation: Representation, terms: Terms, *, now: float | None = None
) -> Lifetime:
    """For how long an object may be used.

    Args:
        representation: as the origin has just answered, or vouched for again.
        terms: the operator's.
        now: the moment of that, in seconds since the epoch: Expires counts from it, as the store's
            Date isn't kept. Without it, what has only an Expires to go by is stale.
    """
    directives, said = _policy_of(representation, terms, now)
    if "no-store" in directives or "private" in directives:
        return Lifetime(0.0, 0.0, 0.0, storable=False, must_revalidate=True)
    strict = any(name in directives for name in _NEVER_STALE)
    while_revalidate = _window(directives, "stale-while-revalidate", terms.stale_while_revalidate)
    if_error = _window(directives, "stale-if-error", terms.stale_if_error)
    return Lifetime(
        fresh=_bounded(_freshness(directives, said, terms)),
        stale_while_revalidate=0.0 if strict else while_revalidate,
        stale_if_error=0.0 if strict else if_error,
        storable=True,
        must_revalidate=strict,
        immutable=_has(directives, "immutable"),
    )


def read_demands(cache_control: str | None, pragma: str | None = None) -> Demands:
    """Reads a request's wishes; a malformed directive counts as absent.

    So does a field longer than `MAX_DEMANDS_LENGTH`. Pragma counts only where there is no
    Cache-Control (§5.4).
    """
    value = pragma if cache_control is None else cache_control
    if value is None or len(value) > MAX_DEMANDS_LENGTH:
        return NO_DEMANDS
    directives = read_directives(value)
    if cache_control is None:
        return Demands(no_cache=_has(directives, "no-cache"))
    any_stale = directives.get("max-stale", MALFORMED) is None
    return Demands(
        no_cache=_has(directives, "no-cache"),
        no_store=_has(directives, "no-store"),
        only_if_cached=_has(directives, "only-if-cached"),
        max_age=seconds_of(directives.get("max-age")),
        max_stale=inf if any_stale else seconds_of(directives.get("max-stale")),
        min_fresh=seconds_of(directives.get("min-fresh")),
    )


def use_of(lifetime: Lifetime, age: float, demands: Demands = NO_DEMANDS) -> Use:
    """What may be done with an answer that was validated `age` seconds ago (§4.2, §5.2.1).

    No-store and only-if-cached are the caller's to keep: neither says what a stored answer is
    good for.
    """
    age = max(age, 0.0)  # A clock that was set back makes nothing fresher.
    if demands.no_cache:
        return Use.VALIDATE
    if age < lifetime.fresh:
        return Use.VALIDATE if _wants_fresher(lifetime, age, demands) else Use.FRESH
    return Use.STALE_WHILE_REVALIDATE if _takes_stale(lifetime, age, demands) else Use.VALIDATE


def usable_on_error(lifetime: Lifetime, age: float) -> bool:
    """Whether a stored answer may stand in for one the origin fails to give (RFC 5861 §4)."""
    return lifetime.storable and max(age, 0.0) < lifetime.fresh + lifetime.stale_if_error


# --- what is said -------------------------------------------------------------------------------


def _policy_of(
    representation: Representation, terms: Terms, now: float | None
) -> tuple[Directives, float | None]:
    """The directives that count, and the seconds of freshness that are said; None: nobody does."""
    targeted = _targeted(representation.cdn_cache_control)
    if targeted is not None:
        return targeted, _max_age(targeted)
    expires = _seconds_left(_sendable(representation.expires), now)
    own = _sendable(representation.cache_control)
    directives = read_directives(own or _sendable(terms.cache_control))
    said = (_max_age(directives), expires) if own else (expires, _max_age(directives))
    return directives, next((seconds for seconds in said if seconds is not None), None)


def _targeted(value: str | None) -> Directives | None:
    """CDN-Cache-Control as Cache-Control would say it; None where it is invalid or empty.

    A member that is false says as much as one that isn't there.
    """
    members = read_members(_sendable(value) or "")
    if not members:
        return None
    return {name: _argument(item) for name, item in members.items() if item is not False}


def _argument(item: bool | int | None) -> Argument:
    """What a member of a targeted field means: only its integers are arguments we know."""
    if item is True:
        return None
    return MALFORMED if item is None else str(item)


def _sendable(value: str | None) -> str | None:
    """The value, if it can be sent: one that can't counts as none, here as in the answer."""
    safe = safe_value(value)
    return safe.decode("latin-1") if safe else None


def _max_age(directives: Directives) -> float | None:
    for name in ("s-maxage", "max-age"):
        if name in directives:
            return seconds_of(directives[name]) or 0.0
    return None


def _seconds_left(expires: str | None, now: float | None) -> float | None:
    """An invalid date, "0" above all, has passed (RFC 9111 §5.3)."""
    if expires is None:
        return None
    moment = parse_http_date(expires)
    return 0.0 if moment is None or now is None else moment - now


def _freshness(directives: Directives, said: float | None, terms: Terms) -> float:
    if terms.ttl is not None:
        return terms.ttl
    if "no-cache" in directives:
        return 0.0
    return terms.default_ttl if said is None else said


def _window(directives: Directives, name: str, default: float) -> float:
    said = seconds_of(directives[name]) or 0.0 if name in directives else default
    return _bounded(said)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), float(MAX_SECONDS))


def _has(directives: Directives, name: str) -> bool:
    return directives.get(name, MALFORMED) != MALFORMED


# --- what a client takes ------------------------------------------------------------------------


def _wants_fresher(lifetime: Lifetime, age: float, demands: Demands) -> bool:
    """Whether the client won't take what is fresh."""
    if demands.min_fresh is not None and lifetime.fresh - age < demands.min_fresh:
        return True
    return demands.max_age is not None and age > demands.max_age and not lifetime.immutable


def _takes_stale(lifetime: Lifetime, age: float, demands: Demands) -> bool:
    """Whether both sides take what is stale."""
    if lifetime.must_revalidate or demands.min_fresh is not None:
        return False
    if demands.max_age is not None and (demands.max_stale is None or age > demands.max_age):
        return False
    if demands.max_stale is not None:
        return age - lifetime.fresh <= demands.max_stale
    return age < lifetime.fresh + lifetime.stale_while_revalidate

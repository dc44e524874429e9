"""How long an answer may be used: tables of who says what, and properties of time."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.dates import format_http_date
from proxy.semantics.directives import MAX_SECONDS
from proxy.semantics.freshness import (
    MAX_DEMANDS_LENGTH,
    NO_DEMANDS,
    Demands,
    Lifetime,
    Terms,
    Use,
    lifetime_of,
    read_demands,
    usable_on_error,
    use_of,
)
from proxy.semantics.plan import Policy, make_plan
from proxy.semantics.representation import Representation
from tests.semantics.strategies import (
    GARBAGE,
    REQUEST_DIRECTIVES,
    RESPONSE_DIRECTIVES,
    cache_control_fields,
    date_fields,
)

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
IN_AN_HOUR = format_http_date(NOW + 3600)
AN_HOUR_AGO = format_http_date(NOW - 3600)
PLAIN = Terms(default_ttl=7)
STALE = Terms(default_ttl=7, stale_while_revalidate=11, stale_if_error=13)


def stored(
    cache_control: str | None = None, cdn: str | None = None, expires: str | None = None
) -> Representation:
    return Representation(
        1, cache_control=cache_control, cdn_cache_control=cdn, expires=expires, last_modified=0
    )


def fresh_for(representation: Representation, terms: Terms = PLAIN) -> float:
    return lifetime_of(representation, terms, now=NOW).fresh


# --- how long it is fresh -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache_control", "fresh"),
    [
        (None, 7),
        ("", 7),
        ("public", 7),
        ("x-other=5", 7),
        ("max-age=60", 60),
        ("Max-Age=60", 60),
        ('max-age="60"', 60),
        ("max-age=0", 0),
        ("public, max-age=60, immutable", 60),
        # A shared cache has its own (RFC 9111 §5.2.2.10), also behind the other and if it is less.
        ("max-age=60, s-maxage=30", 30),
        ("s-maxage=90, max-age=60", 90),
        ("s-maxage=0, max-age=60", 0),
        # The first one counts (§4.2.1).
        ("max-age=60, max-age=30", 60),
        ("max-age=30, max-age=60", 30),
        ("max-age=nonsense, max-age=60", 0),
        # Invalid is stale (§4.2.1).
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=-1", 0),
        ("max-age=1.5", 0),
        ("max-age=60s", 0),
        ("max-age = 60", 0),
        ("max-age=\u0661", 7),  # can't be sent, so it counts as none
        ("s-maxage=?, max-age=60", 0),
        # Too much is 2**31 (§1.2.2).
        ("max-age=2147483648", MAX_SECONDS),
        (f"max-age={'9' * 100}", MAX_SECONDS),
        # The most restrictive counts (§4.2.1).
        ("no-cache, max-age=60", 0),
        ("max-age=60, no-cache", 0),
        ('no-cache="set-cookie", max-age=60', 0),
        ("no-cache=?, max-age=60", 0),
        # Neither a control character nor excess is sent, and what isn't sent counts as none.
        ("max-age=60\x00", 7),
        ("max-age=60".ljust(5000), 7),
    ],
)
def test_cache_control(cache_control: str | None, fresh: float) -> None:
    assert fresh_for(stored(cache_control)) == fresh


@pytest.mark.parametrize(
    ("cdn", "cache_control", "fresh"),
    [
        # It alone counts (RFC 9213 §2.2) …
        ("max-age=600", "no-store", 600),
        ("max-age=600", "max-age=60", 600),
        ("max-age=600", "s-maxage=60", 600),
        ("max-age=0", "max-age=60", 0),
        ("s-maxage=5, max-age=600", None, 5),
        ("must-revalidate", "max-age=60", 7),
        ("foo", "max-age=60", 7),
        ("no-store=?0", "max-age=60", 7),
        ("max-age=600;x=1", "max-age=60", 600),
        # … if it is there, valid and not empty.
        (None, "max-age=60", 60),
        ("", "max-age=60", 60),
        (" \t", "max-age=60", 60),
        ("\tmax-age=600 ", "max-age=60", 600),
        ("Max-Age=600", "max-age=60", 60),
        ("max-age=600,", "max-age=60", 60),
        ("max-age=600, , no-store", "max-age=60", 60),
        ("max-age 600", "max-age=60", 60),
        ("max-age=600".ljust(5000), "max-age=60", 60),
        ("max-age=?0", "max-age=60", 7),  # as if it weren't there
        # A Dictionary's last member counts (RFC 9651 §3.2).
        ("max-age=1, max-age=2", None, 2),
        # Another type than Integer is invalid, and so stale.
        ("max-age", "max-age=60", 0),
        ("max-age=1.5", "max-age=60", 0),
        ('max-age="60"', "max-age=60", 0),
        ("max-age=-60", "max-age=60", 0),
        ("max-age=(60)", "max-age=60", 0),
        ("max-age=999999999999999", None, MAX_SECONDS),
        ("no-cache, max-age=600", None, 0),
        ("no-cache=?1, max-age=600", None, 0),
        ("no-cache=?0, max-age=600", None, 600),
        ('no-cache="set-cookie", max-age=600', None, 0),
    ],
)
def test_the_field_for_cdns(cdn: str | None, cache_control: str | None, fresh: float) -> None:
    assert fresh_for(stored(cache_control, cdn)) == fresh
    rule = replace(PLAIN, cache_control=cache_control)
    assert fresh_for(stored(None, cdn), rule) == fresh


@pytest.mark.parametrize(
    ("expires", "cache_control", "fresh"),
    [
        (IN_AN_HOUR, None, 3600),
        (AN_HOUR_AGO, None, 0),
        (format_http_date(NOW), None, 0),
        ("Sunday, 06-Nov-94 09:49:37 GMT", None, 3600),
        ("Sun Nov  6 09:49:37 1994", None, 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None, MAX_SECONDS),
        # Invalid: it has passed (RFC 9111 §5.3).
        ("0", None, 0),
        ("-1", None, 0),
        ("tomorrow", None, 0),
        (f"{IN_AN_HOUR}, {IN_AN_HOUR}", None, 0),
        # None that could be sent.
        (None, None, 7),
        ("", None, 7),
        (f"{IN_AN_HOUR}\r\n", None, 7),
        # Cache-Control goes first, if it says how long.
        (IN_AN_HOUR, "max-age=60", 60),
        (IN_AN_HOUR, "s-maxage=60", 60),
        (IN_AN_HOUR, "max-age=?", 0),
        (IN_AN_HOUR, "public", 3600),
        (IN_AN_HOUR, "no-cache", 0),
        ("0", "max-age=60", 60),
    ],
)
def test_expires(expires: str | None, cache_control: str | None, fresh: float) -> None:
    assert fresh_for(stored(cache_control, expires=expires)) == fresh


def test_without_a_moment_what_expires_is_stale() -> None:
    assert lifetime_of(stored(expires=IN_AN_HOUR), PLAIN).fresh == 0
    assert lifetime_of(stored("max-age=60", expires=IN_AN_HOUR), PLAIN).fresh == 60


def test_expires_says_nothing_beside_the_field_for_cdns() -> None:
    assert fresh_for(stored(cdn="public", expires=IN_AN_HOUR)) == 7
    assert fresh_for(stored(cdn="Public", expires=IN_AN_HOUR)) == 3600


@pytest.mark.parametrize(
    ("representation", "rule", "fresh"),
    [
        (stored(), "max-age=30", 30),
        (stored(), "s-maxage=20, max-age=30", 20),
        (stored(), "public", 7),
        (stored(), "max-age=?", 0),
        (stored(), "max-age=30\x00", 7),
        (stored("\x00"), "max-age=30", 30),  # can't be sent
        (stored(" "), "max-age=30", 30),
        (stored("public"), "max-age=30", 7),
        (stored("max-age=60"), "max-age=30", 60),
        (stored("max-age=60"), "no-cache", 60),
        (stored(expires=IN_AN_HOUR), "max-age=30", 3600),
        (stored(expires="0"), "max-age=30", 0),
        (stored(expires=IN_AN_HOUR), "no-cache", 0),  # the most restrictive
        (stored(cdn="public"), "max-age=30", 7),
        (stored(cdn="public,"), "max-age=30", 30),
    ],
)
def test_a_rule_says_it_where_the_object_does_not(
    representation: Representation, rule: str, fresh: float
) -> None:
    assert fresh_for(representation, replace(PLAIN, cache_control=rule)) == fresh


@pytest.mark.parametrize(
    "representation",
    [
        stored(),
        stored("max-age=60"),
        stored("s-maxage=60"),
        stored("no-cache"),
        stored("max-age=?"),
        stored(cdn="max-age=60"),
        stored(cdn="no-cache"),
        stored(expires="0"),
    ],
)
def test_the_operator_goes_over_the_object(representation: Representation) -> None:
    assert fresh_for(representation, Terms(ttl=3, cache_control="max-age=30")) == 3
    assert fresh_for(representation, Terms(ttl=0)) == 0


@pytest.mark.parametrize("seconds", [-1.0, -inf, float("nan")])
def test_terms_are_never_negative(seconds: float) -> None:
    terms = Terms(seconds, seconds, seconds)
    assert lifetime_of(stored(), terms) == Lifetime(0, 0, 0, storable=True)
    assert lifetime_of(stored(), replace(terms, ttl=seconds)).fresh == 0


# --- what may be stored, and served stale -------------------------------------------------------


@pytest.mark.parametrize(
    ("representation", "rule", "storable"),
    [
        (stored("max-age=60"), None, True),
        (stored("no-cache"), None, True),
        (stored("no-store"), None, False),
        (stored("max-age=60, No-Store"), None, False),
        (stored("private"), None, False),
        (stored('private="set-cookie"'), None, False),
        (stored("no-store=?"), None, False),
        (stored("no-store oops"), None, False),
        (stored('a="b, no-store'), None, False),
        (stored("x-no-store"), None, True),
        (stored('x="no-store"'), None, True),
        (stored(cdn="no-store"), None, False),
        (stored("max-age=60", cdn="private, max-age=60"), None, False),
        (stored("no-store", cdn="max-age=60"), None, True),
        (stored("no-store", cdn="max-age=60,"), None, False),
        (stored(cdn="no-store=?0"), None, True),
        (stored(cdn="no-store=1"), None, False),
        (stored(), "no-store", False),
        (stored(expires=IN_AN_HOUR), "no-store", False),
        (stored("public"), "no-store", True),
        (stored("no-store\x00"), "max-age=60", True),  # can't be sent, so it counts as none
    ],
)
@pytest.mark.parametrize("ttl", [None, 60])
def test_what_may_be_stored(
    representation: Representation, rule: str | None, storable: bool, ttl: float | None
) -> None:
    lifetime = lifetime_of(representation, replace(STALE, cache_control=rule, ttl=ttl), now=NOW)
    assert lifetime.storable == storable
    if not storable:
        assert lifetime == Lifetime(0, 0, 0, storable=False, must_revalidate=True)


@pytest.mark.parametrize(
    ("cache_control", "while_revalidate", "if_error", "strict"),
    [
        (None, 11, 13, False),
        ("max-age=600", 11, 13, False),
        ("max-age=600, stale-while-revalidate=30", 30, 13, False),  # RFC 5861 §3.1
        ("max-age=600, stale-if-error=1200", 11, 1200, False),  # §4.1
        ("stale-while-revalidate=0, stale-if-error=0", 0, 0, False),
        ("stale-while-revalidate=1, stale-while-revalidate=2", 1, 13, False),
        ("stale-while-revalidate, stale-if-error=?", 0, 0, False),
        ("stale-if-error=99999999999", 11, MAX_SECONDS, False),
        ("must-revalidate, stale-while-revalidate=30, stale-if-error=30", 0, 0, True),
        ("stale-if-error=30, proxy-revalidate", 0, 0, True),
        ("s-maxage=60, stale-while-revalidate=30", 0, 0, True),
        ("no-cache, stale-if-error=30", 0, 0, True),
        ("must-revalidate=?", 0, 0, True),
        ("immutable", 11, 13, False),
    ],
)
@pytest.mark.parametrize("ttl", [None, 60])
def test_stale_windows(
    cache_control: str | None,
    while_revalidate: float,
    if_error: float,
    strict: bool,
    ttl: float | None,
) -> None:
    lifetime = lifetime_of(stored(cache_control), replace(STALE, ttl=ttl))
    assert lifetime.stale_while_revalidate == while_revalidate
    assert lifetime.stale_if_error == if_error
    assert lifetime.must_revalidate == strict


@pytest.mark.parametrize(
    ("cdn", "while_revalidate", "if_error"),
    [
        ("stale-while-revalidate=30, stale-if-error=1200", 30, 1200),
        ("stale-while-revalidate=30, stale-if-error=1.5", 30, 0),
        ("max-age=60", 11, 13),
        ("max-age=60, must-revalidate", 0, 0),
        ("max-age=60, must-revalidate=?0", 11, 13),
        ("max-age=60, must-revalidate,", 5, 13),
    ],
)
def test_stale_windows_of_the_field_for_cdns(
    cdn: str, while_revalidate: float, if_error: float
) -> None:
    lifetime = lifetime_of(stored("stale-while-revalidate=5", cdn), STALE)
    assert lifetime.stale_while_revalidate == while_revalidate
    assert lifetime.stale_if_error == if_error


@pytest.mark.parametrize(
    ("cache_control", "immutable"),
    [
        ("max-age=31536000, immutable", True),
        ("IMMUTABLE", True),
        ("immutable=1", True),
        ("immutable oops", False),
        ("max-age=60", False),
    ],
)
def test_immutable(cache_control: str, immutable: bool) -> None:
    assert lifetime_of(stored(cache_control), PLAIN).immutable == immutable


@pytest.mark.parametrize(
    ("cdn", "immutable"),
    [
        ("max-age=60, immutable", True),
        ("immutable=?1", True),
        ("immutable=?0", False),
        ('immutable="?1"', False),
        ("immutable=(1)", False),
        ("max-age=60", False),
    ],
)
def test_immutable_in_the_field_for_cdns(cdn: str, immutable: bool) -> None:
    assert lifetime_of(stored("immutable", cdn), PLAIN).immutable == immutable


# --- what a request demands ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache_control", "pragma", "demands"),
    [
        (None, None, NO_DEMANDS),
        ("", None, NO_DEMANDS),
        ("no-cache", None, Demands(no_cache=True)),
        ("No-Cache, max-age=0", None, Demands(no_cache=True, max_age=0)),
        ("no-store", None, Demands(no_store=True)),
        ("only-if-cached", None, Demands(only_if_cached=True)),
        ("max-age=60", None, Demands(max_age=60)),
        ('max-age="60"', None, Demands(max_age=60)),
        ("max-age=60, max-age=0", None, Demands(max_age=60)),
        ("max-stale", None, Demands(max_stale=inf)),
        ("max-stale=0", None, Demands(max_stale=0)),
        ("max-stale=60", None, Demands(max_stale=60)),
        ("min-fresh=60", None, Demands(min_fresh=60)),
        ("min-fresh=99999999999", None, Demands(min_fresh=MAX_SECONDS)),
        ("no-transform, x=1, must-revalidate, s-maxage=1", None, NO_DEMANDS),
        # A malformed one is none, the others count.
        ("max-age=?, no-store", None, Demands(no_store=True)),
        ("max-age", None, NO_DEMANDS),
        ("max-age=-1", None, NO_DEMANDS),
        ("max-stale=", None, NO_DEMANDS),
        ('max-stale=""', None, NO_DEMANDS),
        ("max-stale=?", None, NO_DEMANDS),
        ("max-stale x", None, NO_DEMANDS),
        ("min-fresh", None, NO_DEMANDS),
        ("no-cache x, no-store=, only-if-cached=?", None, NO_DEMANDS),
        ("no-cache".ljust(MAX_DEMANDS_LENGTH), None, Demands(no_cache=True)),
        ("no-cache".ljust(MAX_DEMANDS_LENGTH + 1), None, NO_DEMANDS),
        (None, "no-cache".ljust(MAX_DEMANDS_LENGTH), Demands(no_cache=True)),
        (None, "no-cache".ljust(MAX_DEMANDS_LENGTH + 1), NO_DEMANDS),
        # RFC 9111 §5.4
        (None, "no-cache", Demands(no_cache=True)),
        (None, "x, NO-CACHE", Demands(no_cache=True)),
        (None, "max-age=0, no-store", NO_DEMANDS),
        (None, "no-cache oops", NO_DEMANDS),
        ("max-age=60", "no-cache", Demands(max_age=60)),
        ("", "no-cache", NO_DEMANDS),
    ],
)
def test_demands(cache_control: str | None, pragma: str | None, demands: Demands) -> None:
    assert read_demands(cache_control, pragma) == demands


# --- what may be done ---------------------------------------------------------------------------

MINUTE = Lifetime(fresh=60, stale_while_revalidate=30, stale_if_error=600, storable=True)
STRICT = Lifetime(60, 0, 0, storable=True, must_revalidate=True)
IMMUTABLE = replace(MINUTE, immutable=True)
FRESH, BACKGROUND, VALIDATE = Use.FRESH, Use.STALE_WHILE_REVALIDATE, Use.VALIDATE


@pytest.mark.parametrize(
    ("lifetime", "age", "request_field", "use"),
    [
        (MINUTE, 0, None, FRESH),
        (MINUTE, 59.9, None, FRESH),
        (MINUTE, -5, None, FRESH),
        (MINUTE, 60, None, BACKGROUND),
        (MINUTE, 89.9, None, BACKGROUND),
        (MINUTE, 90, None, VALIDATE),
        (STRICT, 59, None, FRESH),
        (STRICT, 60, None, VALIDATE),
        (Lifetime(0, 0, 0, storable=True), 0, None, VALIDATE),
        (Lifetime(0, 0, 0, storable=True), -1, None, VALIDATE),
        (Lifetime(0, 0, 0, storable=False), 0, None, VALIDATE),
        (Lifetime(0, 5, 0, storable=True), 0, None, BACKGROUND),
        # RFC 9111 §5.2.1.4
        (MINUTE, 0, "no-cache", VALIDATE),
        (IMMUTABLE, 0, "no-cache", VALIDATE),
        # §5.2.1.1: and no stale one, unless it says so
        (MINUTE, 10, "max-age=10", FRESH),
        (MINUTE, 10.1, "max-age=10", VALIDATE),
        (MINUTE, 0.5, "max-age=0", VALIDATE),
        (MINUTE, 70, "max-age=80", VALIDATE),
        (MINUTE, 70, "max-age=80, max-stale=20", BACKGROUND),
        (MINUTE, 70, "max-age=65, max-stale=20", VALIDATE),
        # §5.2.1.2: more or less than the object says
        (MINUTE, 65, "max-stale=5", BACKGROUND),
        (MINUTE, 65.1, "max-stale=5", VALIDATE),
        (MINUTE, 1000, "max-stale=940", BACKGROUND),
        (MINUTE, 1000, "max-stale=939", VALIDATE),
        (MINUTE, 10**9, "max-stale", BACKGROUND),
        (MINUTE, 10, "max-stale", FRESH),
        (STRICT, 61, "max-stale", VALIDATE),
        # §5.2.1.3
        (MINUTE, 40, "min-fresh=20", FRESH),
        (MINUTE, 40.1, "min-fresh=20", VALIDATE),
        (MINUTE, 61, "min-fresh=0", VALIDATE),
        (MINUTE, 61, "min-fresh=0, max-stale", VALIDATE),
        (IMMUTABLE, 40.1, "min-fresh=20", VALIDATE),
        # RFC 8246 §2: a reload validates nothing, while it is fresh
        (IMMUTABLE, 50, "max-age=0", FRESH),
        (IMMUTABLE, 61, "max-age=0", VALIDATE),
        # these are for the caller
        (MINUTE, 10, "no-store, only-if-cached", FRESH),
        (MINUTE, 70, "no-store, only-if-cached", BACKGROUND),
        (MINUTE, 10, "max-age=?, min-fresh=?", FRESH),
    ],
)
def test_use(lifetime: Lifetime, age: float, request_field: str | None, use: Use) -> None:
    assert use_of(lifetime, age, read_demands(request_field)) is use


@pytest.mark.parametrize(
    ("lifetime", "age", "usable"),
    [
        (MINUTE, -1, True),
        (MINUTE, 0, True),
        (MINUTE, 659.9, True),
        (MINUTE, 660, False),
        (STRICT, 59, True),
        (STRICT, 60, False),
        (replace(MINUTE, storable=False), 0, False),
        (Lifetime(0, 0, 0, storable=True), -1, False),
    ],
)
def test_on_error(lifetime: Lifetime, age: float, usable: bool) -> None:
    assert usable_on_error(lifetime, age) == usable


# --- properties ---------------------------------------------------------------------------------

SECONDS = st.one_of(st.floats(0, 200), st.sampled_from([0.0, 1.0, 60.0, 3e9, inf]))
TERMS = st.builds(
    Terms,
    SECONDS,
    SECONDS,
    SECONDS,
    st.none() | SECONDS,
    st.none() | cache_control_fields(RESPONSE_DIRECTIVES),
)
OBJECTS = st.builds(
    stored,
    st.none() | cache_control_fields(RESPONSE_DIRECTIVES) | GARBAGE,
    st.none() | cache_control_fields(RESPONSE_DIRECTIVES) | GARBAGE,
    st.none() | date_fields(),
)
DEMANDS = cache_control_fields(REQUEST_DIRECTIVES).map(read_demands)
LIFETIMES = st.builds(lifetime_of, OBJECTS, TERMS, now=st.none() | st.just(NOW))
AGES = st.floats(-10, 500) | st.sampled_from([0.0, 60.0, 3e9])


@given(OBJECTS, TERMS, st.none() | st.floats(0, 4e9))
def test_every_lifetime_is_bounded(
    representation: Representation, terms: Terms, now: float | None
) -> None:
    lifetime = lifetime_of(representation, terms, now=now)
    windows = (lifetime.stale_while_revalidate, lifetime.stale_if_error)
    assert all(0 <= seconds <= MAX_SECONDS for seconds in (lifetime.fresh, *windows))
    if lifetime.must_revalidate:
        assert windows == (0, 0)
    if not lifetime.storable:
        assert lifetime.must_revalidate
        assert lifetime.fresh == 0


@given(GARBAGE, GARBAGE)
def test_demands_never_raise(cache_control: str, pragma: str) -> None:
    for demands in (read_demands(cache_control, pragma), read_demands(None, pragma)):
        times = (demands.max_age, demands.max_stale, demands.min_fresh)
        assert all(time is None or time >= 0 for time in times)


@given(LIFETIMES, DEMANDS, AGES, AGES)
def test_nothing_gets_better_with_age(
    lifetime: Lifetime, demands: Demands, one: float, other: float
) -> None:
    order = list(Use)
    younger, older = sorted([one, other])
    assert order.index(use_of(lifetime, younger, demands)) <= order.index(
        use_of(lifetime, older, demands)
    )
    assert usable_on_error(lifetime, younger) >= usable_on_error(lifetime, older)


@given(LIFETIMES, DEMANDS, AGES)
def test_demands_only_tighten_but_for_max_stale(
    lifetime: Lifetime, demands: Demands, age: float
) -> None:
    order = list(Use)
    bare = order.index(use_of(lifetime, age))
    asked = use_of(lifetime, age, replace(demands, max_stale=None))
    assert order.index(asked) >= bare
    if use_of(lifetime, age, demands) is Use.FRESH:
        assert bare == order.index(Use.FRESH)


@given(LIFETIMES, DEMANDS, AGES)
def test_what_is_forbidden_is_not_done(lifetime: Lifetime, demands: Demands, age: float) -> None:
    use = use_of(lifetime, age, demands)
    if not lifetime.storable or demands.no_cache:
        assert use is Use.VALIDATE
    if use is Use.FRESH:
        assert age < lifetime.fresh
        assert usable_on_error(lifetime, age)
    if use is Use.STALE_WHILE_REVALIDATE:
        assert not lifetime.must_revalidate


@given(OBJECTS, TERMS)
def test_what_clients_are_told_is_what_counts(representation: Representation, terms: Terms) -> None:
    """Where the answer says no-store to the caches behind, this one keeps nothing either."""
    representation = replace(representation, cdn_cache_control=None)
    plan = make_plan("GET", {}, representation, Policy(cache_control=terms.cache_control))
    told = dict(plan.fields).get(b"cache-control")
    lifetime = lifetime_of(representation, terms, now=NOW)
    again = stored(told.decode("latin-1") if told else None, expires=representation.expires)
    assert lifetime.storable == lifetime_of(again, terms, now=NOW).storable

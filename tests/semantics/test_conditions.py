"""Preconditions: the order of §13.2.2 in full, tables, and the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.conditions import Outcome, evaluate_preconditions, range_applies
from proxy.semantics.dates import format_http_date
from proxy.semantics.etags import parse_etag
from proxy.semantics.representation import Representation
from tests.semantics import oracle
from tests.semantics.strategies import date_fields, etag_fields, etags

T = 784111777
SAME, OLDER, NEWER = (format_http_date(T + by) for by in (0, -1, 1))
STATUS = {Outcome.PROCEED: 200, Outcome.NOT_MODIFIED: 304, Outcome.FAILED: 412}
STRONG, WEAK, BARE, DATELESS = (
    oracle.Stored(b"", '"a"', T),
    oracle.Stored(b"", 'W/"a"', T),
    oracle.Stored(b"", None, T),
    oracle.Stored(b"", '"a"', None),
)


def representation_of(stored: oracle.Stored) -> Representation:
    etag = None if stored.etag is None else parse_etag(stored.etag)
    return Representation(len(stored.body), etag, stored.last_modified)


def status(fields: Mapping[str, str], stored: oracle.Stored, method: str = "GET") -> int:
    return STATUS[evaluate_preconditions(method, fields, representation_of(stored))]


@pytest.mark.parametrize(
    ("value", "strong", "weak", "bare"),
    [
        ('"a"', 200, 412, 412),
        ('W/"a"', 412, 412, 412),
        ('"b"', 412, 412, 412),
        ('"b", "a"', 200, 412, 412),
        ('"b", W/"a", "c"', 412, 412, 412),
        ("*", 200, 200, 200),
        (" *\t", 200, 200, 200),
        ("", 412, 412, 412),
        ('*, "a"', 412, 412, 412),
        ('"a", nonsense', 412, 412, 412),
        ("a", 412, 412, 412),
        ('"A"', 412, 412, 412),
    ],
)
def test_if_match(value: str, strong: int, weak: int, bare: int) -> None:
    found = [status({"if-match": value}, stored) for stored in (STRONG, WEAK, BARE)]
    assert found == [strong, weak, bare]


@pytest.mark.parametrize(
    ("value", "strong", "weak", "bare"),
    [
        ('"a"', 304, 304, 200),
        ('W/"a"', 304, 304, 200),
        ('"b"', 200, 200, 200),
        ('"b", "a"', 304, 304, 200),
        ('"b", W/"a", "c"', 304, 304, 200),
        ("*", 304, 304, 304),
        (" *\t", 304, 304, 304),
        ("", 200, 200, 200),
        ('*, "a"', 200, 200, 200),
        ('"a", nonsense', 200, 200, 200),
        ("a", 200, 200, 200),
        ('"A"', 200, 200, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match(method: str, value: str, strong: int, weak: int, bare: int) -> None:
    found = [status({"if-none-match": value}, stored, method) for stored in (STRONG, WEAK, BARE)]
    assert found == [strong, weak, bare]


@pytest.mark.parametrize(
    ("value", "unmodified", "modified"),
    [
        (SAME, 200, 304),
        (NEWER, 200, 304),
        (OLDER, 412, 200),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 200, 304),
        ("Sun Nov  6 08:49:36 1994", 412, 200),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 200, 304),
        # Not a date, not there: ignored (§13.1.3, §13.1.4).
        ("Sun, 06 Nov 1994 08:49:37", 200, 200),
        ("Sun, 31 Nov 1994 08:49:36 GMT", 200, 200),
        (f"{OLDER}, {OLDER}", 200, 200),
        ("0", 200, 200),
        ("*", 200, 200),
        ("", 200, 200),
    ],
)
def test_dates(value: str, unmodified: int, modified: int) -> None:
    assert status({"if-unmodified-since": value}, STRONG) == unmodified
    assert status({"if-modified-since": value}, STRONG) == modified
    assert status({"if-unmodified-since": value}, DATELESS) == 200
    assert status({"if-modified-since": value}, DATELESS) == 200


MATCH = [None, '"a"', '"b"', "malformed"]
SINCE = [None, SAME, OLDER, "malformed"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("stored", [STRONG, WEAK, BARE, DATELESS])
def test_order_of_all_combinations(method: str, stored: oracle.Stored) -> None:
    names = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since")
    for values in product(MATCH, SINCE, MATCH, SINCE):
        fields = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        expected = oracle.precondition_status(method, fields, stored)
        assert status(fields, stored, method) == expected, fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"if-match": '"a"', "if-unmodified-since": OLDER}, 200),
        ({"if-match": '"b"', "if-unmodified-since": NEWER}, 412),
        ({"if-none-match": '"b"', "if-modified-since": NEWER}, 200),
        ({"if-none-match": '"a"', "if-modified-since": OLDER}, 304),
        ({"if-none-match": "malformed", "if-modified-since": NEWER}, 200),
        ({"if-match": '"a"', "if-none-match": '"a"'}, 304),
        ({"if-match": '"b"', "if-none-match": '"a"'}, 412),
        ({"if-unmodified-since": OLDER, "if-modified-since": NEWER}, 412),
        ({"if-unmodified-since": SAME, "if-modified-since": SAME}, 304),
    ],
)
def test_order(fields: dict[str, str], expected: int) -> None:
    assert status(fields, STRONG) == expected


def test_other_methods_never_get_304() -> None:
    assert status({"if-modified-since": NEWER}, STRONG, "OPTIONS") == 200


@pytest.mark.parametrize(
    ("value", "strong", "weak", "bare"),
    [
        ('"a"', True, False, False),
        ('W/"a"', False, False, False),
        ('"b"', False, False, False),
        (' "a"\t', True, False, False),
        ('"a", "a"', False, False, False),
        ("*", False, False, False),
        ("", False, False, False),
        ("a", False, False, False),
        (SAME, True, False, False),
        ("Sun Nov  6 08:49:37 1994", True, False, False),
        (NEWER, False, False, False),
        (OLDER, False, False, False),
        ("Sun, 06 Nov 1994 08:49:37", False, False, False),
    ],
)
def test_if_range(value: str, strong: bool, weak: bool, bare: bool) -> None:
    """A store without an entity tag calls nothing strong, so no date counts (§13.1.5)."""
    found = [
        range_applies({"if-range": value}, representation_of(stored))
        for stored in (STRONG, WEAK, BARE)
    ]
    assert found == [strong, weak, bare]


def test_without_if_range_ranges_apply() -> None:
    assert range_applies({}, Representation(0))


def test_a_date_needs_a_date_of_ours() -> None:
    assert not range_applies({"if-range": SAME}, representation_of(DATELESS))
    assert not range_applies({"if-range": "nonsense"}, representation_of(DATELESS))


NEAR_T = st.integers(T - 1, T + 1)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "if-match": etag_fields(),
        "if-unmodified-since": date_fields(NEAR_T),
        "if-none-match": etag_fields(),
        "if-modified-since": date_fields(NEAR_T),
        "if-range": etags() | date_fields(NEAR_T),
    },
)
STORED = st.builds(oracle.Stored, st.just(b""), st.none() | etags(), st.none() | NEAR_T)


@given(st.sampled_from(["GET", "HEAD"]), REQUESTS, STORED)
def test_agrees_with_the_oracle(method: str, fields: dict[str, str], stored: oracle.Stored) -> None:
    assert status(fields, stored, method) == oracle.precondition_status(method, fields, stored)
    if "if-range" in fields:
        applies = range_applies(fields, representation_of(stored))
        assert applies == oracle.if_range(fields["if-range"], stored)

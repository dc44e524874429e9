"""HTTP dates: the three forms, days that never were, and the oracle."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics import dates
from proxy.semantics.dates import format_http_date, parse_http_date
from tests.semantics import oracle
from tests.semantics.backtracking import StepCounter, hostile_texts
from tests.semantics.strategies import MOMENTS, date_fields

EXAMPLE = 784111777  # §5.6.7
NO_DATE = None


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]  # 6 ints


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        ("Sun Nov  6 08:49:37 1994", EXAMPLE),
        ("Sun Nov 06 08:49:37 1994", EXAMPLE),
        (" \tSun, 06 Nov 1994 08:49:37 GMT\t", EXAMPLE),
        ("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE),  # the day's name is not compared
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Mon, 01 Jan 0001 00:00:00 GMT", -62135596800),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
        ("Thu, 29 Feb 2024 00:00:00 GMT", at(2024, 2, 29, 0, 0, 0)),
        ("Tue, 29 Feb 2000 00:00:00 GMT", at(2000, 2, 29, 0, 0, 0)),
        ("Wed, 29 Feb 2023 00:00:00 GMT", NO_DATE),
        ("Thu, 29 Feb 1900 00:00:00 GMT", NO_DATE),
        ("Fri, 30 Feb 2024 00:00:00 GMT", NO_DATE),
        ("Sun, 31 Apr 2024 00:00:00 GMT", NO_DATE),
        ("Sun, 00 Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun, 32 Jan 1994 08:49:37 GMT", NO_DATE),
        ("Sun Nov  0 08:49:37 1994", NO_DATE),
        ("Sun, 06 Nov 0000 08:49:37 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 24:00:00 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 08:60:00 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:61 GMT", NO_DATE),
        # A leap second counts as the one after it, over midnight too.
        ("Sat, 31 Dec 2016 23:59:60 GMT", at(2017, 1, 1, 0, 0, 0)),
        ("Tue, 30 Jun 2015 23:59:60 GMT", at(2015, 7, 1, 0, 0, 0)),
        ("Thu, 29 Feb 2024 23:59:60 GMT", at(2024, 3, 1, 0, 0, 0)),
        ("Wed, 30 Feb 2024 23:59:60 GMT", NO_DATE),
        # Two digits: no more than fifty years ahead of 2026.
        ("Wednesday, 01-Jan-76 00:00:00 GMT", at(2076, 1, 1, 0, 0, 0)),
        ("Saturday, 01-Jan-77 00:00:00 GMT", at(1977, 1, 1, 0, 0, 0)),
        ("Friday, 01-Jan-99 00:00:00 GMT", at(1999, 1, 1, 0, 0, 0)),
        ("Saturday, 01-Jan-00 00:00:00 GMT", at(2000, 1, 1, 0, 0, 0)),
        ("Friday, 29-Feb-99 00:00:00 GMT", NO_DATE),
        ("", NO_DATE),
        ("0", NO_DATE),
        ("784111777", NO_DATE),
        ("*", NO_DATE),
        ("sun, 06 Nov 1994 08:49:37 GMT", NO_DATE),  # dates are case-sensitive
        ("Sun, 06 NOV 1994 08:49:37 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37 gmt", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37 UTC", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37 +0000", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37", NO_DATE),
        ("Sun, 6 Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun,06 Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun, 06  Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun, 06 Nov 94 08:49:37 GMT", NO_DATE),
        ("Sun, 06 Nov 11994 08:49:37 GMT", NO_DATE),
        ("Sun, 06-Nov-94 08:49:37 GMT", NO_DATE),
        ("Sunday, 06-Nov-1994 08:49:37 GMT", NO_DATE),
        ("Sunday, 06 Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun Nov 6 08:49:37 1994", NO_DATE),
        ("Sun Nov  6 08:49:37 1994 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 8:49:37 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 08.49.37 GMT", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37 GMT\n", NO_DATE),
        ("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", NO_DATE),
        ("Sun, ０６ Nov 1994 08:49:37 GMT", NO_DATE),
        ("1994-11-06T08:49:37Z", NO_DATE),
    ],
)
def test_reading(text: str, expected: int | None) -> None:
    assert parse_http_date(text) == expected


@pytest.mark.parametrize(
    ("this_year", "short", "expected"),
    [
        (1994, "94", 1994),
        (1994, "44", 1944),
        (2099, "00", 2000),
        (2101, "51", 2151),
        (2101, "52", 2052),
    ],
)
def test_two_digit_years(this_year: int, short: str, expected: int) -> None:
    seconds = parse_http_date(f"Monday, 01-Mar-{short} 00:00:00 GMT", this_year=this_year)
    assert seconds == at(expected, 3, 1, 0, 0, 0)


@given(date_fields(), st.integers(1970, 2150))
def test_parser_agrees_with_the_oracle(text: str, this_year: int) -> None:
    assert parse_http_date(text, this_year=this_year) == oracle.http_date(text, this_year)


@given(MOMENTS)
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    text = format_http_date(seconds)
    assert len(text) == 29
    assert parse_http_date(text) == oracle.http_date(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE + 0.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),  # cut off is earlier, before 1970 too
        (-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_writing(seconds: float, expected: str) -> None:
    assert format_http_date(seconds) == expected


def test_work_is_bounded_by_the_form() -> None:
    for form in dates._FORMS:
        for text in hostile_texts(["Sun, ", "0", " ", "Monday, ", "Nov", ":", "-"], 100):
            counter = StepCounter(form)
            counter.fullmatch(text)
            assert counter.steps < 120

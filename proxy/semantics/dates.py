"""HTTP dates: reading the three forms and writing the one (RFC 9110 §5.6.7). No clock here."""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from math import floor
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, start=1)}
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_DAY, _MONTH, _LONG_DAY = "|".join(_DAYS), "|".join(_MONTHS), "|".join(_LONG_DAYS)
_2 = "[0-9]{2}"
_CLOCK = f"(?P<hour>{_2}):(?P<minute>{_2}):(?P<second>{_2})"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?:{_DAY}), (?P<day>{_2}) (?P<month>{_MONTH}) (?P<year>[0-9]{{4}}) {_CLOCK} GMT",
        rf"(?:{_LONG_DAY}), (?P<day>{_2})-(?P<month>{_MONTH})-(?P<year>{_2}) {_CLOCK} GMT",
        rf"(?:{_DAY}) (?P<month>{_MONTH}) (?P<day>[0-9 ][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})",
    )
)


def parse_http_date(value: str, *, this_year: int = 2026) -> int | None:
    """Seconds since the epoch (UTC), or None for anything but IMF-fixdate, RFC 850 or asctime.

    A two-digit year more than fifty years ahead of `this_year` is in the past, as the RFC asks.
    A field that holds an invalid date is to be ignored by the caller (§13.1.3, §13.1.4).
    """
    text = value.strip(" \t")
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            return _seconds(found.groupdict(), this_year)
    return None


def _seconds(parts: dict[str, str], this_year: int) -> int | None:
    year, month, day = int(parts["year"]), _MONTH_NUMBER[parts["month"]], int(parts["day"])
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    if len(parts["year"]) == 2:
        year += this_year - this_year % 100
        year -= 100 if year > this_year + 50 else 0
    # 60 is a leap second: the grammar allows it, timegm counts it as the next second.
    if not (hour < 24 and minute < 60 and second <= 60 and 1 <= day <= 31 and year >= 1):
        return None
    seconds = timegm((year, month, day, hour, minute, second))
    is_leap_second = second == 60
    same_day = gmtime(seconds - is_leap_second)[1:3] == (month, day)
    return seconds if same_day else None  # 31 February is no date


@lru_cache(1024)
def format_http_date(seconds: float) -> str:
    """The IMF-fixdate for seconds since the epoch; fractions are cut off, never rounded up."""
    moment = gmtime(floor(seconds))
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02} {_MONTHS[moment.tm_mon - 1]}"
        f" {moment.tm_year:04} {moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} GMT"
    )

"""Counts of quick answers: what a scrape says of them is what it says of any."""

from __future__ import annotations

import pytest

from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord
from proxy.observability.hot_tally import QUICK, HotTallies, Kind
from proxy.observability.meters import Meters, Value, Values
from proxy.observability.responses import Responses

VERDICT = ("crc32", "verified", "")


def record(method: str, status: int, size: int | None, seconds: float) -> AccessRecord:
    made = AccessRecord("id", "192.0.2.1", "1.1", method, b"/a")
    made.status, made.sent, made.length = status, size or 0, size
    made.seconds = made.seconds_to_first_byte = seconds
    made.outcome = "complete"
    return made


def rounded(value: Value) -> object:
    """Sums of seconds depend on the order in the last bit."""
    return [round(one, 9) for one in value] if isinstance(value, list) else value


def without_hot(values: Values) -> dict[str, object]:
    return {
        name: sorted((labels, rounded(value)) for labels, value in found)
        for name, found in values.items()
        if name != names.REQUESTS_HOT.name
    }


@pytest.mark.parametrize(
    ("method", "status", "size", "cache"),
    [("GET", 200, 1024, ""), ("HEAD", 200, 0, ""), ("GET", 304, 0, ""), ("GET", 200, 1, "hit")],
)
def test_it_counts_as_responses_do(method: str, status: int, size: int, cache: str) -> None:
    seconds = [0.0001, 0.0002, QUICK, 0.003, 0.0004]
    one, other = Responses(Meters()), Responses(Meters())
    for some in seconds:
        made = record(method, status, size, some)
        made.cache = cache and f"{cache} (memory)"
        one.count(made)
    kind = Kind(method, status, "1.1", method == "GET" and status == 200, None, cache)
    for some in seconds:
        tally = other.hot.of(kind)
        tally.answers += 1
        tally.bytes += size
        if some < QUICK:
            tally.seconds += some
        else:
            other.hot.observe_slow(kind, some)
    assert without_hot(other.meters.read()) == without_hot(one.meters.read())
    again = other.meters.read()
    assert again[names.REQUESTS_HOT.name] == [([], 5)]
    assert without_hot(again) == without_hot(other.meters.read())


def test_bodies_that_were_checked_are_counted_so() -> None:
    meters = Meters()
    hot = HotTallies(meters)
    tally = hot.of(Kind("GET", 200, "2", True, VERDICT))
    tally.answers, tally.bytes = 3, 300
    hot.count_verdict(VERDICT, 7)
    hot.count_verdict(None, 5)
    read = meters.read()
    assert read[names.VERIFICATIONS.name] == [(list(VERDICT), 4)]
    assert read[names.VERIFIED_BYTES.name] == [(["crc32", "verified"], 307)]


def test_one_that_was_counted_elsewhere() -> None:
    meters = Meters()
    hot = HotTallies(meters)
    assert meters.read()[names.REQUESTS_HOT.name] == [([], 0)]
    hot.count_hot()
    assert meters.read()[names.REQUESTS_HOT.name] == [([], 1)]

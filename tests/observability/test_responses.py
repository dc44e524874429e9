"""Responses in flight, and what is counted of each at its end."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import pytest

from proxy.observability import flow_metrics
from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord
from proxy.observability.meters import Meters, Value
from proxy.observability.metrics import Metric
from proxy.observability.responses import RECENT_FAULTS, Responses, outcome_of_download


@dataclass
class Sending:
    started: bool = False
    sent: int = 0
    waiting_since: float = 0.0
    waited: float = 0.0


def record_of(**members: object) -> AccessRecord:
    record = AccessRecord("r", "192.0.2.1", "1.1", "GET", b"/a")
    for name, value in members.items():
        setattr(record, name, value)
    return record


def value_of(meters: Meters, metric: Metric, *labels: str) -> Value:
    return next((v for key, v in meters.read()[metric.name] if tuple(key) == labels), 0)


def test_a_response_is_in_flight_until_it_ends() -> None:
    meters = Meters()
    responses = Responses(meters)
    record, sending = record_of(length=100), Sending(started=True, sent=40)
    transfer = responses.begin(record, sending)
    assert value_of(meters, names.IN_FLIGHT) == value_of(meters, names.DOWNLOADS_ACTIVE) == 1
    assert value_of(meters, names.SENT_BYTES) == 40, "those under way count already"
    record.status, record.sent, record.outcome, record.seconds = 206, 100, "complete", 0.3
    record.seconds_to_first_byte = 0.002
    responses.end(transfer)
    assert value_of(meters, names.IN_FLIGHT) == value_of(meters, names.DOWNLOADS_ACTIVE) == 0
    assert value_of(meters, names.SENT_BYTES) == 100
    assert value_of(meters, names.REQUESTS, "GET", "2xx", "1.1") == 1
    assert value_of(meters, names.DOWNLOADS, "complete") == 1
    for metric, seconds in ((names.REQUEST_SECONDS, 0.3), (names.FIRST_BYTE_SECONDS, 0.002)):
        counts = value_of(meters, metric, "2xx")
        assert isinstance(counts, list)
        assert (sum(counts[:-1]), counts[-1]) == (1, seconds)


@pytest.mark.parametrize("method", ["BREW", "get", "", "\x00", "M" * 9000])
def test_what_a_client_makes_up_makes_no_series(method: str) -> None:
    meters = Meters()
    responses = Responses(meters)
    responses.end(responses.begin(record_of(method=method, protocol="9"), Sending()))
    assert value_of(meters, names.REQUESTS, "other", "none", "other") == 1


def test_a_million_keys_make_no_series() -> None:
    meters = Meters()
    responses = Responses(meters)
    responses.end(responses.begin(record_of(), Sending()))
    before = {name: len(rows) for name, rows in meters.read().items()}
    for number in range(10_000):
        record = record_of(target=b"/%d" % number, client=f"192.0.2.{number}", origin="")
        responses.end(responses.begin(record, Sending()))
    assert {name: len(rows) for name, rows in meters.read().items()} == before


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"outcome": "complete", "status": 200, "length": 0}, "complete"),
        ({"outcome": "complete", "status": 206, "length": 5}, "complete"),
        ({"outcome": "complete", "status": 200}, None),
        ({"outcome": "complete", "status": 304}, None),
        ({"outcome": "complete", "status": 308}, None),
        ({"outcome": "complete", "status": 416, "length": 9}, "refused"),
        ({"outcome": "refused", "status": 404}, "refused"),
        ({"outcome": "client gone", "length": 5}, "client_gone"),
        ({"outcome": "client gone"}, None),
        ({"outcome": "cut", "length": 5}, "cut"),
        ({"outcome": "fault", "fault": "OriginTimeout"}, "origin_fault"),
        ({"outcome": "fault", "fault": "ObjectChanged"}, "origin_fault"),
        ({"outcome": "fault", "fault": "ChecksumMismatch"}, "checksum_mismatch"),
        ({"outcome": "fault", "fault": "KeyError"}, "internal"),
        ({"outcome": "complete", "status": 200, "length": 5, "method": "HEAD"}, None),
    ],
)
def test_how_a_download_ended(members: dict[str, object], expected: str | None) -> None:
    assert outcome_of_download(record_of(**members)) == expected
    assert expected is None or expected in names.OUTCOMES


def test_transfers_are_told_oldest_first_with_their_rate() -> None:
    responses = Responses(Meters())
    slow = Sending(started=True, sent=1000, waiting_since=monotonic() - 5)
    first = responses.begin(record_of(target=b"/slow", length=5000), slow)
    responses.begin(record_of(target=b"/next"), Sending())
    first.begun -= 10
    first.marked_at -= 2
    responses.mark()
    told = responses.in_flight(1)
    assert told["count"] == 2
    [one] = told["transfers"]
    assert (one["target"], one["sent"], one["length"]) == ("/slow", 1000, 5000)
    assert one["rate"] == pytest.approx(500, rel=0.1)
    assert one["paused"]
    assert one["paused_seconds"] == pytest.approx(5, abs=0.5)


def test_waits_for_clients_are_added_up_of_those_in_flight_too() -> None:
    meters = Meters()
    responses = Responses(meters)

    def told() -> tuple[object, object]:
        values = meters.read()
        return values[flow_metrics.PAUSED.name][0][1], values[flow_metrics.PAUSED_SECONDS.name][0][
            1
        ]

    assert told() == (0, 0)
    waits = Sending(started=True, waiting_since=monotonic() - 5, waited=2.0)
    transfer = responses.begin(record_of(), waits)
    responses.begin(record_of(), Sending(waiting_since=monotonic(), waited=0.5))
    assert told() == (1, 2.5)
    waits.waiting_since, waits.waited = 0.0, 7.0
    responses.end(transfer)
    assert told() == (0, 7.5)


def test_faults_are_remembered_but_not_for_ever() -> None:
    responses = Responses(Meters())
    seen: list[AccessRecord] = []
    responses.listeners.append(seen.append)
    for number in range(RECENT_FAULTS + 5):
        responses.end(responses.begin(record_of(outcome="fault", detail=str(number)), Sending()))
    assert len(responses.recent_faults) == RECENT_FAULTS
    assert responses.recent_faults[-1]["detail"] == str(RECENT_FAULTS + 4)
    assert len(seen) == RECENT_FAULTS + 5


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("hit (memory)", "hit"),
        ("hit (disk)", "hit"),
        ("stale hit (disk)", "stale hit"),
        ("revalidated", "revalidated"),
        ("something new", "other"),
    ],
)
def test_what_the_cache_did_is_counted(said: str, result: str) -> None:
    meters = Meters()
    responses = Responses(meters)
    for cache in (said, ""):
        record = record_of(status=200, outcome="complete", cache=cache)
        responses.end(responses.begin(record, Sending()))
    assert meters.read()[names.CACHE_ANSWERS.name] == [([result], 1)]

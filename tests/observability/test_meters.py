"""Counting in one process."""

from __future__ import annotations

import json

import pytest

from proxy.observability import metrics as names
from proxy.observability import process_metrics
from proxy.observability.meters import Meters


def test_counters_count_and_gauges_are_set() -> None:
    meters = Meters()
    meters.add(names.DOWNLOADS, 1, "complete")
    meters.add(names.DOWNLOADS, 2, "complete")
    meters.add(names.DOWNLOADS, 0, "cut")
    meters.put(names.IN_FLIGHT, 5)
    meters.put(names.IN_FLIGHT, 3)
    values = meters.read()
    assert {labels[0]: value for labels, value in values[names.DOWNLOADS.name]} == {
        "complete": 3,
        "cut": 0,
    }
    assert values[names.IN_FLIGHT.name] == [([], 3)]


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (0.0001, 0), (0.00011, 1), (0.5, 6), (0.51, 7), (99.0, 7)]
)
def test_an_observation_is_in_the_first_bucket_that_holds_it(value: float, bucket: int) -> None:
    meters = Meters()
    meters.observe(process_metrics.GC_SECONDS, value, "0")
    [(labels, counts)] = meters.read()[process_metrics.GC_SECONDS.name]
    assert isinstance(counts, list)
    assert labels == ["0"]
    assert counts == [*(int(at == bucket) for at in range(8)), value]


def test_what_is_looked_up_is_looked_up_at_each_reading() -> None:
    meters = Meters()
    seen = iter((1, 2))
    meters.before_reading(lambda: meters.put(names.IN_FLIGHT, next(seen)))
    assert meters.read()[names.IN_FLIGHT.name] == [([], 1)]
    assert meters.read()[names.IN_FLIGHT.name] == [([], 2)]


def test_a_reading_is_a_copy_that_json_can_hold() -> None:
    meters = Meters()
    meters.observe(process_metrics.LOOP_LAG, 0.1)
    before = meters.read()
    text = json.dumps(before)
    meters.observe(process_metrics.LOOP_LAG, 0.1)
    assert json.dumps(before) == text != json.dumps(meters.read())

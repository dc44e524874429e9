"""What is full, what waits and what is refused, as metrics."""

from __future__ import annotations

from proxy.observability import flow_metrics
from proxy.observability.flow import Crowd, measure_crowd, measure_waiting
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.origins.memory import MemoryOrigin
from proxy.origins.waiting import Waiting


def values_of(meters: Meters) -> dict[str, dict[tuple[str, ...], object]]:
    read = meters.read()
    return {name: {tuple(labels): value for labels, value in rows} for name, rows in read.items()}


def test_clients_and_what_was_refused() -> None:
    meters = Meters()
    crowd = Crowd(3, 100, {"address": 2})
    measure_crowd(meters, lambda: crowd)
    told = values_of(meters)
    assert told[flow_metrics.CONNECTIONS.name] == {(): 3}
    assert told[flow_metrics.CONNECTIONS_LIMIT.name] == {(): 100}
    assert told[flow_metrics.REFUSED.name] == {
        ("connections",): 0, ("address",): 2, ("descriptors",): 0, ("requests",): 0,
    }  # fmt: skip
    crowd = Crowd(4, 100, {"address": 2, "requests": 1})
    assert values_of(meters)[flow_metrics.REFUSED.name][("requests",)] == 1


def test_the_way_to_a_store() -> None:
    meters = Meters()
    measure_waiting(meters, "media", lambda: Waiting(5, 8, 2, 30, 1.5, 4, 3))
    told = values_of(meters)
    at = ("media",)
    assert told[flow_metrics.ORIGIN_CONNECTIONS.name][at] == 5
    assert told[flow_metrics.ORIGIN_CONNECTIONS_LIMIT.name][at] == 8
    assert told[flow_metrics.ORIGIN_QUEUE.name][at] == 2
    assert told[flow_metrics.ORIGIN_QUEUE_WAITS.name][at] == 30
    assert told[flow_metrics.ORIGIN_QUEUE_SECONDS.name][at] == 1.5
    assert told[flow_metrics.ORIGIN_QUEUE_REFUSED.name] == {
        ("media", "full"): 4,
        ("media", "late"): 3,
    }


def test_only_who_waits_is_looked_at() -> None:
    class Store(MemoryOrigin):
        def waiting(self) -> Waiting:
            return Waiting(used=1)

    meters = Meters()
    Metered(MemoryOrigin(), "near", meters)
    Metered(Store(), "far", meters)
    assert values_of(meters)[flow_metrics.ORIGIN_CONNECTIONS.name] == {("far",): 1}

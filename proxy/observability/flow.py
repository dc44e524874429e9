"""What is full, what waits and what is refused: numbers that others have, looked up before each
reading, so that they cost nothing otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxy.observability import flow_metrics
from proxy.observability.meters import Meters
from proxy.origins.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients of one worker.

    Attributes:
        connections: those that are open, of `most` that may be.
        refused: what was refused since the start, by reason: see `flow_metrics.SHED`.
    """

    connections: int = 0
    most: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


def measure_crowd(meters: Meters, look: Callable[[], Crowd]) -> None:
    """Has the connections with clients looked up."""

    def fill_in() -> None:
        crowd = look()
        meters.put(flow_metrics.CONNECTIONS, crowd.connections)
        meters.put(flow_metrics.CONNECTIONS_LIMIT, crowd.most)
        for reason in flow_metrics.SHED:
            meters.put(flow_metrics.REFUSED, crowd.refused.get(reason, 0), reason)

    meters.before_reading(fill_in)


def measure_memory(meters: Meters, look: Callable[[], Waiting]) -> None:
    """Has the budget for bodies on their way looked up, those that wait for some of it too."""

    def fill_in() -> None:
        now = look()
        meters.put(flow_metrics.MEMORY, now.used)
        meters.put(flow_metrics.MEMORY_LIMIT, now.most)
        meters.put(flow_metrics.MEMORY_QUEUE, now.queued)
        meters.put(flow_metrics.MEMORY_WAITS, now.waits)
        meters.put(flow_metrics.MEMORY_SECONDS, now.seconds)
        meters.put(flow_metrics.REFUSED, now.full + now.late, flow_metrics.OF_MEMORY)

    meters.before_reading(fill_in)


def measure_waiting(meters: Meters, origin: str, look: Callable[[], Waiting]) -> None:
    """Has the requests to a store looked up, those that wait too."""

    def fill_in() -> None:
        now = look()
        for metric, value in (
            (flow_metrics.ORIGIN_CONNECTIONS, now.used),
            (flow_metrics.ORIGIN_CONNECTIONS_LIMIT, now.most),
            (flow_metrics.ORIGIN_QUEUE, now.queued),
            (flow_metrics.ORIGIN_QUEUE_WAITS, now.waits),
            (flow_metrics.ORIGIN_QUEUE_SECONDS, now.seconds),
        ):
            meters.put(metric, value, origin)
        meters.put(flow_metrics.ORIGIN_QUEUE_REFUSED, now.full, origin, "full")
        meters.put(flow_metrics.ORIGIN_QUEUE_REFUSED, now.late, origin, "late")

    meters.before_reading(fill_in)

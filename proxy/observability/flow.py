"""What is full, what waits and what is refused: numbers that others have, looked up before each
reading, so that they cost nothing otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxy.observability import metrics as names
from proxy.observability.meters import Meters
from proxy.origins.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients of one worker.

    Attributes:
        connections: those that are open, of `most` that may be.
        refused: what was refused since the start, by reason: see `metrics.SHED`.
    """

    connections: int = 0
    most: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


def measure_crowd(meters: Meters, look: Callable[[], Crowd]) -> None:
    """Has the connections with clients looked up."""

    def fill_in() -> None:
        crowd = look()
        meters.put(names.CONNECTIONS, crowd.connections)
        meters.put(names.CONNECTIONS_LIMIT, crowd.most)
        for reason in names.SHED:
            meters.put(names.REFUSED, crowd.refused.get(reason, 0), reason)

    meters.before_reading(fill_in)


def measure_waiting(meters: Meters, origin: str, look: Callable[[], Waiting]) -> None:
    """Has the requests to a store looked up, those that wait too."""

    def fill_in() -> None:
        now = look()
        for metric, value in (
            (names.ORIGIN_CONNECTIONS, now.used),
            (names.ORIGIN_CONNECTIONS_LIMIT, now.most),
            (names.ORIGIN_QUEUE, now.queued),
            (names.ORIGIN_QUEUE_WAITS, now.waits),
            (names.ORIGIN_QUEUE_SECONDS, now.seconds),
        ):
            meters.put(metric, value, origin)
        meters.put(names.ORIGIN_QUEUE_REFUSED, now.full, origin, "full")
        meters.put(names.ORIGIN_QUEUE_REFUSED, now.late, origin, "late")

    meters.before_reading(fill_in)

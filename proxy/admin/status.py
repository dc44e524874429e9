"""The numbers of the status page, and the transfers in flight.

Counters are told as they stand: whoever looks twice sees how fast they grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import as_json, only
from proxy.observability import cache_metrics, flow_metrics, process_metrics
from proxy.observability import metrics as names
from proxy.observability.fleet import Fleet, Reply
from proxy.observability.meters import Value, Values
from proxy.observability.metrics import Metric

# Seconds a worker may take; they only look it up.
_LOOK_UP = 1.0
# On the page; /transfers has more.
_SHOWN_TRANSFERS, _SHOWN_FAULTS = 50, 20


class Status:
    """The endpoints that tell what goes on now."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def transfers(self, request: Request) -> Response:
        """The responses in flight in all workers, the oldest of each first."""
        only(request, ())
        return as_json(_transfers(await self._fleet.ask("transfers", {}, _LOOK_UP)))

    async def status(self, request: Request) -> Response:
        """What the status page shows."""
        only(request, ())
        values, flying, faults = await asyncio.gather(
            self._fleet.metrics(),
            self._fleet.ask("transfers", {}, _LOOK_UP),
            self._fleet.ask("faults", {}, _LOOK_UP),
        )
        transfers = _transfers(flying)
        slowest = sorted(transfers["transfers"], key=lambda one: (not one["paused"], one["rate"]))
        return as_json(
            {
                "time": time(),
                "health": dict(self._fleet.health()),
                **digest(values),
                "transfers": slowest[:_SHOWN_TRANSFERS],
                "silent": transfers["silent"],
                "faults": _newest(faults),
            }
        )

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        """By path."""
        return {"/transfers": self.transfers, "/status.json": self.status}


def _transfers(replies: Sequence[Reply]) -> dict[str, Any]:
    known = [one for one in replies if not one.error]
    return {
        "count": sum(one.value["count"] for one in known),
        "transfers": [
            {**transfer, "worker": one.pid} for one in known for transfer in one.value["transfers"]
        ],
        "silent": [one.pid for one in replies if one.error],
    }


def _newest(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    faults = [fault for one in replies if not one.error for fault in one.value]
    return sorted(faults, key=lambda fault: -float(fault["time"]))[:_SHOWN_FAULTS]


def digest(values: Values) -> dict[str, Any]:
    """The sums that the page needs. Pure."""
    return {
        "requests": _by_label(values, names.REQUESTS, 1),
        "downloads": _by_label(values, names.DOWNLOADS, 0),
        "in_flight": _sum(values, names.IN_FLIGHT),
        "downloads_active": _sum(values, names.DOWNLOADS_ACTIVE),
        "sent_bytes": _sum(values, names.SENT_BYTES),
        "origin_bytes": _sum(values, names.ORIGIN_BYTES),
        "origin_errors": _by_label(values, names.ORIGIN_ERRORS, 0),
        "origin_up": _by_label(values, names.ORIGIN_UP, 0),
        "flow": {
            "connections": _sum(values, flow_metrics.CONNECTIONS),
            "connections_limit": _sum(values, flow_metrics.CONNECTIONS_LIMIT),
            "paused": _sum(values, flow_metrics.PAUSED),
            "refused": _sum(values, flow_metrics.REFUSED)
            + _sum(values, flow_metrics.ORIGIN_QUEUE_REFUSED),
            "queue": _by_label(values, flow_metrics.ORIGIN_QUEUE, 0),
        },
        "cache": {
            "answers": _by_label(values, names.CACHE_ANSWERS, 0),
            "bytes": _by_label(values, cache_metrics.BYTES, 0),
            "disk": _sum(values, cache_metrics.DISK_BYTES),
            "disk_limit": _sum(values, cache_metrics.DISK_LIMIT),
            "memory": _sum(values, cache_metrics.MEMORY) + _sum(values, cache_metrics.SHARED),
            "memory_limit": _sum(values, cache_metrics.MEMORY_LIMIT)
            + _sum(values, cache_metrics.SHARED_LIMIT),
            "resting": _by_label(values, cache_metrics.RESTING, 0),
        },
        "first_byte": {
            "bounds": list(names.FIRST_BYTE_SECONDS.buckets),
            "counts": _counts(values, names.FIRST_BYTE_SECONDS),
        },
        "processes": {
            "cpu_seconds": _by_label(values, process_metrics.CPU_SECONDS, 0),
            "memory": _by_label(values, process_metrics.RESIDENT_BYTES, 0),
            "lag": _by_label(values, process_metrics.LOOP_LAG_MAX, 0),
        },
    }


def _number(value: Value) -> float:
    return 0.0 if isinstance(value, list) else value


def _sum(values: Values, metric: Metric) -> float:
    return sum(_number(value) for _, value in values.get(metric.name, []))


def _by_label(values: Values, metric: Metric, position: int) -> dict[str, float]:
    sums: dict[str, float] = {}
    for labels, value in values.get(metric.name, []):
        sums[labels[position]] = sums.get(labels[position], 0) + _number(value)
    return sums


def _counts(values: Values, metric: Metric) -> list[float]:
    """A histogram's counts, all labels together, without its sum."""
    rows = [value for _, value in values.get(metric.name, []) if isinstance(value, list)]
    width = len(metric.buckets) + 1
    return [sum(row[at] for row in rows) for at in range(width)]

"""The numbers of the status page, and the transfers."""

from __future__ import annotations

from typing import Any

import httpx

from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.admin.status import digest
from proxy.observability import cache_metrics, flow_metrics
from proxy.observability import metrics as names
from proxy.observability.meters import Meters
from tests.admin.fleet import StubFleet


def transfer(target: str, rate: int, *, paused: bool = False) -> dict[str, Any]:
    return {"target": target, "rate": rate, "paused": paused, "sent": 1, "seconds": 1.0}


FLYING = {
    "count": 3,
    "transfers": [transfer("/fast", 9), transfer("/slow", 1), transfer("/stuck", 5, paused=True)],
}
FAULTS = [{"time": 1.0, "detail": "old"}, {"time": 2.0, "detail": "new"}]


async def ask(fleet: StubFleet, path: str) -> dict[str, Any]:
    transport = httpx.ASGITransport(make_admin(fleet, AdminOptions()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_transfers_of_all_workers() -> None:
    told = await ask(StubFleet(answers={"transfers": lambda _: FLYING}), "/transfers")
    assert (told["count"], told["silent"]) == (3, [])
    assert [(one["target"], one["worker"]) for one in told["transfers"]] == [
        ("/fast", 101),
        ("/slow", 101),
        ("/stuck", 101),
    ]


async def test_workers_that_are_silent_are_named() -> None:
    assert await ask(StubFleet(), "/transfers") == {"count": 0, "transfers": [], "silent": [101]}


async def test_the_status_has_the_slowest_first_and_the_newest_faults() -> None:
    fleet = StubFleet(answers={"transfers": lambda _: FLYING, "faults": lambda _: FAULTS})
    told = await ask(fleet, "/status.json")
    assert [one["target"] for one in told["transfers"]] == ["/stuck", "/slow", "/fast"]
    assert [one["detail"] for one in told["faults"]] == ["new", "old"]
    assert told["health"]["ready"]
    assert told["requests"] == {"2xx": 7}


def test_the_digest_adds_up() -> None:
    meters = Meters()
    for status in ("2xx", "4xx"):
        meters.observe(names.FIRST_BYTE_SECONDS, 0.02, status)
        meters.add(names.REQUESTS, 2, "GET", status, "1.1")
        meters.add(names.REQUESTS, 1, "HEAD", status, "2")
    meters.add(names.ORIGIN_BYTES, 5, "a")
    meters.add(names.ORIGIN_BYTES, 6, "b")
    told = digest(meters.read())
    assert told["requests"] == {"2xx": 3, "4xx": 3}
    assert told["origin_bytes"] == 11
    assert sum(told["first_byte"]["counts"]) == 2
    assert len(told["first_byte"]["counts"]) == len(told["first_byte"]["bounds"]) + 1
    assert digest({})["sent_bytes"] == 0


def test_the_digest_tells_of_the_cache() -> None:
    meters = Meters()
    meters.add(names.CACHE_ANSWERS, 3, "hit")
    meters.put(cache_metrics.DISK_BYTES, 7)
    meters.put(cache_metrics.RESTING, 1, "full")
    told = digest(meters.read())["cache"]
    assert told["answers"] == {"hit": 3}
    assert told["disk"] == 7
    assert told["resting"] == {"full": 1}
    assert digest({})["cache"]["memory_limit"] == 0


def test_the_digest_tells_what_waits_and_what_is_refused() -> None:
    meters = Meters()
    meters.put(flow_metrics.CONNECTIONS, 12)
    meters.put(flow_metrics.PAUSED, 2)
    meters.put(flow_metrics.REFUSED, 3, "connections")
    meters.put(flow_metrics.ORIGIN_QUEUE_REFUSED, 1, "media", "late")
    meters.put(flow_metrics.ORIGIN_QUEUE, 5, "media")
    told = digest(meters.read())["flow"]
    assert (told["connections"], told["paused"], told["refused"]) == (12, 2, 4)
    assert told["queue"] == {"media": 5}

"""The endpoints below /cache by themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from proxy.admin.app import make_admin
from proxy.admin.cache import MOST_KEYS, MOST_PURGES
from proxy.admin.options import AdminOptions
from proxy.observability import metrics as names
from proxy.observability.fleet import Arguments, Reply
from proxy.semantics.routing import Mount
from tests.admin.fleet import Answer, StubFleet

OPTIONS = AdminOptions(
    mounts=(Mount("/", "store"), Mount("/m/", "media"), Mount("/f/", "files")),
    cached=("store", "media"),
)
STATS = {"directory": "/d", "resting": "", "entries": 3, "disk_bytes": 10, "purges": 1}
ANSWERS: dict[str, Answer] = {
    "cache-stats": lambda _: STATS,
    "cache-purge": lambda _: {"objects": 1, "directory": "/d", "settled": True},
    "cache-sweep": lambda _: {"objects": 4, "slices": 5},
    "cache-scrub": lambda _: {"done": 256, "of": 256, "damaged": 1},
    "cache-warm": lambda _: {"done": 1, "of": 1, "listing": False, "faults": []},
    "cache-list": lambda _: {"objects": [], "truncated": False},
}


def client_of(fleet: StubFleet) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(make_admin(fleet, OPTIONS))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def post(path: str, body: object, fleet: StubFleet | None = None) -> httpx.Response:
    async with client_of(fleet or StubFleet(answers=ANSWERS)) as client:
        return await client.post(path, json=body)


async def asked_of(path: str, body: object, what: str) -> Arguments:
    """What the workers are asked."""
    fleet = StubFleet(answers=ANSWERS)
    answer = await post(path, body, fleet)
    assert answer.status_code == 200, answer.text
    return next(arguments for name, arguments, *_ in fleet.asked if name == what)


@pytest.mark.parametrize(
    ("body", "kind", "value", "origin", "soft"),
    [
        ({"kind": "key", "value": "/a"}, "key", "/a", "", False),
        ({"kind": "key", "value": "a", "origin": "media"}, "key", "a", "media", False),
        ({"kind": "prefix", "value": "a", "soft": True}, "prefix", "a", "", True),
        ({"kind": "tag", "value": "a b"}, "tag", "a b", "", False),
        ({"kind": "all"}, "prefix", "", "", False),
        ({"kind": "all", "origin": "media"}, "prefix", "", "media", False),
        ({"kind": "path", "value": "/m/a%20b"}, "key", "a b", "media", False),
        ({"kind": "path", "value": "/m/x/"}, "prefix", "x/", "media", False),
        ({"kind": "path", "value": "http://host/m/"}, "prefix", "", "media", False),
    ],
)
async def test_what_is_purged(
    body: dict[str, Any], kind: str, value: str, origin: str, soft: bool
) -> None:
    expected = {"kind": kind, "value": value, "origin": origin, "soft": soft}
    for what in ("cache-purge", "cache-sweep"):
        assert await asked_of("/cache/purge", body, what) == expected


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("purge", {"kind": "keys", "value": "a"}, 400, "kind: expected one of"),
        ("purge", {"kind": "key"}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": ""}, 400, "value: expected a text"),
        ("purge", {"kind": "prefix", "value": ""}, 400, "value: expected a text"),
        ("purge", {"kind": "all", "value": "a"}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": 1}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": "a\0"}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": "\ud800"}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": "a" * 4097}, 400, "value: expected a text"),
        ("purge", {"kind": "key", "value": "a", "soft": 1}, 400, "soft: expected true or false"),
        ("purge", {"kind": "key", "value": "a", "hard": True}, 400, "no member 'hard'"),
        ("purge", {"kind": "key", "value": "a", "origin": "files"}, 404, "no origin 'files'"),
        ("purge", {"kind": "path", "value": "a"}, 400, "expected a public path"),
        ("purge", {"kind": "path", "value": "/f/a"}, 404, "no origin 'files'"),
        ("purge", {"kind": "path", "value": "/%zz"}, 404, "is no address"),
        ("purge", ["kind"], 400, "must be a JSON object"),
        ("warm", {}, 400, "either keys or a prefix"),
        ("warm", {"keys": ["a"], "prefix": ""}, 400, "either keys or a prefix"),
        ("warm", {"keys": []}, 400, "a list of 1 to 1000"),
        ("warm", {"keys": ["/a"] * (MOST_KEYS + 1)}, 400, "a list of 1 to 1000"),
        ("warm", {"keys": ["/a", ""]}, 400, "a list of 1 to 1000"),
        ("warm", {"keys": [1]}, 400, "keys: expected texts"),
        ("warm", {"keys": "abc"}, 400, "a list of 1 to 1000"),
        ("warm", {"prefix": "a", "origin": "store"}, 400, "ends in a slash"),
        ("warm", {"keys": ["a"]}, 404, "say by --origin"),
        ("warm", {"keys": ["a"], "origin": "none"}, 404, "no origin 'none'"),
        ("scrub", {"deep": True}, 400, "there are none"),
    ],
)
async def test_mistakes_are_told_and_nobody_is_asked(
    path: str, body: object, status: int, said: str
) -> None:
    fleet = StubFleet(answers=ANSWERS)
    text = json.dumps(body).encode()
    async with client_of(fleet) as client:
        answer = await client.post(
            f"/cache/{path}", content=text, headers={"content-type": "application/json"}
        )
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert fleet.asked == []


async def test_what_is_warmed() -> None:
    body = {"keys": ["/a", "/m/b/", "/m/c"]}
    asked = await asked_of("/cache/warm", body, "cache-warm")
    assert asked["targets"] == [["store", "a"], ["media", "b/"], ["media", "c"]]
    asked = await asked_of("/cache/warm", {"keys": ["x"], "origin": "media"}, "cache-warm")
    assert asked["targets"] == [["media", "x"]]
    asked = await asked_of("/cache/warm", {"prefix": "/m/"}, "cache-warm")
    assert asked["targets"] == [["media", ""]]


async def test_a_purge_is_counted_when_it_is_complete() -> None:
    fleet = StubFleet(answers=ANSWERS)
    answer = await post("/cache/purge", {"kind": "all"}, fleet)
    told = answer.json()
    assert (told["complete"], told["objects"], told["slices"]) == (True, 4, 5)
    assert fleet.counted == {names.CACHE_PURGES.name: 1}


async def test_a_purge_that_can_not_be_is_no_success_and_says_where() -> None:
    answers = {**ANSWERS}
    del answers["cache-sweep"]
    fleet = StubFleet(answers=answers)
    answer = await post("/cache/purge", {"kind": "all"}, fleet)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["complete"]) == (503, False)
    assert told["detail"] == "The purge is not complete: /d: no answer in 1 s."
    assert fleet.counted == {}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ({}, 503, "No worker answered: worker-0 (101): no answer in 1 s."),
        ({"cache-stats": lambda _: None}, 404, "the configuration has no [cache]"),
        ({"cache-stats": lambda _: STATS}, 503, "No worker answered"),
    ],
)
async def test_nobody_to_ask(answers: dict[str, Answer], status: int, said: str) -> None:
    async with client_of(StubFleet(answers=answers)) as client:
        for answer in (
            await client.post("/cache/scrub", json={}),
            await client.get("/cache/objects"),
        ):
            assert answer.status_code == status
            assert said in answer.json()["detail"]


class TwoWorkers(StubFleet):
    """Without a directory each has its own slices."""

    def present(self) -> dict[int, str]:
        return {101: "ready", 102: "ready", 103: "draining"}

    async def ask(
        self, what: str, arguments: Arguments, seconds: float, worker: str = "", **_: object
    ) -> list[Reply]:
        self.asked.append((what, arguments, seconds, worker))
        pids = [int(worker)] if worker else list(self.present())
        return [Reply(pid, f"worker-{pid}", self._value(what, pid)) for pid in pids]

    def _value(self, what: str, pid: int) -> dict[str, Any]:
        if what == "cache-stats":
            return {**STATS, "directory": ""}
        one = {"origin": "o", "key": "a"}
        own = {"origin": "o", "key": str(pid)}
        return {"objects": [own, one], "truncated": False}


async def test_in_memory_only_all_that_stay_are_asked_and_told_as_one() -> None:
    fleet = TwoWorkers()
    async with client_of(fleet) as client:
        told = (await client.get("/cache/objects?limit=10")).json()
        assert [one["key"] for one in told["objects"]] == ["101", "102", "a"]
        assert [worker for what, *_, worker in fleet.asked if what == "cache-list"] == [
            "101",
            "102",
        ]
        told = (await client.get("/cache/objects?limit=2")).json()
        assert (len(told["objects"]), told["truncated"]) == (2, True)
        told = (await client.get("/cache")).json()
    assert told["total"]["entries"] == 9
    assert told["total"]["disk_bytes"] == 10, "they share the directory"
    assert [one["pid"] for one in told["workers"]] == [101, 102, 103]


class Slow(StubFleet):
    """Its workers answer when they are let."""

    def __init__(self) -> None:
        super().__init__(answers=ANSWERS)
        self.let = asyncio.Event()
        self.cancelled = 0

    async def ask(self, what: str, *arguments: Any, **more: Any) -> list[Reply]:  # noqa: ANN401
        if what in ("cache-scrub", "cache-warm", "cache-sweep"):
            try:
                await self.let.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().ask(what, *arguments, **more)


async def test_one_errand_at_a_time_and_purges_beside_it() -> None:
    fleet = Slow()
    async with client_of(fleet) as client, asyncio.TaskGroup() as group:
        scrubbing = group.create_task(client.post("/cache/scrub", json={}))
        await asyncio.sleep(0.05)
        answer = await client.post("/cache/warm", json={"keys": ["/a"]})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "10"
        body = {"kind": "key", "value": "a"}
        purges = [
            group.create_task(client.post("/cache/purge", json=body)) for _ in range(MOST_PURGES)
        ]
        await asyncio.sleep(0.05)
        assert (await client.post("/cache/purge", json=body)).status_code == 429
        fleet.let.set()
    assert scrubbing.result().status_code == 200
    assert {one.result().status_code for one in purges} == {200}
    async with client_of(fleet) as client:
        assert (await client.post("/cache/scrub", json={})).status_code == 200

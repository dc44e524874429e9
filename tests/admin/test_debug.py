"""Profiles, memory, tasks and stalls, over workers that answer at once or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from pyinstrument import Profiler

from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.observability.fleet import Arguments, Reply
from proxy.observability.profiling import summed_up
from tests.admin.fleet import StubFleet


def a_session() -> dict[str, Any]:
    profiler = Profiler(interval=0.0001, async_mode="disabled")
    with profiler:
        sum(len(str(number)) for number in range(20_000))
    assert profiler.last_session is not None
    return summed_up(profiler.last_session)


@pytest.fixture(scope="module")
def session() -> dict[str, Any]:
    return a_session()


def client_of(fleet: StubFleet) -> httpx.AsyncClient:
    app = make_admin(fleet, AdminOptions(debug="on"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def ask(fleet: StubFleet, target: str) -> httpx.Response:
    async with client_of(fleet) as client:
        return await client.get(target)


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("html", "text/html; charset=utf-8"),
        ("speedscope", "application/json"),
        ("text", "text/plain; charset=utf-8"),
    ],
)
async def test_a_profile_in_each_form(form: str, media_type: str, session: dict[str, Any]) -> None:
    fleet = StubFleet(answers={"profile": lambda _: session})
    answer = await ask(fleet, f"/debug/profile?seconds=3&format={form}&worker=101")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert "test_debug" in answer.text
    [(what, arguments, seconds, worker)] = fleet.asked
    assert (what, arguments, worker) == ("profile", {"seconds": 3}, "101")
    assert seconds > 3
    if form == "speedscope":
        assert json.loads(answer.text)["profiles"]
    if form == "html":
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_profiles_of_several_workers_are_one(session: dict[str, Any]) -> None:
    class Two(StubFleet):
        async def ask(
            self,
            what: str,
            arguments: Arguments,
            seconds: float,
            worker: str = "",
            **_: object,
        ) -> list[Reply]:
            silent = Reply(103, "worker-2", error="no answer in 1 s")
            return [Reply(101, "worker-0", session), Reply(102, "worker-1", session), silent]

    one = await ask(StubFleet(answers={"profile": lambda _: session}), "/debug/profile?format=text")
    two = await ask(Two(), "/debug/profile?format=text")

    def samples(answer: httpx.Response) -> int:
        return int(answer.text.partition("Samples:")[2].split()[0])

    assert samples(two) == 2 * samples(one)


@pytest.mark.parametrize(
    "query",
    ["seconds=3600", "seconds=0", "seconds=-1", "seconds=1.5", "seconds=", "format=pdf", "worker=0",
     "worker=all", "worker=99999999999", "secs=1", "seconds=1&seconds=2"],
)  # fmt: skip
async def test_what_cant_be_asked_is_told_at_once(query: str) -> None:
    fleet = StubFleet()
    answer = await ask(fleet, f"/debug/profile?{query}")
    assert answer.status_code == 400
    assert fleet.asked == []


@pytest.mark.parametrize("path", ["profile", "memory", "tasks", "stalls"])
async def test_no_such_worker_and_no_answer(path: str) -> None:
    assert (await ask(StubFleet(), f"/debug/{path}?worker=7")).status_code == 404
    answer = await ask(StubFleet(), f"/debug/{path}")
    assert answer.status_code == 503
    assert "worker-0 (101): no answer in 1 s" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["memory", "tasks", "stalls"])
async def test_answers_are_told_by_worker(path: str) -> None:
    answer = await ask(StubFleet(answers={path: lambda _: [1]}), f"/debug/{path}")
    assert answer.json() == {"workers": [{"pid": 101, "name": "worker-0", "value": [1]}]}


async def test_of_a_hundred_at_once_one_runs(session: dict[str, Any]) -> None:
    gate = asyncio.Event()

    class Slow(StubFleet):
        running = most = 0

        async def ask(
            self,
            what: str,
            arguments: Mapping[str, Any],
            seconds: float,
            worker: str = "",
            **_: object,
        ) -> list[Reply]:
            self.running += 1
            self.most = max(self.most, self.running)
            await gate.wait()
            self.running -= 1
            return [Reply(101, "worker-0", session if what == "profile" else [])]

    fleet = Slow()
    async with client_of(fleet) as client:
        targets = ["/debug/profile?format=text", "/debug/memory"] * 50
        asking = [asyncio.create_task(client.get(target)) for target in targets]
        await asyncio.sleep(0.2)
        gate.set()
        answers = await asyncio.gather(*asking)
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] + 99 * [429]
        assert fleet.most == 1
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["retry-after"]
        assert (await client.get("/debug/memory")).status_code == 200

"""Traces of the whole program: several workers, a real store, a collector that may misbehave."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.program import Headgate
from tests.origins.s3.fault_origin import BODY, CLOSE, Request, Step, fault_origin, good
from tests.servers.collector import Collector, Received

pytestmark = pytest.mark.servers

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = 2, 3


def telemetry(collector: str, more: str = "sample = 1.0") -> str:
    return f"""
        [telemetry]
        endpoint = "{collector}"
        service_name = "edge"
        {more}
        [telemetry.headers.authorization]
        value = "Bearer hunter2"
    """


def over_store(endpoint: str, tables: str) -> str:
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        [admin]
        bind = "127.0.0.1:0"
        [origins.media]
        type = "s3"
        endpoint = "{endpoint}"
        bucket = "media"
        access_key_id = "AKTEST"
        secret_access_key = "very-secret"
        [[mounts]]
        path = "/media/"
        origin = "media"
        [[rules]]
        path = "/media/*.bin"
        cache_control = "no-cache"
        {tables}
    """


def over_directory(root: Path, tables: str) -> str:
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        graceful_timeout = "1s"
        [admin]
        bind = "127.0.0.1:0"
        [origins.files]
        type = "directory"
        root = "{root}"
        {tables}
    """


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.txt").write_bytes(b"x" * 500)
    return tmp_path / "served"


def metric(program: Headgate, name: str) -> float:
    lines = httpx.get(f"{program.admin_url}/metrics", timeout=30).text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def access_line(program: Headgate, trace_id: str) -> dict[str, object]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in program.output().splitlines():
            if trace_id in line and "request_id" in line:
                record: dict[str, object] = json.loads(line)
                return record
        time.sleep(0.05)
    raise AssertionError("there is no such line")


async def test_a_trace_goes_from_the_client_to_the_store() -> None:
    cut: list[bool] = [True]

    def respond(request: Request) -> list[Step]:
        whole = good(request)
        if request.method == "GET" and cut:
            cut.pop()
            return [whole[:-1000], CLOSE]
        return [whole]

    async with fault_origin(respond) as store:
        with Collector() as collector:
            text = over_store(store.endpoint, f"[cache]\n{telemetry(collector.url)}")
            program = await asyncio.to_thread(Headgate, text)
            try:
                async with httpx.AsyncClient(timeout=30) as client:
                    answer = await client.get(
                        f"{program.url}/media/film.bin?X-Amz-Signature=hunter2",
                        headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"},
                    )
                assert answer.content == BODY
                await asyncio.to_thread(collector.wait_for, 5)
                line = await asyncio.to_thread(access_line, program, TRACE)
            finally:
                await asyncio.to_thread(program.stop)
    spans = [span for span in collector.spans if span.trace_id == TRACE]
    assert "hunter2" not in repr(spans)
    by_name = {name: [one for one in spans if one.name == name] for name in {s.name for s in spans}}
    [request] = by_name.pop("GET /media/")
    [fetch] = by_name.pop("cache fetch")
    [opened] = by_name.pop("open media")
    reads = by_name.pop("read media")
    assert not by_name
    assert (request.kind, request.parent_id, request.state) == (SERVER, PARENT, "a=1")
    assert fetch.parent_id == request.id
    assert {one.parent_id for one in (opened, *reads)} == {fetch.id}
    assert {one.kind for one in (opened, *reads)} == {CLIENT}
    assert [one.attributes["headgate.attempt"] for one in reads] == [1, 2]
    assert [one.error for one in reads] == [True, False]
    assert sum(int(str(one.attributes["headgate.bytes"])) for one in reads) == len(BODY)
    assert request.attributes["headgate.rule"] == "/media/*.bin"
    assert request.attributes["headgate.cache"] == "miss"
    assert request.resource["service.name"] == "edge"
    assert (line["trace_id"], line["parent_id"], line["span_id"]) == (TRACE, PARENT, request.id)
    asked = [one for one in store.requests if "film.bin" in one.target]
    assert [one.headers["traceparent"] for one in asked] == [
        f"00-{TRACE}-{one.id}-01" for one in (opened, reads[1])
    ]
    assert {one.headers["tracestate"] for one in asked} == {"a=1"}
    assert {one["authorization"] for one in collector.headers} == {"Bearer hunter2"}


async def test_without_traces_a_clients_goes_on_to_the_store() -> None:
    async with fault_origin() as store:
        program = await asyncio.to_thread(Headgate, over_store(store.endpoint, ""))
        try:
            async with httpx.AsyncClient(timeout=30) as client:
                said = f"00-{TRACE}-{PARENT}-00"
                for fields in ({"traceparent": said}, {"traceparent": "rubbish"}, {}):
                    await client.get(f"{program.url}/media/a", headers=fields)
        finally:
            await asyncio.to_thread(program.stop)
    asked = [one for one in store.requests if one.target.endswith("/a")]
    assert [one.headers.get("traceparent") for one in asked] == [said, None, None]


def test_answers_of_all_workers_are_traced_those_from_memory_too(root: Path) -> None:
    with (
        Collector() as collector,
        Headgate(over_directory(root, telemetry(collector.url))) as program,
    ):
        time.sleep(2.1)  # until the file is old enough to be kept in memory
        answers = [httpx.get(f"{program.url}/a.txt") for _ in range(40)]
        ids = {answer.headers["x-request-id"] for answer in answers}
        assert metric(program, "headgate_requests_hot_total") > 10
        program.stop()
        requests = traced(collector, ids)
    assert len(requests) == 40, "all, also those that were sent only when it stopped"
    assert {one.attributes["user_agent.original"] for one in requests} == {"python-httpx/0.28.1"}
    assert len({str(one.resource["service.instance.id"]) for one in requests}) == 2


def traced(collector: Collector, ids: set[str]) -> list[Received]:
    return [one for one in collector.spans if one.attributes.get("headgate.request_id") in ids]


def test_a_share_is_traced(root: Path) -> None:
    with Collector() as collector:
        text = over_directory(root, telemetry(collector.url, "sample = 0.25"))
        with Headgate(text) as program, httpx.Client() as client:
            for _ in range(600):
                assert client.get(f"{program.url}/a.txt").status_code == 200
            program.stop()
        requests = [one for one in collector.spans if one.name == "GET /"]
    assert 90 < len(requests) < 220


@pytest.mark.parametrize("what", ["hangs", "is gone", "fails"])
def test_a_collector_in_trouble_holds_nobody(what: str, root: Path) -> None:
    with Collector(hangs=what == "hangs", status=[503] * 999) as collector:
        url = collector.url
        if what == "is gone":
            collector.stop()
        text = over_directory(root, telemetry(url, 'sample = 1.0\ntimeout = "20s"'))
        with Headgate(text) as program, httpx.Client(timeout=10) as client:
            for _ in range(200):
                assert client.get(f"{program.url}/a.txt").status_code == 200
            begun = time.monotonic()
            assert program.stop() == 0
            assert time.monotonic() - begun < 12, "three seconds, and a machine that is busy"
            assert program.output().count("spans were dropped") <= 2, "a line for each worker"
            assert (what == "hangs") or "spans were dropped" in program.output()

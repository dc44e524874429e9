"""A budget of memory: who finds no room waits a moment, is refused politely, and nobody else is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.program import Headgate
from tests.server import talk

pytestmark = pytest.mark.servers

ROOM = 8  # large downloads at once
MIB = 1024 * 1024


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Headgate]:
    (tmp_path / "large.bin").write_bytes(os.urandom(MIB) * 64)
    (tmp_path / "half.bin").write_bytes(os.urandom(64 * 1024 + 1))
    with Headgate(f"""
        [server]
        bind = ["127.0.0.1:0"]
        [admin]
        bind = "127.0.0.1:0"
        [log]
        format = "json"
        [http]
        prepared = "0B"
        [flow]
        memory = "{ROOM * 128}KiB"
        queue = 2
        wait = "1s"
        [origins.files]
        type = "directory"
        root = "{tmp_path}"
    """) as running:
        yield running


@contextlib.contextmanager
def stopped(program: Headgate) -> Iterator[socket.socket]:
    """A download of which nothing but the beginning is read."""
    host, _, port = program.url.removeprefix("http://").rpartition(":")
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(30)
        one.connect((host, int(port)))
        one.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one.recv(12) == b"HTTP/1.1 200"
        yield one


def metrics(program: Headgate) -> dict[str, float]:
    lines = httpx.get(f"{program.admin_url}/metrics", timeout=30).text.splitlines()
    told = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in told}


def test_who_finds_no_room_is_refused_and_the_next_is_served(program: Headgate) -> None:
    with (
        contextlib.ExitStack() as readers,
        httpx.Client(base_url=program.url, timeout=30) as client,
    ):
        all_of_them = [readers.enter_context(stopped(program)) for _ in range(ROOM)]
        now = metrics(program)
        assert now["headgate_flow_memory_bytes"] == now["headgate_flow_memory_limit_bytes"] == MIB
        began = time.monotonic()
        refused = client.get("/large.bin")
        assert time.monotonic() - began > 0.9
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert "Try again soon" in refused.text
        assert client.head("/large.bin").status_code == 200
        all_of_them[0].close()
        assert client.get("/half.bin").status_code == 200
        now = metrics(program)
        assert now['headgate_refused_total{reason="memory"}'] >= 1
        assert now['headgate_downloads_total{outcome="refused"}'] >= 1
        assert now['headgate_downloads_total{outcome="origin_fault"}'] == 0
    program.stop()
    lines = [json.loads(line) for line in program.output().splitlines() if line.startswith("{")]
    told = [one for one in lines if one.get("status") == 503]
    assert {(one["outcome"], one["fault"]) for one in told} == {("refused", "Overloaded")}
    assert told[0]["detail"] == "no memory came free in 1 s"


def test_who_waits_is_served_when_there_is_room(program: Headgate) -> None:
    with (
        contextlib.ExitStack() as readers,
        httpx.Client(base_url=program.url, timeout=30) as client,
    ):
        all_of_them = [readers.enter_context(stopped(program)) for _ in range(ROOM)]
        leaving = threading.Timer(0.3, all_of_them[0].close)
        leaving.start()
        try:
            assert len(client.get("/large.bin").content) == 64 * MIB
        finally:
            leaving.join()
        assert metrics(program)["headgate_flow_queue_waits_total"] >= 1


async def test_beyond_the_queue_it_is_refused_at_once(program: Headgate) -> None:
    with contextlib.ExitStack() as readers:
        for _ in range(ROOM):
            readers.enter_context(stopped(program))
        async with talk.http2(int(program.url.rpartition(":")[2])) as client:
            streams = [client.request(b"/large.bin") for _ in range(6)]
            await client.over(*streams, seconds=30)
            assert [client.answers[one].status for one in streams] == [503] * 6
    program.stop()
    told = program.output()
    assert told.count("2 requests wait for memory already") >= 4

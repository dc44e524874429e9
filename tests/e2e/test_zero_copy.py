"""The whole program over a directory, whose files it lends to its server: the same bytes by every
way, and nothing wrong when files or clients go while they are sent."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.benchmarks.processes import descendants
from tests.e2e.program import Headgate

MIB = 2**20
BODY = random.Random(3).randbytes(3 * MIB + 5)
LARGE = 64 * MIB
LONG_AGO = 1_700_000_000

pytestmark = pytest.mark.servers


class World:
    def __init__(self, root: Path, program: Headgate, authority: Path) -> None:
        self.root, self.program = root, program
        self.trust = ssl.create_default_context(cafile=str(authority))

    @property
    def worker(self) -> int:
        return descendants(self.program.pid)[-1]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.worker}/fd"))

    def put(self, name: str, content: bytes = BODY) -> Path:
        path = self.root / name
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))  # what is younger is not lent
        return path

    def ask(self, target: str, *, buffer: int = 16 * 1024) -> socket.socket:
        """A connection whose answer nobody has read yet."""
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        one.settimeout(20)
        one.connect(("127.0.0.1", int(self.program.url.rpartition(":")[2])))
        one.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return one


def until_refused(program: Headgate) -> None:
    """Waits until it takes no connections any more: it has begun to drain."""
    deadline = time.monotonic() + 30
    with contextlib.suppress(OSError):
        while True:
            with socket.create_connection(("127.0.0.1", int(program.url.rpartition(":")[2])), 5):
                assert time.monotonic() < deadline
            time.sleep(0.02)


def rest_of(one: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := one.recv(MIB):
            got += piece
    return got.partition(b"\r\n\r\n")[2]


@contextlib.contextmanager
def running(directory: Path, patience: str = "20s") -> Iterator[World]:
    root = directory / "root"
    root.mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    chain, key, trusted = (directory / name for name in ("chain", "key", "trusted"))
    chain.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(trusted)
    configuration = f"""
[server]
bind = ["127.0.0.1:0"]
workers = 1
graceful_timeout = "{patience}"
stall_timeout = "2s"
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{chain}"
key = "{key}"
[admin]
bind = "127.0.0.1:0"
[log]
format = "json"
[origins.files]
type = "directory"
root = "{root}"
[[mounts]]
path = "/"
origin = "files"
"""
    with Headgate(configuration) as program:
        yield World(root, program, trusted)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("zero")) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("GET", {"range": "bytes=0-65535"}),
        ("GET", {"range": "bytes=7-2000000"}),
        ("GET", {"range": "bytes=-100000"}),
        ("GET", {"range": "bytes=0-99999,200000-2000000"}),
        ("GET", {"range": "bytes=99999999-"}),
        ("GET", {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        ("GET", {"if-unmodified-since": "Fri, 01 Jan 1990 00:00:00 GMT"}),
        ("GET", {"want-content-digest": "sha-256=1", "range": "bytes=0-2999999"}),
        ("GET", {"want-repr-digest": "sha-256=1"}),
    ],
)
def test_every_way_gives_the_same(world: World, method: str, fields: dict[str, str]) -> None:
    world.put("body")
    fresh = world.root / "fresh"  # read, not lent
    fresh.write_bytes(BODY)
    told = []
    asks: list[tuple[str, bool]] = [
        (world.program.url + "/fresh", False),
        (world.program.url + "/body", False),
        (world.program.tls_url + "/body", False),
        (world.program.tls_url + "/body", True),
    ]
    for url, http2 in asks:
        with httpx.Client(http1=not http2, http2=http2, verify=world.trust) as client:
            answer = client.request(method, url, headers=fields)
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        body = answer.content
        boundary = answer.headers.get("content-type", "").partition("boundary=")[2]
        if boundary:
            body = body.replace(boundary.encode(), b"boundary")
        body = b"" if answer.status_code >= 400 else body  # it names the request
        told.append((answer.status_code, body, answer.headers.get("content-range")))
    assert told[0] == told[1] == told[2] == told[3]
    if method == "GET" and not fields:
        assert told[0][1] == BODY


def test_requests_one_behind_the_other(world: World) -> None:
    world.put("body")
    parts = [(5, MIB), (100, 200), (2 * MIB, 3 * MIB), (0, len(BODY) - 1)]
    host, _, port = world.program.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as one, one.makefile("rb") as got:
        for start, last in parts:
            field = f"Range: bytes={start}-{last}"
            one.sendall(f"GET /body HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode())
        for start, last in parts:
            assert got.readline().startswith(b"HTTP/1.1 206")
            while got.readline() != b"\r\n":
                pass
            assert got.read(last + 1 - start) == BODY[start : last + 1]


def test_many_at_once_leave_no_descriptor(world: World) -> None:
    world.put("body")
    before = world.descriptors()
    bodies: list[bytes] = []

    def download() -> None:
        with world.ask("/body", buffer=MIB) as one:
            bodies.append(rest_of(one))

    threads = [threading.Thread(target=download) for _ in range(40)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert bodies == [BODY] * 40
    for _ in range(20):
        with world.ask("/body"):
            pass  # leaves at once
    deadline = time.monotonic() + 10
    while world.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert world.descriptors() <= before


def test_a_file_replaced_meanwhile_is_sent_to_its_end(world: World) -> None:
    content = random.Random(4).randbytes(LARGE)
    path = world.put("replaced", content)
    with world.ask("/replaced") as one:
        begin = one.recv(MIB)
        other = world.put("other", b"another")
        other.rename(path)
        assert (begin + rest_of_raw(one)).endswith(content)


def rest_of_raw(one: socket.socket) -> bytes:
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := one.recv(MIB):
            got += piece
    return bytes(got)


@pytest.mark.parametrize("how", ["cut", "grown", "overwritten"])
def test_a_file_written_to_meanwhile_breaks_off(world: World, how: str) -> None:
    path = world.put(how, bytes(LARGE))
    with world.ask("/" + how) as one:
        one.recv(1000)
        if how == "cut":
            os.truncate(path, LARGE // 2)
        else:
            with path.open("r+b") as file:
                file.seek(0 if how == "overwritten" else LARGE)
                file.write(b"x")
        assert len(rest_of_raw(one)) < LARGE
    written = world.program.wait_for(f'"target": "/{how}"')
    lines = [json.loads(line) for line in written.splitlines() if how in line]
    access = [line for line in lines if line.get("target") == "/" + how]
    assert [line["fault"] for line in access] == ["ObjectChanged"]
    assert access[0]["sent"] < LARGE


def test_what_the_kernel_still_holds_is_not_taken_for_sent(world: World) -> None:
    """It is the file's own memory, so that what is written to the file now is what it sends."""
    path = world.put("held", b"a" * 256 * 1024)
    with world.ask("/held") as one:
        one.recv(1, socket.MSG_PEEK)  # it has begun
        time.sleep(0.5)
        with path.open("r+b") as file:
            file.write(b"b" * 256 * 1024)
        assert len(rest_of(one)) < 256 * 1024


def test_a_reader_that_stops_is_given_up_and_a_slow_one_is_not(world: World) -> None:
    world.put("stalled", bytes(LARGE))
    begun = time.monotonic()
    with world.ask("/stalled") as stops, world.ask("/stalled") as slow:
        got = 0
        while time.monotonic() - begun < 6:  # three times what it may do nothing
            got += len(slow.recv(64 * 1024))
            time.sleep(0.05)
        got += len(rest_of_raw(slow))
        assert got > LARGE
        assert len(rest_of_raw(stops)) < LARGE
    written = world.program.wait_for('"target": "/stalled"', 2)
    lines = [json.loads(line) for line in written.splitlines() if "stalled" in line]
    assert sorted(line["outcome"] for line in lines if "outcome" in line) == [
        "client gone",
        "complete",
    ]


def test_what_was_sent_is_counted_and_labelled(tmp_path: Path) -> None:
    with running(tmp_path) as world:
        world.put("body")
        with world.ask("/body") as one:
            assert rest_of(one) == BODY
        scrape = httpx.get(world.program.admin_url + "/metrics").text
        written = world.program.wait_for('"target": "/body"')
        lines = [json.loads(line) for line in written.splitlines() if "/body" in line]
    [line] = [line for line in lines if line.get("target") == "/body"]
    assert (line["sent"], line["outcome"]) == (len(BODY), "complete")
    assert line["verification"] == "unverified: no checksum"
    values = dict(
        row.rsplit(" ", 1) for row in scrape.splitlines() if row and not row.startswith("#")
    )
    [read] = [v for k, v in values.items() if k.startswith("headgate_origin_bytes_total")]
    assert int(float(read)) == len(BODY)


@pytest.mark.parametrize("patience", ["20s", "0s"])
def test_a_drain_waits_for_it_as_long_as_it_may(tmp_path: Path, patience: str) -> None:
    with running(tmp_path, patience=patience) as world:
        world.put("drained", bytes(LARGE))
        with world.ask("/drained") as one:
            one.recv(1000)
            os.kill(world.program.pid, signal.SIGTERM)
            until_refused(world.program)
            time.sleep(0.5)
            received = len(rest_of_raw(one))
    assert (received > LARGE - 1000) == (patience != "0s")

"""HTTP/1.1 against a real worker, by raw bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.server import rig, talk
from tests.server.toy import slow_body

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with rig.served(tmp_path_factory.mktemp("toy")) as port:
        yield port


async def status(port: int, request: bytes) -> int:
    """The status of the answer, after which the server must close."""
    return int((await talk.http1(port, request)).split(b" ")[1])


async def test_an_answer_is_whole_and_the_connection_goes_on(port: int) -> None:
    async with talk.connected(port) as (reader, writer):
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"server:" not in head.lower()
            assert await reader.readexactly(5) == b"hello"


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    one = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /greeting HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await talk.http1(port, one % b"/x" + one % b"/slow?3,10" + last)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert slow_body(3) in answer


async def test_the_app_is_told_what_was_asked(port: int) -> None:
    request = b"GET /scope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    told = json.loads((await talk.http1(port, request)).partition(b"\r\n\r\n")[2])
    assert told == {
        "method": "GET",
        "version": "1.1",
        "spec": "2.4",
        "raw_path": "/scope",
        "scheme": "http",
        "host": ["a"],
    }


async def test_an_absolute_target_is_its_path_and_its_host_counts(port: int) -> None:
    request = b"GET http://b/scope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    told = json.loads((await talk.http1(port, request)).partition(b"\r\n\r\n")[2])
    assert (told["raw_path"], told["host"]) == ("/scope", ["b"])


@pytest.mark.parametrize(
    ("expected", "request_bytes"),
    [
        (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        (400, POST + b"Content-Length: +5\r\n\r\nhello"),
        (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (400, POST + b"a: b\r\n c: d\r\n\r\n"),
        (400, POST + b"a : b\r\n\r\n"),
        (400, POST + b"a: b\nc: d\r\n\r\n"),
        (400, POST + b"Host: b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a/?x=\r\n\r\n"),
        (400, b"GET /\r\n\r\n"),
        (414, b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET evil HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET @evil HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"\x00\x01\x02\r\n\r\n"),
        (501, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 200 + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\na: " + b"b" * 17_000 + b"\r\n\r\n"),
    ],
)  # fmt: skip
async def test_what_must_be_refused_is_and_the_connection_closed(
    port: int, expected: int, request_bytes: bytes
) -> None:
    smuggled = b"GET /greeting HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await talk.http1(port, request_bytes + smuggled)
    assert int(answer.split(b" ")[1]) == expected
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_method_in_lower_case_is_another_method(port: int) -> None:
    request = b"get / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert await status(port, request) == 405


async def test_upgrades_are_ignored(port: int) -> None:
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    answer = await talk.http1(port, upgrade)
    assert answer.startswith(b"HTTP/1.1 200")
    websocket = upgrade.replace(b"h2c", b"websocket")
    assert (await talk.http1(port, websocket)).startswith(b"HTTP/1.1 200")


async def test_a_connection_that_asked_for_an_upgrade_can_be_used_again(port: int) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET /greeting HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await talk.http1(port, upgrade + last)
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("path", [b"/fail", b"/short", b"/long"])
async def test_a_body_that_breaks_off_ends_the_connection_short(port: int, path: bytes) -> None:
    async with asyncio.timeout(30):
        answer = await talk.http1(port, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    body = answer.partition(b"\r\n\r\n")[2]
    assert len(body) in ({0, 1000} if path != b"/long" else {0})


async def test_a_chunked_body_that_breaks_off_has_no_last_chunk(port: int) -> None:
    answer = await talk.http1(port, b"GET /fail-chunked HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"x\r\n")


async def test_a_body_ended_by_the_connection_breaks_off_with_a_reset(port: int) -> None:
    with pytest.raises(ConnectionResetError):
        await talk.http1(port, b"GET /fail-chunked HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("path", [b"/fail-early", b"/inject"])
async def test_a_fault_before_the_head_is_a_plain_500(port: int, path: bytes) -> None:
    request = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await talk.http1(port, request)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"injected" not in answer


async def test_an_unread_request_body_does_not_block(port: int) -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    answer = await talk.http1(port, head + bytes(1_000_000))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"unread")


async def test_a_request_body_is_read_whole(port: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
    answer = await talk.http1(port, head + b"Connection: close\r\n\r\n" + bytes(1_000_000))
    assert b"\r\n\r\n1000000 " in answer


async def test_a_client_that_leaves_ends_a_body_that_never_waits(port: int) -> None:
    async with talk.connected(port) as (reader, writer):
        writer.write(b"GET /zeros?1099511627776 HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readexactly(100_000)
        writer.transport.abort()
    async with asyncio.timeout(30):
        while True:
            seen = json.loads(await talk.get(port, "/seen"))
            if "zeros: ConnectionResetError" in seen["seen"]:
                break
            await asyncio.sleep(0.05)


def discard(port: int, stop: threading.Event) -> None:
    """Reads an endless body as fast as the kernel can throw it away."""
    unused = bytearray(1 << 22)
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /zeros?1099511627776 HTTP/1.1\r\nHost: a\r\n\r\n")
        while not stop.is_set():
            reader.recv_into(unused, 0, socket.MSG_TRUNC)


async def test_fast_readers_leave_others_their_turn(port: int) -> None:
    stop = threading.Event()
    reading = [asyncio.create_task(asyncio.to_thread(discard, port, stop)) for _ in range(2)]
    try:
        for _ in range(5):
            assert await talk.get(port, "/x", seconds=10) == b"hello"
    finally:
        stop.set()
        await asyncio.gather(*reading)

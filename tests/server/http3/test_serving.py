"""HTTP/3 against a real worker: what its streams carry, and what ends them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket

import pytest

from proxy.server.http3.faults import ErrorCode
from tests.server import talk
from tests.server.http3.client import talking
from tests.server.http3.conftest import Doors
from tests.server.toy import slow_body

HEAD = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/x"),
]


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


async def test_the_scope_is_as_with_http2(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        told = json.loads((await client.get("/scope?%41")).body)
        assert told == {
            "method": "GET",
            "version": "3",
            "spec": "2.4",
            "raw_path": "/scope",
            "scheme": "https",
            "host": ["localhost"],
        }


async def test_many_streams_at_once_are_all_whole(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        streams = [client.request("/slow?20,1") for _ in range(20)]
        await client.over(*streams)
        assert all(client.answers[one].ended for one in streams)
        assert {bytes(client.answers[one].body) for one in streams} == {slow_body(20)}


async def test_a_client_with_small_windows_gets_all(doors: Doors) -> None:
    async with talking(doors.tls, window=4096) as client:
        answer = await client.get("/slow?40,0")
        assert bytes(answer.body) == slow_body(40)


async def test_head_and_trailers(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        head = await client.get("/zeros?262144", "HEAD")
        assert (head.status, head.headers[b"content-length"], head.size) == (200, b"262144", 0)
        for size in (0, 1, 200_000):
            answer = await client.get(f"/trailers?{size}")
            assert (answer.size, answer.trailers) == (size, {b"x-end": b"behind"})
        assert (await client.get("/trailers-forgotten")).reset == ErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize("path", ["/fail", "/fail-chunked", "/short", "/long"])
async def test_a_body_that_breaks_off_resets_its_stream_only(doors: Doors, path: str) -> None:
    async with talking(doors.tls) as client:
        sibling = client.request("/slow?50,10")
        broken = await client.get(path)
        assert (broken.ended, broken.reset) == (False, ErrorCode.INTERNAL_ERROR)
        await client.over(sibling)
        assert bytes(client.answers[sibling].body) == slow_body(50)


@pytest.mark.parametrize("path", ["/fail-early", "/inject"])
async def test_a_fault_before_the_head_is_a_plain_500(doors: Doors, path: str) -> None:
    async with talking(doors.tls) as client:
        answer = await client.get(path)
        assert (answer.status, answer.ended) == (500, True)


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (400, "@evil", []),
        (431, "/", [(b"a%d" % one, b"b") for one in range(200)]),
        (431, "/", [(b"a", b"b" * 17_000)]),
        (431, "/", [(b"a%d" % one, b"b" * 10_000) for one in range(9)]),
    ],
)
async def test_a_bad_head_is_refused_on_its_own_stream(
    doors: Doors, status: int, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    async with talking(doors.tls) as client:
        sibling = client.request("/slow?20,10")
        answer = await client.get(path, headers=headers)
        assert answer.status == status
        await client.over(sibling)
        assert client.answers[sibling].ended


async def test_connect_is_refused(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        stream = client.raw_request([(b":method", b"CONNECT"), (b":authority", b"a:1")], end=False)
        await client.over(stream)
        assert client.answers[stream].status == 501


@pytest.mark.parametrize(
    "headers",
    [
        HEAD[1:],
        HEAD[:3],
        [*HEAD, (b":path", b"/y")],
        [*HEAD[:3], (b"a", b"b"), HEAD[3]],
        [*HEAD, (b"Upper", b"case")],
        [*HEAD, (b"connection", b"close")],
        [*HEAD, (b"transfer-encoding", b"chunked")],
        [*HEAD, (b"te", b"gzip")],
        [*HEAD, (b"host", b"another")],
        [*HEAD, (b"a", b"b\r\nc: d")],
        [*HEAD, (b"a", b" b")],
        [*HEAD, (b"content-length", b"1"), (b"content-length", b"1")],
        [*HEAD, (b"content-length", b"5")],
    ],
)
async def test_a_malformed_request_hurts_its_own_stream_only(
    doors: Doors, headers: list[tuple[bytes, bytes]]
) -> None:
    async with talking(doors.tls) as client:
        sibling = client.request("/slow?20,10")
        stream = client.raw_request(headers)
        await client.over(stream, sibling)
        assert client.answers[stream].reset == ErrorCode.MESSAGE_ERROR
        assert client.answers[sibling].ended


async def test_a_body_is_read_with_its_windows(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        stream = client.request("/echo", "POST", [(b"content-length", b"300000")], end=False)
        client.http.send_data(stream, b"q" * 300_000, end_stream=True)
        client.transmit()
        await client.over(stream)
        assert bytes(client.answers[stream].body) == b"300000 %b" % digest(b"q" * 300_000)


async def test_an_unread_body_does_not_block_siblings(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        uploads = [client.request("/never", "POST", end=False) for _ in range(7)]
        for upload in uploads:
            client.http.send_data(upload, bytes(100_000), end_stream=False)
        client.transmit()
        assert (await client.get("/x")).body == b"hello"
        for upload in uploads:
            client.quic.reset_stream(upload, ErrorCode.REQUEST_CANCELLED)
        client.transmit()


async def test_a_body_nobody_wants_is_stopped(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        stream = client.request("/x", "POST", end=False)
        await client.until(lambda: client.answers[stream].stopped is not None)
        assert client.answers[stream].body == b"hello"
        assert client.answers[stream].stopped == ErrorCode.NO_ERROR


async def test_who_waits_for_a_100_gets_it(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        wanted = [(b"expect", b"100-continue"), (b"content-length", b"3")]
        stream = client.request("/echo", "POST", wanted, end=False)
        await client.until(lambda: bool(client.answers[stream].interim))
        client.http.send_data(stream, b"abc", end_stream=True)
        client.transmit()
        await client.over(stream)
        assert client.answers[stream].interim == [b"100"]
        assert bytes(client.answers[stream].body) == b"3 %b" % digest(b"abc")


@pytest.mark.parametrize("how", ["stop", "reset"])
async def test_a_client_that_gives_up_is_heard_of(doors: Doors, how: str) -> None:
    async with talking(doors.tls) as client:
        left = "zeros: ConnectionResetError"
        before = json.loads((await client.get("/seen")).body)["seen"].count(left)
        stream = client.request("/zeros?1073741824", end=how == "stop")
        await client.until(lambda: client.answers[stream].size > 0)
        if how == "stop":
            client.quic.stop_stream(stream, ErrorCode.REQUEST_CANCELLED)
        else:
            client.quic.reset_stream(stream, ErrorCode.REQUEST_CANCELLED)
        client.transmit()
        await client.over(stream)
        async with asyncio.timeout(30):
            while True:
                seen = json.loads((await client.get("/seen")).body)
                if seen["seen"].count(left) > before:
                    break
        assert client.answers[stream].reset == ErrorCode.REQUEST_CANCELLED


async def test_answers_over_tls_tell_of_http3_and_those_in_clear_do_not(doors: Doors) -> None:
    async with talking(doors.tls) as client:
        told = (await client.get("/x")).headers[b"alt-svc"]
    assert told == b'h3=":%d"; ma=86400' % doors.tls
    request = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert b"alt-svc" not in await talk.http1(doors.clear, request)


async def test_what_is_no_quic_is_dropped(doors: Doors) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("127.0.0.1", doors.tls))
        for size in (0, 1, 20, 1200, 1400):
            for first in (0x00, 0x40, 0x80, 0xC0, 0xFF):
                one.send(bytes((first,)) + bytes(size))
                one.send(bytes((first, 0, 0, 0, 1, 8)) + bytes(range(200)) * 6)
    async with talking(doors.tls) as client:
        assert (await client.get("/x")).body == b"hello"

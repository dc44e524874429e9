"""Fields behind the body, as ASGI's extension for them says; over the wire, HTTP/2 only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import h2.errors
import pytest

from tests.server import rig, talk

INTERNAL = int(h2.errors.ErrorCodes.INTERNAL_ERROR)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with rig.served(tmp_path_factory.mktemp("toy")) as port:
        yield port


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_536, 200_000])
async def test_they_come_behind_the_last_byte(port: int, size: int) -> None:
    async with talk.http2(port) as client:
        stream = client.request(f"/trailers?{size}")
        sibling = client.request("/trailers?70000")
        await client.over(stream, sibling)
        answer = client.answers[stream]
        assert (answer.headers[b"offered"], answer.ended, answer.reset) == (b"1", True, None)
        assert len(answer.body) == size
        assert answer.trailers == {b"x-end": b"behind"}
        assert client.answers[sibling].trailers == {b"x-end": b"behind"}


async def test_they_wait_for_a_closed_window(port: int) -> None:
    async with talk.http2(port, window=False) as client:
        stream = client.request("/trailers?65536")  # one byte more than the window
        async with asyncio.timeout(30):
            while len(client.answers[stream].body) < 65535:
                await client.read_some()
        assert not client.answers[stream].over
        client.connection.increment_flow_control_window(10)
        client.connection.increment_flow_control_window(10, stream)
        client.flush()
        await client.over(stream)
        assert client.answers[stream].ended
        assert client.answers[stream].trailers == {b"x-end": b"behind"}


@pytest.mark.parametrize("path", ["/trailers?10!", "/trailers-forgotten"])
async def test_a_response_without_its_trailers_is_broken(port: int, path: str) -> None:
    async with talk.http2(port) as client:
        stream = client.request(path)
        await client.over(stream)
        assert client.answers[stream].reset == INTERNAL
        assert not client.answers[stream].ended


async def test_an_answer_to_head_has_them_too(port: int) -> None:
    async with talk.http2(port) as client:
        stream = client.request("/trailers?10", "HEAD")
        await client.over(stream)
        assert client.answers[stream].body == b""
        assert client.answers[stream].trailers == {b"x-end": b"behind"}


async def test_http1_has_none(port: int) -> None:
    request = b"GET /trailers?10 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n"
    head, _, body = (await talk.http1(port, request)).partition(b"\r\n\r\n")
    assert b"offered: 0" in head.lower()
    assert body == bytes(10)

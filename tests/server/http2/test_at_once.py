"""HTTP/2 answers without a task: windows, backlog, idleness, in one process."""

from __future__ import annotations

import asyncio

import h2.settings
import pytest
from starlette.types import Receive, Scope, Send

from proxy.server.http2 import writing
from tests.server.http1.test_at_once import Ready
from tests.server.http2.driving import GET, headers
from tests.server.http2.serving import connected, until

HOT_FIELDS = (*GET[:3], (b":path", b"/hot"))
KINDS = (b"hot", b"cold")


async def cold(scope: Scope, receive: Receive, send: Send) -> None:
    body = bytes(int(scope["query_string"] or 4))
    fields = [(b"content-length", b"%d" % len(body)), (b"x-kind", b"cold")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def test_the_fields_of_an_answer() -> None:
    ready = Ready()
    async with connected(cold, hot=ready) as (side, client):
        stream = client.request("/hot")
        await client.over(stream)
        answer = client.answers[stream]
        assert list(answer.headers) == [
            *(b":status", b"x-request-id", b"content-length", b"x-kind", b"date")
        ]
        assert answer.headers[b"x-request-id"] == ready.ids[0]
        assert (answer.status, bytes(answer.body), answer.ended) == (200, b"hot", True)
        assert ready.told == [("192.0.2.1", "2", "")]
        assert (side.state.tally.running, side.state.tally.finished) == (0, 1)


async def test_hot_and_cold_side_by_side() -> None:
    async with connected(cold, hot=Ready()) as (side, client):
        streams = [client.request(f"/{'hot' if n % 3 else 'cold'}") for n in range(90)]
        await client.over(*streams)
        for number, stream in enumerate(streams):
            assert client.answers[stream].headers[b"x-kind"] == KINDS[number % 3 == 0]
            assert client.answers[stream].ended
        assert side.state.tally.finished == 90
        assert not side.protocols[0].connection.streams


async def test_head_has_no_body() -> None:
    async with connected(cold, hot=Ready()) as (_, client):
        stream = client.request("/hot", "HEAD")
        await client.over(stream)
        answer = client.answers[stream]
        assert (answer.headers[b"content-length"], bytes(answer.body)) == (b"3", b"")


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 40_000, 65536])
async def test_a_body_of_several_frames(size: int) -> None:
    body = bytes(range(256)) * 256
    ready = Ready(body=body[:size])
    async with connected(cold, hot=ready, window=False) as (_, client):
        client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
        client.connection.increment_flow_control_window(1 << 20)
        client.flush()
        stream = client.request("/hot")
        await client.over(stream)
        assert client.answers[stream].headers[b"x-kind"] == b"hot"
        assert bytes(client.answers[stream].body) == body[:size]


@pytest.mark.parametrize("which", ["stream", "connection"])
async def test_a_window_without_room_leaves_it_to_the_app(which: str) -> None:
    ready = Ready(body=bytes(4096))
    async with connected(cold, hot=ready, window=False) as (_, client):
        if which == "stream":
            client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 4095})
            client.flush()
        else:
            taken = client.request("/cold?61440")  # of 65535
            await client.over(taken)
        stream = client.request("/hot")
        await client.over(stream)
        assert client.answers[stream].headers[b"x-kind"] == b"cold"
        assert ready.told == []


async def test_windows_are_counted() -> None:
    ready = Ready(body=bytes(16384))
    async with connected(cold, hot=ready, window=False) as (side, client):
        streams = [client.request("/hot") for _ in range(3)]
        await client.over(*streams)
        assert len(ready.told) == 3
        assert side.protocols[0].connection.sender.outflow.size == 65535 - 3 * 16384
        last = client.request("/hot")
        await client.over(last)  # 16383 are left
        assert len(ready.told) == 3
        assert client.answers[last].headers[b"x-kind"] == b"cold"


async def test_a_request_with_a_body_is_left_to_the_app() -> None:
    ready = Ready()
    async with connected(cold, hot=ready) as (_, client):
        stream = client.request("/hot", end=False)
        client.connection.send_data(stream, b"abc", end_stream=True)
        client.flush()
        await client.over(stream)
        assert client.answers[stream].headers[b"x-kind"] == b"cold"
        assert ready.told == []


async def test_a_client_that_reads_nothing_is_not_written_to_without_end() -> None:
    ready = Ready(body=bytes(16384))
    async with connected(cold, hot=ready, window=False) as (side, client):
        window = 2**31 - 1 - 65535
        client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        client.connection.increment_flow_control_window(window)
        client.flush()
        numbers = range(1, 4001, 2)
        client.writer.write(b"".join(headers(number, HOT_FIELDS) for number in numbers))
        await until(lambda: side.protocols and side.protocols[0].paused)
        server = side.protocols[0]
        await asyncio.sleep(0.1)
        assert len(ready.told) < len(numbers)
        assert server.transport.get_write_buffer_size() < 8 * writing.WRITE


HOT_FIELDS = (
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"a"),
    (b":path", b"/hot"),
)


async def test_an_answer_counts_as_life() -> None:
    async with connected(cold, hot=Ready(), keep_alive_timeout=1.5) as (_, client):
        for _ in range(4):
            await asyncio.sleep(0.5)
            stream = client.request("/hot")
            await client.over(stream)
            assert client.answers[stream].ended
        await client.until_closed()
        assert client.goaways


async def test_after_the_goodbye_the_connection_ends() -> None:
    async with connected(cold, hot=Ready()) as (side, client):
        stream = client.request("/hot")
        await client.over(stream)
        side.protocols[0].begin_drain()
        late = client.request("/hot")
        await client.over(late)
        await client.until_closed()
        assert client.answers[late].ended

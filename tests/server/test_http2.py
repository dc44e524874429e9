"""HTTP/2 against a real worker: backpressure, broken bodies, frames that must not kill siblings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import h2.errors
import pytest
from hyperframe.frame import PriorityFrame

from tests.server import rig, talk

REFUSED = int(h2.errors.ErrorCodes.REFUSED_STREAM)
INTERNAL = int(h2.errors.ErrorCodes.INTERNAL_ERROR)
CALM = int(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with rig.served(tmp_path_factory.mktemp("toy")) as port:
        yield port


def resident(pid: int) -> int:
    """Bytes of memory a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_prior_knowledge_on_the_clear_port(port: int) -> None:
    async with talk.http2(port) as client:
        stream = client.request("/scope")
        await client.over(stream)
        told = json.loads(client.answers[stream].body)
        assert (told["version"], told["spec"], told["host"]) == ("2", "2.4", ["a"])
        assert b"server" not in client.answers[stream].headers


async def test_many_streams_at_once_are_all_whole(port: int) -> None:
    async with talk.http2(port) as client:
        streams = [client.request("/zeros?1048576") for _ in range(20)]
        await client.over(*streams, seconds=30)
        assert all(client.answers[one].ended for one in streams)
        assert {len(client.answers[one].body) for one in streams} == {1048576}


async def test_a_client_that_stops_reading_costs_no_memory(port: int) -> None:
    pid = int(await talk.get(port, "/pid"))
    before = resident(pid)
    async with talk.http2(port, window=False) as client:
        stream = client.request("/zeros?1073741824")
        async with asyncio.timeout(30):
            while len(client.answers[stream].body) < 65535:
                await client.read_some()
        await asyncio.sleep(2)
        assert resident(pid) - before < 20 << 20


@pytest.mark.parametrize("path", ["/fail", "/short", "/long"])
async def test_a_body_that_breaks_off_resets_its_stream_only(port: int, path: str) -> None:
    async with talk.http2(port) as client:
        sibling = client.request("/slow?150,20")
        broken = client.request(path)
        await client.over(broken)
        assert client.answers[broken].reset == INTERNAL
        assert not client.answers[broken].ended
        assert not client.answers[sibling].over
        await client.over(sibling)
        assert client.answers[sibling].ended
        assert len(client.answers[sibling].body) == 150 * 8192


@pytest.mark.parametrize("path", ["/fail-early", "/inject"])
async def test_a_fault_before_the_head_is_a_plain_500(port: int, path: str) -> None:
    async with talk.http2(port) as client:
        stream = client.request(path)
        await client.over(stream)
        assert client.answers[stream].status == 500
        assert client.answers[stream].ended


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (400, b"/\xff\xfe", []),
        (400, b"@evil", []),
        (431, b"/", [(b"a%d" % one, b"b") for one in range(200)]),
        (431, b"/", [(b"a", b"b" * 17_000)]),
    ],
)
async def test_a_bad_head_is_refused_on_its_own_stream(
    port: int, status: int, path: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    async with talk.http2(port) as client:
        sibling = client.request("/slow?20,10")
        stream = client.request(path, headers=headers)
        await client.over(stream, sibling)
        assert client.answers[stream].status == status
        assert client.answers[sibling].ended


async def test_connect_is_refused_on_its_own_stream(port: int) -> None:
    async with talk.http2(port) as client:
        sibling = client.request("/slow?20,10")
        plain = client.connection.get_next_available_stream_id()
        client.send(plain, [(b":method", b"CONNECT"), (b":authority", b"a:1")], end=False)
        await client.over(plain, sibling)
        assert client.answers[plain].status == 501
        assert client.answers[sibling].ended


async def test_more_header_bytes_than_announced_by_far_end_the_connection(port: int) -> None:
    async with talk.http2(port) as client:
        client.request("/", headers=[(b"a%d" % one, b"b" * 10_000) for one in range(6)])
        await client.until_closed()
        assert client.goaways == [CALM]


async def test_priority_frames_do_not_matter(port: int) -> None:
    async with talk.http2(port) as client:
        sibling = client.request("/slow?30,10")
        for one in range(400):
            frame = PriorityFrame(2 * one + 101, depends_on=0, stream_weight=3)
            client.writer.write(frame.serialize())
        await client.over(sibling)
        assert client.answers[sibling].ended


async def test_an_unread_request_body_does_not_block_siblings(port: int) -> None:
    async with talk.http2(port) as client:
        upload = client.request("/never", "POST", end=False)
        for _ in range(7):
            client.connection.send_data(upload, bytes(8192))
        client.flush()
        stream = client.request("/x")
        await client.over(stream)
        assert client.answers[stream].ended


async def test_what_comes_after_the_answer_does_not_harm(port: int) -> None:
    async with talk.http2(port) as client:
        upload = client.request("/x", "POST", end=False)
        await client.over(upload)
        assert client.answers[upload].status == 200
        sibling = client.request("/slow?20,10")
        client.writer.write(b"\x00\x00\x05\x00\x00" + upload.to_bytes(4, "big") + b"abcde")
        await client.over(sibling)
        assert client.answers[sibling].ended


async def test_many_unread_bodies_do_not_use_up_the_window(port: int) -> None:
    async with talk.http2(port) as client:
        for _ in range(5):
            async with asyncio.timeout(30):
                while client.connection.outbound_flow_control_window < 32_000:
                    await client.read_some()
            upload = client.request("/unread", "POST", end=False)
            client.connection.send_data(upload, bytes(16000))
            client.connection.send_data(upload, bytes(16000), end_stream=True)
            client.flush()
            await client.over(upload)
            assert client.answers[upload].status == 200
        upload = client.request("/echo", "POST", end=False)
        client.connection.send_data(upload, bytes(16000), end_stream=True)
        client.flush()
        await client.over(upload)
        assert client.answers[upload].body.startswith(b"16000 ")


async def test_a_request_body_larger_than_the_window_is_read_whole(port: int) -> None:
    async with talk.http2(port) as client:
        upload = client.request("/echo", "POST", end=False)
        left = 1_000_000
        async with asyncio.timeout(60):
            while left:
                room = min(client.connection.local_flow_control_window(upload), 16384, left)
                if room:
                    client.connection.send_data(upload, bytes(room), end_stream=room == left)
                    client.flush()
                    left -= room
                else:
                    await client.read_some()
        await client.over(upload)
        assert client.answers[upload].body.startswith(b"1000000 ")


async def test_no_more_handlers_than_streams_even_when_streams_are_reset(port: int) -> None:
    before = json.loads(await talk.get(port, "/seen"))["running"]
    async with talk.http2(port) as client:
        for _ in range(150):
            stream = client.request("/never")
            client.connection.reset_stream(stream)
            client.flush()
        last = client.request("/x")
        await client.over(last)
        answer = client.answers[last]
        assert answer.reset == REFUSED or answer.status == 200
    running = json.loads(await talk.get(port, "/seen"))["running"]
    assert running - before <= 101  # the one that asks runs too


async def test_a_flood_of_resets_ends_the_connection(port: int) -> None:
    async with talk.http2(port) as client:
        for _ in range(400):
            stream = client.request("/x")
            client.connection.reset_stream(stream)
        client.flush()
        await client.until_closed()
        assert client.goaways == [CALM]


async def test_a_flood_of_pings_ends_the_connection(port: int) -> None:
    async with talk.http2(port) as client:
        for _ in range(200):
            client.connection.ping(b"12345678")
        client.flush()
        await client.until_closed()
        assert client.goaways == [CALM]


async def test_a_connection_serves_more_than_a_thousand_requests(port: int) -> None:
    async with talk.http2(port) as client:
        long = client.request("/slow?100,20")
        for _ in range(30):
            streams = [client.request("/x") for _ in range(40)]
            await client.over(*streams)
        await client.over(long)
        assert client.answers[long].ended
        assert len(client.answers[long].body) == 100 * 8192
        assert client.goaways == []


async def test_a_client_that_resets_is_told_to_the_app(port: int) -> None:
    async def heard() -> int:
        seen: list[str] = json.loads(await talk.get(port, "/seen"))["seen"]
        return seen.count("zeros: ConnectionResetError")

    async with talk.http2(port) as client, asyncio.timeout(60):
        before = await heard()
        stream = client.request("/zeros?1099511627776")
        while len(client.answers[stream].body) < 100_000:
            await client.read_some()
        client.connection.reset_stream(stream)
        client.flush()
        while await heard() == before:
            await asyncio.sleep(0.02)


async def test_a_client_with_a_small_window_may_update_it_often(port: int) -> None:
    async with talk.http2(port, window=False) as client:
        size, seen = 48 << 20, 0
        stream = client.request(f"/zeros?{size}")
        async with asyncio.timeout(60):
            while not (client.closed or client.answers[stream].over):
                await client.read_some()
                body = client.answers[stream].body
                for _ in range(len(body) // 8192):  # one for each half frame: over 10,000
                    client.connection.increment_flow_control_window(8192)
                    if seen + len(body) < size:
                        client.connection.increment_flow_control_window(8192, stream)
                seen += len(body) // 8192 * 8192
                del body[: len(body) // 8192 * 8192]
                client.flush()
        assert client.answers[stream].ended
        assert client.goaways == []

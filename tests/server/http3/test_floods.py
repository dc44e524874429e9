"""What a client may send of frames that cost us more than it: each has a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.server.http3.faults import ErrorCode
from proxy.server.http3.frames import Kind, frame
from tests.server.http3.client import Client, talking
from tests.server.http3.conftest import Doors
from tests.server.http3.test_faults import HEAD


def reset(client: Client) -> None:
    stream = client.request("/never", end=False)
    client.quic.reset_stream(stream, ErrorCode.REQUEST_CANCELLED)


def stop(client: Client) -> None:
    stream = client.request("/never")
    client.quic.stop_stream(stream, ErrorCode.REQUEST_CANCELLED)


def malformed(client: Client) -> None:
    client.raw_stream(frame(Kind.HEADERS, b"\0\0\xd1"), end=True)


def too_large(client: Client) -> None:
    client.raw_stream(frame(Kind.HEADERS, b"\0\0" + b"\xd1" * 200), end=True)


def empty_data(client: Client) -> None:
    client.raw_stream(HEAD + frame(Kind.DATA, b"") * 5)


def unknown_frames(client: Client) -> None:
    client.quic.send_stream_data(2, b"\x21\x00" * 3)


def priorities(client: Client) -> None:
    client.quic.send_stream_data(2, frame(Kind.PRIORITY_UPDATE, b"\0u=1") * 5)


def unknown_streams(client: Client) -> None:
    client.raw_stream(b"\x21", one_way=True, end=True)


def pings(client: Client) -> None:
    for _ in range(20):
        client.quic.send_ping(1)
        client.transmit()


def windows(client: Client) -> None:
    connection: Any = client.quic
    for _ in range(20):
        connection._local_max_data.value += 1
        client.transmit()


def gaps(client: Client) -> None:
    """Single bytes of a stream, and none between them."""
    stream: Any = client.quic._streams[client.raw_stream(b"")]
    stream.sender.write(bytes(1000))
    for at in range(0, 1000, 2):
        stream.sender._pending.subtract(at, at + 1)


FLOODS: list[Callable[[Client], None]] = [
    reset, stop, malformed, too_large, empty_data, unknown_frames, priorities, unknown_streams,
    pings, windows, gaps,
]  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_ends_its_connection_and_no_other(
    doors: Doors, flood: Callable[[Client], None]
) -> None:
    async with talking(doors.tls) as other, talking(doors.tls) as client:
        sibling = other.request("/slow?100,20")
        for _ in range(3000):
            if client.closed is not None:
                break
            flood(client)
            client.transmit()
            await client.pause()
        assert await client.until_closed(10) == ErrorCode.EXCESSIVE_LOAD
        assert (await other.get("/x")).body == b"hello"
        await other.over(sibling)
        assert other.answers[sibling].ended

"""Messages over the control channel."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from proxy.server.control import Channel


async def test_messages_and_payloads_arrive_in_order() -> None:
    one, other = [await Channel.over(end) for end in socket.socketpair()]
    payload = bytes(range(256)) * 8192
    sending = asyncio.create_task(one.send({"is": "plan", "n": [1, "ä"]}, payload))
    assert await other.receive() == ({"is": "plan", "n": [1, "ä"]}, payload)
    await sending
    await other.send({"is": "ready"})
    assert await one.receive() == ({"is": "ready"}, b"")
    await one.aclose()
    assert await other.receive() is None
    await other.aclose()


async def test_an_end_in_the_middle_is_an_end() -> None:
    raw, end = socket.socketpair()
    channel = await Channel.over(end)
    raw.sendall(struct.pack("!II", 100, 0) + b"{")
    raw.close()
    assert await channel.receive() is None
    await channel.aclose()


async def test_a_message_beyond_all_bounds_is_not_read() -> None:
    raw, end = socket.socketpair()
    channel = await Channel.over(end)
    raw.sendall(struct.pack("!II", 1 << 30, 0))
    with pytest.raises(ValueError, match="control message"):
        await channel.receive()
    raw.close()
    await channel.aclose()

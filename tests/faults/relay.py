"""How the fault origin moves bytes: by sockets of its own, in large pieces, as fast as it is told.

A StreamReader copies each byte four times more; at 8 connections of 40 MB/s that was half of a
processor. Here a body is received into one buffer and sent from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.faults.acts import Head, head_of

PIECE = 256 * 1024
_LONGEST_HEAD = 64 * 1024
# What a sender that was late may make up for, in seconds: less would let each late wake-up of a
# busy processor lower the rate, more would be a burst that no slow connection has.
_MAKES_UP = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow every answer is.

    Attributes:
        delay: seconds from a request to the first byte of its answer, at the least.
        rate: bytes of the body per second on each connection, at the most; 0 is no limit.
    """

    delay: float = 0.0
    rate: float = 0.0


class Pacer:
    """When the next piece of one body may go out; `now` is in seconds of any clock."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._due = now

    def wait(self, sent: int, now: float) -> float:
        """Seconds to wait after `sent` more bytes went out by `now`."""
        if not self._rate:
            return 0.0
        self._due = max(self._due, now - _MAKES_UP) + sent / self._rate
        return max(0.0, self._due - now)

    async def pause(self, sent: int) -> None:
        """Waits so long."""
        if wait := self.wait(sent, time.monotonic()):
            await asyncio.sleep(wait)


class Answer:
    """The store's answer to one request."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = memoryview(b"")

    async def head(self) -> Head:
        """Its head. Raises ConnectionError when it breaks off or does not end."""
        loop, raw = asyncio.get_running_loop(), b""
        while (end := raw.find(b"\r\n\r\n")) < 0:
            piece = await loop.sock_recv(self._sock, _LONGEST_HEAD)
            raw += piece
            if not piece or len(raw) > 2 * _LONGEST_HEAD:
                raise ConnectionError("the store's answer has no whole head")
        self._ahead = memoryview(raw)[end + 4 :]
        return head_of(raw[: end + 4])

    async def read(self, into: memoryview) -> memoryview:
        """The next bytes of the body, at most as many as `into` has; none at its end."""
        if self._ahead:
            count = min(len(into), len(self._ahead))
            into[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return into[:count]
        return into[: await asyncio.get_running_loop().sock_recv_into(self._sock, into)]


@contextlib.asynccontextmanager
async def asked(port: int, request: bytes) -> AsyncIterator[Answer]:
    """Sends a request to the store, on a connection that is closed with the block."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, request)
        yield Answer(sock)


@contextlib.asynccontextmanager
async def sending(writer: asyncio.StreamWriter) -> AsyncIterator[socket.socket]:
    """The client's socket, once all that was written before is on its way.

    It is a second descriptor of the same connection, since the loop keeps the first to itself.
    """
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
        sock.setblocking(False)
        yield sock

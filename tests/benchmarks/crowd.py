"""Many downloads of one object at once, each checked as it comes, by a process of its own.

    python -m tests.benchmarks.crowd '{"url": "http://127.0.0.1:8080/a", ...}'

The argument is a `Crowd`, the answer on standard output a `Seen`, both as JSON. Clients join at
random moments; one more may be slow, comes first, and stays until all others are done. All of them
receive into the same buffer and keep a CRC64NVME each, so that a thousand take little memory and
about 0.2 s of processor time per GB.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import uvloop
from awscrt import checksums

from tests.benchmarks.processes import started_on
from tests.load import data

_BUFFER = memoryview(bytearray(256 * 1024))
_LONGEST_HEAD = 64 * 1024
_SIPS_PER_SECOND = 10
_SLOW_RECEIVE_BUFFER = 4096  # the kernel makes more of it, but no megabytes
_KEPT_FAULTS = 20
# Beside the limit: starting Python, and computing the object's checksum.
_PATIENCE = 120.0

End = Literal["right", "wrong", "failed", "unfinished"]


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is asked, by how many, and when.

    Attributes:
        url: of the object, whose bytes are `data.body(key, size)`.
        clients: how many there are beside the slow one.
        join: seconds over which they come.
        slow: bytes per second that the slow one takes; 0 is none.
        limit: seconds after which all who are not done are given up.
        seed: of the moments.
    """

    url: str
    key: str
    size: int
    clients: int
    join: float = 5.0
    slow: int = 0
    limit: float = 600.0
    seed: int = 1


@dataclass(slots=True)
class Seen:
    """What the clients saw, the slow one apart. Times are in seconds.

    Attributes:
        longest_wait: the longest that any of them had no byte, from its request on.
        faults: how often each thing went wrong; the first 20 kinds.
        slow_bytes: what the slow one took until it left; it is `slow_right` if these bytes are
            the object's, and `slow_cut` if it was the server that ended it.
    """

    right: int = 0
    wrong: int = 0
    failed: int = 0
    unfinished: int = 0
    received: int = 0
    seconds: float = 0.0
    median: float = 0.0
    slowest: float = 0.0
    longest_wait: float = 0.0
    slow_bytes: int = 0
    slow_right: bool = True
    slow_cut: bool = False
    faults: dict[str, int] = field(default_factory=dict)


class Download(asyncio.BufferedProtocol):
    """One client. `ended` is done when it is, and its times are then known."""

    def __init__(self, crowd: Crowd, expected: int, rate: int = 0) -> None:
        self._size, self._expected, self._rate = crowd.size, expected, rate
        self._target = urlsplit(crowd.url).path
        self._head = bytearray()
        self._in_body = False
        self._transport: asyncio.Transport
        self._last = 0.0
        self.crc = self.received = 0
        self.began = self.longest_wait = 0.0
        self.ended: asyncio.Future[tuple[End, str]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one by what it does, not by its class.
        self._transport = cast("asyncio.Transport", transport)
        self.began = self._last = time.monotonic()
        self._transport.write(f"GET {self._target} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER[: max(1, self._rate // _SIPS_PER_SECOND)] if self._rate else _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        now = time.monotonic()
        self.longest_wait = max(self.longest_wait, now - self._last)
        self._last = now
        piece = _BUFFER[:nbytes]
        if not self._in_body and not (piece := self._after_head(piece)):
            return
        self.crc = checksums.crc64nvme(piece, self.crc)
        self.received += len(piece)
        if self.received >= self._size:
            exact = self.received == self._size and self.crc == self._expected
            self.end("right" if exact else "wrong", f"{self.received} bytes, other than stored")
        elif self._rate:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(1 / _SIPS_PER_SECOND, self._go_on)

    def eof_received(self) -> None:
        self.end("failed", f"ended after {self.received} bytes of the body")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("failed", f"{exc!r} after {self.received} bytes of the body")

    def end(self, how: End, why: str) -> None:
        """Ends it, unless it has ended already."""
        if not self.ended.done():
            self._transport.abort()
            self.ended.set_result((how, why))

    def _go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _after_head(self, piece: memoryview) -> memoryview:
        """The part of the piece that is body; empty as long as the head is not whole."""
        begins = len(self._head)
        self._head += piece
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _LONGEST_HEAD:
                self.end("failed", "an endless head")
            return piece[:0]
        head = bytes(self._head[:end])
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if head.split(b" ", 2)[1] != b"200" or length is None or int(length[1]) != self._size:
            self.end("failed", head.split(b"\r\n", 1)[0][:200].decode("latin-1"))
            return piece[:0]
        self._in_body = True
        return piece[end + 4 - begins :]


def checksum(pieces: Iterator[bytes]) -> int:
    """The CRC64NVME of all pieces."""
    crc = 0
    for piece in pieces:
        crc = checksums.crc64nvme(piece, crc)
    return int(crc)


def prefix(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The first `count` bytes of them."""
    for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)


async def play(crowd: Crowd) -> Seen:
    """All clients, until the last is done or given up."""
    expected = checksum(data.body(crowd.key, crowd.size))
    chance = random.Random(crowd.seed)
    moments = sorted(chance.uniform(0, crowd.join) for _ in range(crowd.clients))
    seen, times = Seen(), list[float]()
    async with contextlib.AsyncExitStack() as stack:
        slow = await _connect(crowd, expected, crowd.slow) if crowd.slow else None
        began = time.monotonic()
        if slow is not None:
            stack.callback(slow.end, "unfinished", "")
        async with asyncio.TaskGroup() as group:
            for moment in moments:
                group.create_task(_one(crowd, expected, began + moment, seen, times))
        seen.seconds = time.monotonic() - began
        if slow is not None:
            _look_at_slow(crowd, slow, seen)
    if times:
        times.sort()
        seen.median, seen.slowest = times[len(times) // 2], times[-1]
    return seen


async def _one(crowd: Crowd, expected: int, joins: float, seen: Seen, times: list[float]) -> None:
    await asyncio.sleep(max(0.0, joins - time.monotonic()))
    end = joins + crowd.limit
    try:
        download = await _connect(crowd, expected)
    except OSError as fault:
        _note(seen, "failed", repr(fault))
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            await asyncio.shield(download.ended)
    download.end("unfinished", f"{download.received} bytes when it was given up")
    how, why = await download.ended
    _note(seen, how, why)
    seen.received += download.received
    seen.longest_wait = max(seen.longest_wait, download.longest_wait)
    if how == "right":
        times.append(time.monotonic() - download.began)


def _note(seen: Seen, how: End, why: str) -> None:
    setattr(seen, how, getattr(seen, how) + 1)
    if how != "right":
        _add_fault(seen, f"{how}: {why}")


def _add_fault(seen: Seen, fault: str) -> None:
    if fault in seen.faults or len(seen.faults) < _KEPT_FAULTS:
        seen.faults[fault] = seen.faults.get(fault, 0) + 1


def _look_at_slow(crowd: Crowd, slow: Download, seen: Seen) -> None:
    seen.slow_bytes = slow.received
    seen.slow_cut = slow.ended.done() and slow.received < crowd.size
    pieces = prefix(data.body(crowd.key, crowd.size), slow.received)
    seen.slow_right = checksum(pieces) == slow.crc
    if seen.slow_cut:
        _add_fault(seen, f"the slow one: {slow.ended.result()[1]}")


async def _connect(crowd: Crowd, expected: int, rate: int = 0) -> Download:
    """A client that has asked. Raises OSError."""
    url, loop = urlsplit(crowd.url), asyncio.get_running_loop()
    sock = socket.socket()
    try:
        sock.setblocking(False)
        if rate:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_RECEIVE_BUFFER)
        await loop.sock_connect(sock, (url.hostname, url.port))
        _, download = await loop.create_connection(
            lambda: Download(crowd, expected, rate), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return download


def run(crowd: Crowd, cpus: frozenset[int]) -> Seen:
    """Plays it in a process of its own on these processors. Raises CalledProcessError."""
    with started_on(cpus):
        done = subprocess.run(
            [sys.executable, "-m", __name__, json.dumps(asdict(crowd))],
            check=True,
            stdout=subprocess.PIPE,
            timeout=crowd.join + crowd.limit + _PATIENCE,
        )
    told: dict[str, Any] = json.loads(done.stdout)
    return Seen(**told)


if __name__ == "__main__":
    json.dump(asdict(uvloop.run(play(Crowd(**json.loads(sys.argv[1]))))), sys.stdout)

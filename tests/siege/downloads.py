"""Honest downloads of the large object, at a pace, each compared to its last byte."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from tests.server import talk
from tests.siege.objects import LARGE, MIB, block
from tests.siege.stage import Stage

_PIECE = 64 * 1024
# So that most of an object has to wait for its reader.
_RECEIVE_BUFFER = 64 * 1024
_PATIENCE = 60.0


@dataclass
class Ends:
    """How downloads ended: whole, wrong, short, broken, refused with a status, or unanswered; and
    of those that did not end whole, how and on which of our ports."""

    begun: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, int]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many were not whole."""
        return sum(self.ended.values()) - self.ended["whole"]

    def note(self, how: str, port: int) -> None:
        """One has ended."""
        self.ended[how] += 1
        if how != "whole":
            self.failures.append((how, port))


@functools.cache
def twice() -> bytes:
    """The block two times, so that a piece never lies across its end."""
    return 2 * block()


class Checking:
    """Compares a body with what it should be as it comes."""

    def __init__(self, size: int) -> None:
        self._size, self._at, self._right = size, 0, True

    def take(self, piece: bytes | bytearray) -> None:
        """The next bytes, a mebibyte at most."""
        at = self._at % MIB
        expected = twice()[at : at + len(piece)]
        self._right = self._right and expected == piece
        self._at += len(piece)

    @property
    def verdict(self) -> str:
        """What the body was."""
        if not self._right or self._at > self._size:
            return "wrong"
        return "whole" if self._at == self._size else "short"


def read_whole(stage: Stage) -> None:
    """Downloads the large object once, as fast as may be."""
    with urllib.request.urlopen(f"{stage.program.url}/{LARGE}", timeout=120) as answer:
        while answer.read(MIB):
            pass


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """A connection with little room on our side; its streams, and our port."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    one.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
    except BaseException:
        one.close()
        raise
    own = one.getsockname()[1]
    reader, writer = await asyncio.open_connection(sock=one, limit=_PIECE)
    return reader, writer, own


async def over_http1(port: int, size: int, seconds: float, ends: Ends) -> None:
    """One download that takes about so many seconds."""
    own = 0
    try:
        reader, writer, own = await connect(port)
    except OSError as error:
        ends.note(f"unanswered: {type(error).__name__}", own)
        return
    how = "unanswered"
    try:
        async with asyncio.timeout(_PATIENCE):
            writer.write(f"GET /{LARGE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                ends.note(f"refused: {head[9:12].decode()}", own)
                return
            ends.begun, how = ends.begun + 1, "broken"
            checking, began, received = Checking(size), time.monotonic(), 0
            while piece := await reader.read(_PIECE):
                checking.take(piece)
                received += len(piece)
                await asyncio.sleep(began + received * seconds / size - time.monotonic())
            ends.note(checking.verdict, own)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        ends.note(f"{how}: {type(error).__name__}", own)
    finally:
        writer.transport.abort()


async def over_http2(port: int, size: int, seconds: float, streams: int, ends: Ends) -> None:
    """So many downloads on one connection, that take about so many seconds."""
    reader, writer, own = await connect(port)
    client = talk.H2(reader, writer)
    numbers = [client.request(f"/{LARGE}") for _ in range(streams)]
    checks = {one: Checking(size) for one in numbers}
    began, received, pace = time.monotonic(), 0, size * streams / seconds
    ends.begun += streams
    try:
        async with asyncio.timeout(_PATIENCE):
            while not (client.closed or all(client.answers[one].over for one in numbers)):
                await client.read_some()
                for one, checking in checks.items():
                    received += len(client.answers[one].body)
                    checking.take(client.answers[one].body)
                    client.answers[one].body.clear()
                await asyncio.sleep(began + received / pace - time.monotonic())
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    for one, checking in checks.items():
        ends.note(checking.verdict if client.answers[one].ended else "broken", own)

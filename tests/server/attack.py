"""Attacks on HTTP/2 from a process of their own: `attack.py PORT NAME SECONDS` says how they ended.

Each opens connection after connection and floods it until it is told to stop. Loopback only, and
it ends by itself. Printed is JSON: how many connections, how long each lasted at most, and what
their GOAWAY said.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator

from proxy.server.http2 import frames
from tests.server.http2.driving import GET, POST, data, frame, headers, reset, settings, update

_BOMB = (*GET, *[(b"x%d" % one, b"y") for one in range(100)])


def _each(make: Callable[[int], bytes]) -> Iterator[bytes]:
    """Chunks of a hundred frames, on rising streams where the frame has one."""
    for start in range(0, 1 << 29, 100):
        yield b"".join(make(2 * one + 3) for one in range(start, start + 100))


def _continuation(_: int) -> bytes:
    return frame(frames.CONTINUATION, b"\0", 1)


FLOODS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "rapid reset": (b"", lambda one: headers(one) + reset(one)),
    "made you reset: increment": (b"", lambda one: headers(one) + update(one, 0)),
    "made you reset: window": (b"", lambda one: headers(one) + update(one, 2**31 - 1)),
    "made you reset: half-closed": (b"", lambda one: headers(one) + data(one, b"a")),
    "malformed": (b"", lambda one: headers(one, GET[1:])),
    "too many fields": (b"", lambda one: headers(one, (*_BOMB, *_BOMB[4:]))),
    "settings": (b"", lambda _: settings((4, 65535))),
    "pings": (b"", lambda _: frame(frames.PING, bytes(8))),
    "priorities": (b"", lambda one: frame(frames.PRIORITY, bytes(5), one)),
    "window updates": (b"", lambda _: update(0, 1)),
    "empty data": (headers(1, POST, end=False), lambda _: data(1, b"")),
    "continuation": (headers(1, whole=False), _continuation),
    "references": (b"", lambda one: frame(frames.HEADERS, b"\x82" * 2000, one, 5)),
}


def _told(connection: socket.socket) -> int | None:
    """What GOAWAY said, or None."""
    reader, said = frames.FrameReader(), None
    reader.feed(frames.PREFACE)
    while came := connection.recv(65536):
        reader.feed(came)
        while (one := reader.next()) is not None:
            said = frames.word_of(one.payload[4:]) if one.kind == frames.GOAWAY else said
    return said


def flood(port: int, name: str, until: float) -> tuple[float, int | None]:
    """One connection: how many seconds it lasted, and what it was told."""
    first, make = FLOODS[name]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        begun = time.monotonic()
        try:
            connection.sendall(frames.PREFACE + settings() + first)
            for chunk in _each(make):
                connection.setblocking(True)
                connection.sendall(chunk)
                connection.setblocking(False)
                try:
                    if connection.recv(1 << 20, socket.MSG_PEEK).find(b"\x07\0\0\0\0\0") >= 0:
                        break
                except BlockingIOError:
                    pass
                if time.monotonic() > until + 5:
                    break
        except OSError:
            pass
        lasted = time.monotonic() - begun
        connection.settimeout(10)
        try:
            return lasted, _told(connection)
        except OSError:
            return lasted, None


def main(port: int, name: str, seconds: float) -> None:
    """Floods for so many seconds."""
    until = time.monotonic() + seconds
    ends = []
    while time.monotonic() < until:
        ends.append(flood(port, name, until))
    said = [code for _, code in ends]
    print(
        json.dumps(
            {
                "connections": len(ends),
                "longest": max(lasted for lasted, _ in ends),
                "said": sorted({one for one in said if one is not None}),
                "silent": said.count(None),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))

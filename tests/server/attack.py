"""Attacks on HTTP/2 from a process of their own, which says how they ended.

    python -m tests.server.attack PORT NAME SECONDS [--connections N] [--units N]

Each opens connection after connection and floods it until it is told to stop; `--connections` are
flooded at the same time. It ends after so many seconds, or so many units (frames, or requests with
what undoes them). "nothing" takes the processors only. Loopback only. Printed is JSON: how many
connections and units, how long a connection lasted at most, and what their GOAWAY said.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from proxy.server.http2 import frames
from tests.server.http2.driving import (
    GET,
    POST,
    block,
    data,
    frame,
    headers,
    reset,
    settings,
    update,
)

_BOMB = (*GET, *[(b"x%d" % one, b"y") for one in range(100)])


_AT_ONCE = 100


def _each(make: Callable[[int], bytes]) -> Iterator[bytes]:
    """Chunks of a hundred frames, on rising streams where the frame has one."""
    for start in range(0, 1 << 29, _AT_ONCE):
        yield b"".join(make(2 * one + 3) for one in range(start, start + _AT_ONCE))


def _continuation(_: int) -> bytes:
    return frame(frames.CONTINUATION, b"\0", 1)


def _large_continuation(_: int) -> bytes:
    return frame(frames.CONTINUATION, bytes(16384), 1)


# A field of 3.9 KB goes into the table; from then on a byte in a block means all of it.
_PLANTED = frame(
    frames.HEADERS, block(GET) + block([(b"x", bytes(b"a" * 3900))], 0x40), 1, frames.END_HEADERS
)

OBJECT = (*GET[:3], (b":path", b"/large"))


def _by_hundreds(one: int) -> bytes:
    """A hundred streams are opened, and then reset, so that their handlers have begun."""
    turn, place = divmod((one - 3) // 2, _AT_ONCE)
    stream = 2 * (turn // 2 * _AT_ONCE + place) + 3
    return reset(stream) if turn % 2 else headers(stream, OBJECT)


def _increments(one: int) -> bytes:
    """The windows of a hundred streams grow by a byte each, and that of the connection."""
    return update(2 * ((one - 3) // 2 % _AT_ONCE) + 3, 1) + update(0, 1)


FLOODS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "rapid reset": (b"", lambda one: headers(one) + reset(one)),
    "rapid reset of an object": (b"", lambda one: headers(one, OBJECT) + reset(one)),
    "rapid reset by hundreds": (b"", _by_hundreds),
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
    "large continuation": (headers(1, whole=False), _large_continuation),
    "references": (b"", lambda one: frame(frames.HEADERS, b"\x82" * 2000, one, 5)),
    "tiny windows": (settings((4, 1)), lambda one: headers(one, OBJECT)),
    "tiny increments": (
        settings((4, 1)) + b"".join(headers(2 * one + 3, OBJECT) for one in range(_AT_ONCE)),
        _increments,
    ),
    "hpack bomb": (_PLANTED, lambda one: frame(frames.HEADERS, b"\xbe" * 4000, one, 5)),
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


# No flood: as much work for the attacker, and nothing that is sent.
NOTHING = "nothing"


def _burn(until: float) -> None:
    chunks = _each(FLOODS["references"][1])
    while time.monotonic() < until:
        next(chunks)


@dataclass
class Flooded:
    """What came of some connections: codes of GOAWAY (None: there was none), and the seconds that
    one lasted at most."""

    connections: int = 0
    units: int = 0
    longest: float = 0.0
    said: list[int | None] = field(default_factory=list)


def flood(port: int, name: str, until: float, flooded: Flooded) -> None:
    """One connection, until it is told to stop."""
    first, make = FLOODS[name]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        flooded.connections += 1
        begun = time.monotonic()
        try:
            connection.sendall(frames.PREFACE + settings() + first)
            for chunk in _each(make):
                connection.setblocking(True)
                connection.sendall(chunk)
                flooded.units += _AT_ONCE
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
        flooded.longest = max(flooded.longest, time.monotonic() - begun)
        connection.settimeout(10)
        try:
            flooded.said.append(_told(connection))
        except OSError:
            flooded.said.append(None)


def attack(port: int, name: str, seconds: float, connections: int, units: int) -> Flooded:
    """Floods for so many seconds, or until so many units are sent (0: as many as there is time);
    each connection once at least."""
    until, flooded = time.monotonic() + seconds, Flooded()

    def go_on() -> None:
        if name == NOTHING:
            _burn(until)
            return
        flood(port, name, until, flooded)
        while time.monotonic() < until and not 0 < units <= flooded.units:
            flood(port, name, until, flooded)

    with ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(go_on) for _ in range(connections)]:
            done.result()
    return flooded


def main() -> None:
    """Attacks as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("name", choices=[*FLOODS, NOTHING])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--units", type=int, default=0)
    told = parser.parse_args()
    flooded = attack(told.port, told.name, told.seconds, told.connections, told.units)
    said = {one for one in flooded.said if one is not None}
    shown = {**asdict(flooded), "said": sorted(said), "silent": flooded.said.count(None)}
    print(json.dumps(shown))


if __name__ == "__main__":
    main()

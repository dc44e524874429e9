"""Readers that ask for a large object and stop, in a process of their own.

    python -m tests.siege.readers PORT http1|full|shut COUNT [tls]

`http1` has a connection each. The others share HTTP/2 connections, fifty streams on one: `full`
offers all the window there can be, so that it is the socket that is full; `shut` offers none. Each
takes one byte, so that its answer has begun. It says so when all have, and leaves when its standard
input ends.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from proxy.server.descriptors import raise_limit
from proxy.server.http2 import frames
from tests.server.http2.driving import GET, headers, settings, update
from tests.siege.objects import LARGE, ROOT

STREAMS = 50
# So that what the kernel takes on our side is no part of what is asked; twice as much is what it
# has. It takes more long after we have stopped, when a segment that it dropped for want of room
# comes again: with this it is always less than the 32 KiB by which a server knows a slow reader.
_RECEIVE_BUFFER = 16 * 1024
# Connections that ask before the first of them is heard: the sooner all have stopped, the better.
_AT_ONCE = 8
_HTTP1 = f"GET /{LARGE} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
_LARGEST = 2**31 - 1
_WINDOW = 4  # SETTINGS_INITIAL_WINDOW_SIZE


@contextmanager
def stopped(port: int, counts: Sequence[tuple[str, int]], *, tls: bool) -> Iterator[None]:
    """So many of each kind have stopped, until the block has ended."""
    more = ["tls"] if tls else []
    commands = [
        [sys.executable, "-m", "tests.siege.readers", str(port), how, str(count), *more]
        for how, count in counts
    ]
    running = [
        subprocess.Popen(one, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for one in commands
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == b"stopped\n"
        yield
    finally:
        for one in running:
            one.communicate(timeout=30)


def _http2(window: int, streams: int) -> bytes:
    fields = (*GET[:3], (b":path", f"/{LARGE}".encode()))
    opened = [headers(2 * number + 1, fields) for number in range(streams)]
    widened = update(0, _LARGEST - 65535)
    return b"".join((frames.PREFACE, settings((_WINDOW, window)), widened, *opened))


def _connect(port: int, protocol: str, *, tls: bool) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    one.settimeout(60)
    one.connect(("127.0.0.1", port))
    if not tls:
        return one
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(one)


def _begin(port: int, how: str, streams: int, *, tls: bool) -> socket.socket:
    one = _connect(port, "http/1.1" if how == "http1" else "h2", tls=tls)
    window = _LARGEST if how == "full" else 0
    one.sendall(_HTTP1 if how == "http1" else _http2(window, streams))
    return one


def main(port: int, how: str, count: int, *, tls: bool) -> None:
    """Opens them all, says so, and waits."""
    raise_limit()
    held: list[socket.socket] = []
    each = 1 if how == "http1" else STREAMS
    for done in range(0, count, each * _AT_ONCE):
        begun = [
            _begin(port, how, min(STREAMS, count - first), tls=tls)
            for first in range(done, min(done + each * _AT_ONCE, count), each)
        ]
        assert all(one.recv(1) for one in begun)
        held += begun
    print("stopped", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), tls="tls" in sys.argv[4:])

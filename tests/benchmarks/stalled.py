"""User memory of Headgate for each client that asks for a large file and then does not read.

    .venv/bin/python -m tests.benchmarks.stalled [--clients N] [--old DIRECTORY]

Over HTTP/1.1 and HTTP/2, each in clear and with TLS, from a directory. The clients read `--first`
bytes (none unless given) and stop. HTTP/2 clients offer windows so large that it is the socket
that is full, or ("64 KiB") the usual window that is never opened again. Only user memory is
counted, not what the kernel holds of each connection. `--old` names a checkout whose `proxy`
package is measured in place of this one.
"""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import hpack

from tests.benchmarks.beside import configuration, files_and_keys
from tests.benchmarks.processes import resident
from tests.e2e.program import Headgate

KIB, MIB = 1024, 1024 * 1024
_SIZE = 64 * MIB
_SETTLED_AFTER = 3.0
_HTTP1 = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
_LARGEST_WINDOW = 2**31 - 1


def _http2(window: int) -> bytes:
    """All that a client says which asks for one file."""
    block = hpack.Encoder().encode(
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/large")]
    )
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _frame(4, 0, 0, (4).to_bytes(2, "big") + window.to_bytes(4, "big")),
            _frame(8, 0, 0, (_LARGEST_WINDOW - 65535).to_bytes(4, "big")),
            _frame(1, 0x5, 1, block),
        )
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


_WAYS: dict[str, tuple[bytes, bool, str]] = {
    "HTTP/1.1": (_HTTP1, False, ""),
    "HTTP/1.1, TLS": (_HTTP1, True, "http/1.1"),
    "HTTP/2": (_http2(_LARGEST_WINDOW), False, ""),
    "HTTP/2, TLS": (_http2(_LARGEST_WINDOW), True, "h2"),
    "HTTP/2, TLS, 64 KiB": (_http2(65535), True, "h2"),
}


def main() -> None:
    """Prints KiB for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="KiB that are read before")
    parser.add_argument("--old", type=Path, help="a checkout of an older tree")
    arguments = parser.parse_args()
    older = {"PYTHONPATH": str(arguments.old)} if arguments.old else {}
    print("| way | KiB of user memory for a client that does not read |\n| --- | --- |")
    ways = {way: how for way, how in _WAYS.items() if not (arguments.first and "64 KiB" in way)}
    for way, (request, secure, protocol) in ways.items():
        with ExitStack() as stack:
            files, keys = _prepared(stack)
            ours = stack.enter_context(Headgate(configuration(files, keys, "/"), environment=older))
            url = ours.tls_url if secure else ours.url
            wrap = _wrap(protocol) if secure else _plain
            port = int(url.rpartition(":")[2])

            def stall(count: int, port: int = port, wrap: Wrap = wrap) -> list[socket.socket]:
                return [_ask(port, wrap, request, arguments.first * KIB) for _ in range(count)]  # noqa: B023

            for one in stall(20):  # what the first few make is not theirs
                stack.enter_context(one)
            time.sleep(_SETTLED_AFTER)
            before = resident(ours.pid)
            for one in stall(arguments.clients):
                stack.enter_context(one)
            time.sleep(_SETTLED_AFTER)
            held = (resident(ours.pid) - before) / arguments.clients / KIB
            print(f"| {way} | {held:.0f} |", flush=True)


Wrap = Callable[[socket.socket], socket.socket]


def _plain(one: socket.socket) -> socket.socket:
    return one


def _wrap(protocol: str) -> Wrap:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket


def _ask(port: int, wrap: Wrap, request: bytes, first: int) -> socket.socket:
    one = wrap(socket.create_connection(("127.0.0.1", port), timeout=10))
    one.sendall(request)
    while first > 0:
        first -= len(one.recv(min(first, 64 * KIB)))
    return one


def _prepared(stack: ExitStack) -> tuple[Path, Path]:
    files, keys = files_and_keys(stack)
    (files / "large").write_bytes(os.urandom(MIB) * (_SIZE // MIB))
    os.utime(files / "large", (1_700_000_000, 1_700_000_000))
    return files, keys


if __name__ == "__main__":
    main()

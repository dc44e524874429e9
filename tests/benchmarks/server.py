"""The HTTP/1.1 server beside nginx, and beside an older tree of ours, in one run.

    .venv/bin/python -m tests.benchmarks.server [--rounds N] [--old DIRECTORY] [--size MIB]

1 KiB through the whole application (32 connections, wrk), and a large file of a directory (one
connection, curl), each in clear and with TLS. `--old` names a checkout whose `proxy` package is
measured too. nginx serves the files itself, with sendfile.
"""

from __future__ import annotations

import subprocess

from tests.benchmarks.beside import SECONDS, Server, run
from tests.benchmarks.processes import cpu_of_ended
from tests.benchmarks.tools import wrk

CONNECTIONS = 32


def main() -> None:
    """Runs the rounds and prints a table."""
    run(__doc__, ask, rounds=5, size=1024, http2=False)


def ask(server: Server, size: int) -> None:
    """All questions once."""
    small(server, "1 KiB", server.clear)
    small(server, "1 KiB TLS", server.tls)
    large(server, "large", server.clear, size)
    large(server, "large TLS", server.tls, size)


def small(server: Server, kind: str, url: str) -> None:
    """Requests a second of 1 KiB, and the processor time of each."""
    before = server.cpu()
    asked = wrk(f"{url}/small", connections=CONNECTIONS, seconds=SECONDS)
    server.note(f"{kind}, req/s", asked.per_second)
    server.note(f"{kind}, CPU µs", (server.cpu() - before) / asked.requests * 1e6)


def large(server: Server, kind: str, url: str, size: int) -> None:
    """MB/s, and seconds of processor time per GB, of the server and of both ends."""
    before, clients = server.cpu(), cpu_of_ended()
    said = subprocess.run(
        ["curl", "-sSk", "--fail", "-o", "/dev/null", "-w",
         "%{size_download} %{speed_download}", "--http1.1", f"{url}/large"],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout.split()  # fmt: skip
    if int(said[0]) != size:
        raise RuntimeError(f"{server.name}: {said[0]} bytes instead of {size}")
    server.note(f"{kind}, MB/s", float(said[1]) / 1e6)
    cost, clients = server.cpu() - before, cpu_of_ended() - clients
    server.note(f"{kind}, CPU s/GB", cost / (size / 1e9))
    server.note(f"{kind}, CPU s/GB, both ends", (cost + clients) / (size / 1e9))


if __name__ == "__main__":
    main()

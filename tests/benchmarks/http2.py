"""HTTP/2 over TLS beside nginx, and beside an older tree of ours, in one run.

    .venv/bin/python -m tests.benchmarks.http2 [--rounds N] [--old DIRECTORY] [--size MIB]

1 KiB through the whole application (8 connections with 8 streams each, h2load), and a large file of
a directory on one stream: with windows of 1 GiB, and with the 64 KiB that clients have unless they
say more. `--old` names a checkout whose `proxy` package is measured too. nginx serves the files
itself.
"""

from __future__ import annotations

import re
import subprocess

from tests.benchmarks.beside import SECONDS, Server, run
from tests.benchmarks.processes import cpu_of_ended
from tests.benchmarks.tools import Failed, h2load

CONNECTIONS, STREAMS = 8, 8
LARGE_WINDOW, SMALL_WINDOW = 30, 16  # bits


def main() -> None:
    """Runs the rounds and prints a table."""
    run(__doc__, ask, rounds=5, size=256, http2=True)


def ask(server: Server, size: int) -> None:
    """All questions once."""
    small(server)
    large(server, "large", size, LARGE_WINDOW)
    large(server, "large, 64 KiB window", size, SMALL_WINDOW)


def small(server: Server) -> None:
    """Requests a second of 1 KiB, and microseconds of processor time for each."""
    before = server.cpu()
    url = f"{server.tls}/small"
    asked = h2load(url, connections=CONNECTIONS, streams=STREAMS, seconds=SECONDS)
    server.note("1 KiB, req/s", asked.per_second)
    server.note("1 KiB, CPU µs", (server.cpu() - before) / asked.requests * 1e6)


def large(server: Server, kind: str, size: int, window: int) -> None:
    """MB/s, and seconds of processor time per GB, of the server and of both ends."""
    before, clients = server.cpu(), cpu_of_ended()
    command = ["h2load", "-t1", "-c1", "-m1", "-n1", f"-w{window}", f"-W{window}"]
    said = subprocess.run(
        [*command, f"{server.tls}/large"], check=True, capture_output=True, text=True, timeout=300
    ).stdout
    took = re.search(r"finished in ([\d.]+)(m?s)", said)
    received = re.search(r"\((\d+)\) data", said)
    if took is None or received is None or int(received[1]) != size:
        raise Failed(said)
    seconds = float(took[1]) / (1000 if took[2] == "ms" else 1)
    server.note(f"{kind}, MB/s", size / 1e6 / seconds)
    cost, clients = server.cpu() - before, cpu_of_ended() - clients
    server.note(f"{kind}, CPU s/GB", cost / (size / 1e9))
    server.note(f"{kind}, CPU s/GB, both ends", (cost + clients) / (size / 1e9))


if __name__ == "__main__":
    main()

"""HTTP/2 over TLS beside nginx, and beside an older tree of ours, in one run.

    .venv/bin/python -m tests.benchmarks.http2 [--rounds N] [--old DIRECTORY] [--size MIB]

1 KiB through the whole application (8 connections with 8 streams each, h2load), and a large file of
a directory on one stream: with windows of 1 GiB, and with the 64 KiB that clients have unless they
say more. All servers are up for the whole run and are asked in turn. Servers have one worker on
processor 0; the client is on processor 1. `--old` names a checkout whose `proxy` package is
measured too. nginx serves the files itself.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import trustme

from tests.benchmarks.processes import pin, usage
from tests.benchmarks.tools import Failed, h2load
from tests.e2e.program import Headgate
from tests.servers.nginx import Nginx
from tests.servers.process import free_ports

MIB = 1024 * 1024
SERVER_CPU, CLIENT_CPU = 0, 1
CONNECTIONS, STREAMS, SECONDS = 8, 8, 3
SMALL_WINDOW = 16  # bits


@dataclass
class Server:
    """A server that is measured. `figures` has a list of one value a round for each kind."""

    name: str
    url: str
    pid: Callable[[], int]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, value: float) -> None:
        """Adds one figure."""
        self.figures.setdefault(kind, []).append(value)

    def small(self) -> None:
        """Requests a second of 1 KiB, and microseconds of processor time for each."""
        before = usage(self.pid()).cpu
        asked = h2load(
            f"{self.url}/small", connections=CONNECTIONS, streams=STREAMS, seconds=SECONDS
        )
        self.note("1 KiB, req/s", asked.per_second)
        self.note("1 KiB, CPU µs", (usage(self.pid()).cpu - before) / asked.requests * 1e6)

    def large(self, kind: str, size: int, window: int) -> None:
        """MB/s, and seconds of processor time per GB."""
        before = usage(self.pid()).cpu
        command = ["h2load", "-t1", "-c1", "-m1", "-n1", f"-w{window}", f"-W{window}"]
        said = subprocess.run(
            [*command, f"{self.url}/large"], check=True, capture_output=True, text=True, timeout=300
        ).stdout
        took = re.search(r"finished in ([\d.]+)(m?s)", said)
        received = re.search(r"\((\d+)\) data", said)
        if took is None or received is None or int(received[1]) != size:
            raise Failed(said)
        seconds = float(took[1]) / (1000 if took[2] == "ms" else 1)
        self.note(f"{kind}, MB/s", size / 1e6 / seconds)
        self.note(f"{kind}, CPU s/GB", (usage(self.pid()).cpu - before) / (size / 1e9))


def main() -> None:
    """Runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    parser.add_argument("--old", type=Path, help="a checkout of an older tree")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    with ExitStack() as stack:
        servers = list(_servers(stack, size, arguments.old))
        os.sched_setaffinity(0, {CLIENT_CPU})
        for number in range(arguments.rounds + 1):
            for server in servers:
                server.small()
                server.large("large", size, 30)
                server.large("large, 64 KiB window", size, SMALL_WINDOW)
            if number == 0:  # warms the page cache
                for server in servers:
                    server.figures.clear()
            print(f"round {number} of {arguments.rounds}, load {os.getloadavg()}", flush=True)
        _report(servers)


def _servers(stack: ExitStack, size: int, old: Path | None) -> Iterator[Server]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    files, keys = directory / "files", directory / "keys"
    files.mkdir()
    keys.mkdir()
    (files / "small").write_bytes(os.urandom(1024))
    with (files / "large").open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    (keys / "chain").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    (keys / "key").write_bytes(issued.private_key_pem.bytes())
    [port] = free_ports(1)
    more = (
        f"listen 127.0.0.1:{port} ssl http2; keepalive_requests 100000000;"
        f" ssl_certificate {keys}/chain; ssl_certificate_key {keys}/key;"
    )
    nginx = stack.enter_context(Nginx(files, more=more))
    pin(nginx.pid, SERVER_CPU)
    yield Server("nginx", f"https://127.0.0.1:{port}", lambda: nginx.pid)
    trees: dict[str, dict[str, str]] = {"Headgate": {}}
    if old is not None:
        trees["Headgate, older"] = {"PYTHONPATH": str(old)}
    for name, environment in trees.items():
        ours = stack.enter_context(Headgate(_configuration(files, keys), environment=environment))
        pin(ours.pid, SERVER_CPU)
        yield Server(name, f"{ours.tls_url}/files", partial(_pid, ours))


def _pid(program: Headgate) -> int:
    return program.pid


def _configuration(files: Path, keys: Path) -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{keys}/chain"
key = "{keys}/key"
[admin]
bind = ""
[log]
access = false
[origins.files]
type = "directory"
root = "{files}"
[[mounts]]
path = "/files/"
origin = "files"
"""


def _report(servers: list[Server]) -> None:
    print("\n| figure |" + "".join(f" {one.name} |" for one in servers))
    print("| --- |" + " --- |" * len(servers))
    for kind in servers[0].figures:
        digits = 2 if "GB" in kind else 0
        cells = (
            f" {median(one.figures[kind]):.{digits}f}"
            f" ({min(one.figures[kind]):.{digits}f} to {max(one.figures[kind]):.{digits}f}) |"
            for one in servers
        )
        print(f"| {kind} |" + "".join(cells))


if __name__ == "__main__":
    main()

"""The HTTP/1.1 server beside nginx, and beside an older tree of ours, in one run.

    .venv/bin/python -m tests.benchmarks.server [--rounds N] [--old DIRECTORY] [--size MIB]

1 KiB through the whole application (32 connections, wrk), and a large file of a directory (one
connection, curl), each in clear and with TLS. All servers are up for the whole run and are asked
in turn. Servers have one worker on processor 0; the clients are on processor 1. `--old` names a
checkout whose `proxy` package is measured too. nginx serves the files itself, with sendfile.
"""

from __future__ import annotations

import argparse
import os
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
from tests.benchmarks.tools import wrk
from tests.e2e.program import Headgate
from tests.servers.nginx import Nginx
from tests.servers.process import free_ports

MIB = 1024 * 1024
SERVER_CPU, CLIENT_CPU = 0, 1
CONNECTIONS, SECONDS = 32, 3


@dataclass
class Server:
    """A server that is measured. `figures` has a list of one value a round for each kind."""

    name: str
    clear: str
    tls: str
    pid: Callable[[], int]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, value: float) -> None:
        """Adds one figure."""
        self.figures.setdefault(kind, []).append(value)

    def small(self, kind: str, url: str) -> None:
        """Requests a second of 1 KiB, and the processor time of each."""
        before = usage(self.pid()).cpu
        asked = wrk(f"{url}/small", connections=CONNECTIONS, seconds=SECONDS)
        self.note(f"{kind}, req/s", asked.per_second)
        self.note(f"{kind}, CPU µs", (usage(self.pid()).cpu - before) / asked.requests * 1e6)

    def large(self, kind: str, url: str, size: int) -> None:
        """MB/s, and seconds of processor time per GB."""
        before = usage(self.pid()).cpu
        said = subprocess.run(
            ["curl", "-sSk", "--fail", "-o", "/dev/null", "-w",
             "%{size_download} %{speed_download}", "--http1.1", f"{url}/large"],
            check=True, capture_output=True, text=True, timeout=120,
        ).stdout.split()  # fmt: skip
        if int(said[0]) != size:
            raise RuntimeError(f"{self.name}: {said[0]} bytes instead of {size}")
        self.note(f"{kind}, MB/s", float(said[1]) / 1e6)
        self.note(f"{kind}, CPU s/GB", (usage(self.pid()).cpu - before) / (size / 1e9))


def main() -> None:
    """Runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--old", type=Path, help="a checkout of an older tree")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    with ExitStack() as stack:
        servers = list(_servers(stack, size, arguments.old))
        os.sched_setaffinity(0, {CLIENT_CPU})
        for number in range(arguments.rounds + 1):
            for server in servers:
                server.small("1 KiB", server.clear)
                server.small("1 KiB TLS", server.tls)
                server.large("large", server.clear, size)
                server.large("large TLS", server.tls, size)
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
        f"listen 127.0.0.1:{port} ssl; keepalive_requests 100000000;"
        f" ssl_certificate {keys}/chain; ssl_certificate_key {keys}/key;"
    )
    nginx = stack.enter_context(Nginx(files, more=more))
    pin(nginx.pid, SERVER_CPU)
    yield Server("nginx", nginx.endpoint, f"https://127.0.0.1:{port}", lambda: nginx.pid)
    trees: dict[str, dict[str, str]] = {"Headgate": {}}
    if old is not None:
        trees["Headgate, older"] = {"PYTHONPATH": str(old)}
    for name, environment in trees.items():
        ours = Headgate(_configuration(files, keys), environment=environment)
        stack.enter_context(ours)
        pin(ours.pid, SERVER_CPU)
        yield Server(name, f"{ours.url}/files", f"{ours.tls_url}/files", partial(_pid, ours))


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

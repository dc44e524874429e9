"""A large and a small file through Headgate, nginx, and an older tree of ours, all up in one run.

What `server` (HTTP/1.1) and `http2` share. Servers have one worker on processor 0; who asks is on
processor 1.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from tests.benchmarks.processes import pin, usage
from tests.e2e.program import Headgate
from tests.load.target import make_certificate
from tests.servers.nginx import Nginx
from tests.servers.process import free_ports

MIB = 1024 * 1024
SERVER_CPU, CLIENT_CPU = 0, 1
SECONDS = 3


@dataclass
class Server:
    """A server that is measured; `clear` and `tls` are URLs without a slash at the end.

    `figures` has a list of one value a round for each kind.
    """

    name: str
    clear: str
    tls: str
    pid: Callable[[], int]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, value: float) -> None:
        """Adds one figure."""
        self.figures.setdefault(kind, []).append(value)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return usage(self.pid()).cpu


def run(
    document: str | None, ask: Callable[[Server, int], None], *, rounds: int, size: int, http2: bool
) -> None:
    """Reads the arguments, asks all servers in turn, round after round, and prints a table.

    `size` is that of the large file in MiB unless said otherwise; `ask` gets it in bytes. With
    `http2` nginx has it over TLS.
    """
    parser = argparse.ArgumentParser(description=document)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--size", type=int, default=size, help="MiB")
    parser.add_argument("--old", type=Path, help="a checkout of an older tree")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        servers = list(_started(stack, arguments.size * MIB, arguments.old, http2=http2))
        os.sched_setaffinity(0, {CLIENT_CPU})
        for number in range(arguments.rounds + 1):
            for server in servers:
                ask(server, arguments.size * MIB)
            if number == 0:  # warms the page cache
                for server in servers:
                    server.figures.clear()
            print(f"round {number} of {arguments.rounds}, load {os.getloadavg()}", flush=True)
        _report(servers)


def files_and_keys(stack: ExitStack) -> tuple[Path, Path]:
    """Two directories: one for files, the other with a certificate; removed with the stack."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    files, keys = directory / "files", directory / "keys"
    files.mkdir()
    keys.mkdir()
    make_certificate(keys)
    return files, keys


def configuration(files: Path, keys: Path, mount: str = "/files/") -> str:
    """Headgate over a directory, in clear and by TLS, without a log of requests."""
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = 1
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{keys}/certificate.pem"
key = "{keys}/key.pem"
[admin]
bind = ""
[log]
access = false
[origins.files]
type = "directory"
root = "{files}"
[[mounts]]
path = "{mount}"
origin = "files"
"""


def _started(stack: ExitStack, size: int, old: Path | None, *, http2: bool) -> Iterator[Server]:
    files, keys = files_and_keys(stack)
    (files / "small").write_bytes(os.urandom(1024))
    with (files / "large").open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    for name, pushes in {"nginx, tcp_nopush": "on", "nginx": "off"}.items():
        [port] = free_ports(1)
        more = (
            f"tcp_nopush {pushes}; listen 127.0.0.1:{port} ssl{' http2' if http2 else ''};"
            f" ssl_certificate {keys}/certificate.pem; ssl_certificate_key {keys}/key.pem;"
            " keepalive_requests 100000000;"
        )
        nginx = stack.enter_context(Nginx(files, more=more))
        pin(nginx.pid, SERVER_CPU)
        yield Server(name, nginx.endpoint, f"https://127.0.0.1:{port}", partial(_pid, nginx))
    trees: dict[str, dict[str, str]] = {"Headgate": {}}
    if old is not None:
        trees["Headgate, older"] = {"PYTHONPATH": str(old)}
    for name, environment in trees.items():
        ours = stack.enter_context(Headgate(configuration(files, keys), environment=environment))
        pin(ours.pid, SERVER_CPU)
        yield Server(name, f"{ours.url}/files", f"{ours.tls_url}/files", partial(_pid, ours))


def _pid(program: Headgate | Nginx) -> int:
    return program.pid


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

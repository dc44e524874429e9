"""1 GiB from a directory and from an S3 store, through Headgate and through nginx, in one run.

    .venv/bin/python -m tests.benchmarks.streaming [--rounds N] [--size MIB]

All servers are up for the whole run and are asked in turn, so that a drift of the machine meets
them alike. Servers have one worker on processor 0; the client (curl, which reads and discards) is
on processor 1, and so is the store. nginx passes the store's answer on, unbuffered or with 4 MiB of
buffers, with an address signed beforehand; Headgate signs for itself, and checks what it passes on
by the object's CRC32.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.benchmarks.processes import pin, usage
from tests.e2e.program import Headgate
from tests.servers.nginx import Nginx
from tests.servers.s3 import SeaweedFS

MIB = 1024 * 1024
PART = 16 * MIB
SERVER_CPU, CLIENT_CPU = 0, 1
NAME = "object.bin"


@dataclass
class Row:
    """One way to the bytes: what is asked, of whom, and what it took in each round."""

    name: str
    url: str
    pid: Callable[[], int]
    curl: tuple[str, ...] = ()
    speeds: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def run(self, size: int) -> None:
        """Downloads once; notes MB/s and seconds of the server's processor time per GB."""
        before = usage(self.pid()).cpu
        said = subprocess.run(
            ["taskset", "-c", str(CLIENT_CPU), "curl", "-sS", "--fail", "-o", "/dev/null",
             "-w", "%{size_download} %{speed_download}", *self.curl, self.url],
            check=True, capture_output=True, text=True, timeout=120,
        ).stdout.split()  # fmt: skip
        if int(said[0]) != size:
            raise RuntimeError(f"{self.name}: {said[0]} bytes instead of {size}")
        self.speeds.append(float(said[1]) / 1e6)
        self.costs.append((usage(self.pid()).cpu - before) / (size / 1e9))


def main() -> None:
    """Runs the rounds and prints a table for docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    with ExitStack() as stack:
        rows = _rows(stack, size)
        for number in range(arguments.rounds + 1):
            for row in rows:
                row.run(size)
            if number == 0:  # the first round warms the page cache and the connections
                for row in rows:
                    row.speeds.clear()
                    row.costs.clear()
            print(f"round {number} of {arguments.rounds}", flush=True)
        _report(rows)


def _rows(stack: ExitStack, size: int) -> list[Row]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
    parts = [os.urandom(PART) for _ in range(4)]
    with (directory / NAME).open("wb") as file:
        file.writelines(_cycle(parts, size))
    store = stack.enter_context(SeaweedFS())
    store.uploads.put_multipart(
        store.bucket, NAME, _cycle(parts, size), checksum="crc32", checksum_type="FULL_OBJECT"
    )
    signed = store.uploads.client.generate_presigned_url(
        "get_object", {"Bucket": store.bucket, "Key": NAME}, ExpiresIn=3600
    )
    static = stack.enter_context(Nginx(directory))
    proxy = stack.enter_context(Nginx(proxy_pass=store.endpoint))
    buffered = stack.enter_context(Nginx(proxy_pass=store.endpoint, buffered=True))
    ours = stack.enter_context(Headgate(_configuration(directory, store)))
    pin(store.pid, CLIENT_CPU)
    for server in (static, proxy, buffered, ours):
        pin(server.pid, SERVER_CPU)
    h2c = ("--http2-prior-knowledge",)
    return [
        Row("directory: nginx", f"{static.endpoint}/{NAME}", lambda: static.pid),
        Row("directory: Headgate", f"{ours.url}/files/{NAME}", lambda: ours.pid),
        Row("directory: Headgate, HTTP/2", f"{ours.url}/files/{NAME}", lambda: ours.pid, h2c),
        Row("S3: the store itself", signed, lambda: store.pid),
        Row("S3: nginx", signed.replace(store.endpoint, proxy.endpoint), lambda: proxy.pid),
        Row(
            "S3: nginx, buffered",
            signed.replace(store.endpoint, buffered.endpoint),
            lambda: buffered.pid,
        ),
        Row("S3: Headgate", f"{ours.url}/media/{NAME}", lambda: ours.pid),
        Row("S3: Headgate, HTTP/2", f"{ours.url}/media/{NAME}", lambda: ours.pid, h2c),
    ]


def _cycle(parts: list[bytes], size: int) -> Iterator[bytes]:
    for start in range(0, size, PART):
        yield parts[start // PART % len(parts)][: size - start]


def _configuration(directory: Path, store: SeaweedFS) -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
[admin]
bind = ""
[log]
access = false
[origins.files]
type = "directory"
root = "{directory}"
[origins.media]
type = "s3"
endpoint = "{store.endpoint}"
bucket = "{store.bucket}"
access_key_id = "{store.access_key_id}"
secret_access_key = "{store.secret_access_key}"
[[mounts]]
path = "/files/"
origin = "files"
[[mounts]]
path = "/media/"
origin = "media"
"""


def _report(rows: list[Row]) -> None:
    print("\n| way | MB/s | spread | CPU s/GB | peak memory |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        spread = f"{min(row.speeds):.0f} to {max(row.speeds):.0f}"
        peak = usage(row.pid()).peak_memory / MIB
        print(
            f"| {row.name} | {median(row.speeds):.0f} | {spread}"
            f" | {median(row.costs):.2f} | {peak:.0f} MiB |"
        )


if __name__ == "__main__":
    main()

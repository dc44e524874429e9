"""What is besieged: the whole program over a directory, or over a store with a cache."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import trustme

from proxy.origins.s3.signing import Keys, Signer
from tests.benchmarks.processes import descendants, resident
from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.servers import SeaweedFS
from tests.siege.bystanders import Direct
from tests.siege.objects import LARGE, MIB, SMALL, SMALL_BODY, block

_CONFIGURATION = """
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
stall_timeout = "{stall:g}s"
keep_alive_timeout = "4s"
graceful_timeout = "{grace:g}s"
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{keys}/chain"
key = "{keys}/key"
[admin]
bind = "127.0.0.1:0"
[log]
access = false
level = "warning"
{origin}
[[mounts]]
path = "/"
origin = "it"
"""
_DIRECTORY = """
[origins.it]
type = "directory"
root = "{root}"
"""
_STORE = """
[origins.it]
type = "s3"
endpoint = "{endpoint}"
bucket = "{bucket}"
access_key_id = "{access_key_id}"
secret_access_key = "{secret_access_key}"
region = "{region}"
max_connections = 4096
"""
_CACHE = """
[cache]
directory = "{directory}"
free = "0B"
memory = "64MiB"
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """How it should be: bytes of the large object, times in seconds."""

    size: int
    workers: int = 1
    stall: float = 60.0
    grace: float = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """It runs. `faults` counts what the store is asked, where there is one."""

    program: Headgate
    size: int
    faults: Faults | None = None

    @property
    def port(self) -> int:
        """In clear."""
        return int(self.program.url.rpartition(":")[2])

    @property
    def tls_port(self) -> int:
        """With TLS."""
        return int(self.program.tls_url.rpartition(":")[2])

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers there are."""
        return descendants(self.program.pid)[1:]

    def memory(self) -> int:
        """Bytes that all its processes hold."""
        return resident(self.program.pid)

    def descriptors(self) -> int:
        """How many its workers have open."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.workers)

    def metric(self, name: str) -> float:
        """The sum of a metric, whatever its labels."""
        text = self.ask("/metrics")
        lines = [one for one in text.splitlines() if one.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(one.rpartition(" ")[2]) for one in lines)

    def ask(self, path: str) -> str:
        """What the operator's door says, whatever the status."""
        return httpx.get(self.program.admin_url + path, timeout=10).text

    def store(self) -> Direct | None:
        """How its store is asked past it, from now on for some minutes; None without one."""
        if self.faults is None:
            return None
        store, port = self.faults.store, self.faults.port
        path = f"/{store.bucket}/{SMALL}"
        keys = Keys(store.access_key_id, store.secret_access_key)
        host = {"host": f"127.0.0.1:{port}"}
        signed = Signer(store.region).sign(keys, "GET", path, host, time.time())
        return Direct(port, path, [f"{name}: {value}" for name, value in signed.items()])

    def until_at_rest(self, descriptors: int, seconds: float) -> float:
        """Waits until nothing is in flight and no more descriptors are open than these; how long
        (in seconds) that took, or infinity after so many seconds."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.descriptors() <= descriptors and not self.metric(IN_FLIGHT):
                return time.monotonic() - began
            time.sleep(0.1)
        return float("inf")


IN_FLIGHT = "headgate_requests_in_flight"


def is_running(pid: int) -> bool:
    """Whether a process does; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def over_directory(wish: Wish) -> Iterator[Stage]:
    """The program over a directory with both objects."""
    with TemporaryDirectory(prefix="headgate-siege-") as place:
        root = Path(place) / "files"
        root.mkdir()
        (root / SMALL).write_bytes(SMALL_BODY)
        with (root / LARGE).open("wb") as file:
            for _ in range(wish.size // MIB):
                file.write(block())
        with _started(Path(place), wish, _DIRECTORY.format(root=root)) as program:
            yield Stage(program, wish.size)


@contextmanager
def over_store(wish: Wish, *, cached: bool) -> Iterator[Stage]:
    """The program over a store with both objects; what it asks the store is counted."""
    with (
        TemporaryDirectory(prefix="headgate-siege-") as place,
        SeaweedFS() as store,
        Faults(store) as faults,
    ):
        store.uploads.put(store.bucket, SMALL, SMALL_BODY, checksum="crc32")
        parts = [8 * block()] * (wish.size // (8 * MIB))
        store.uploads.put_multipart(
            store.bucket, LARGE, parts, checksum="crc32", checksum_type="FULL_OBJECT"
        )
        origin = _STORE.format(
            endpoint=faults.endpoint,
            bucket=store.bucket,
            access_key_id=store.access_key_id,
            secret_access_key=store.secret_access_key,
            region=store.region,
        )
        if cached:
            origin += _CACHE.format(directory=f"{place}/cache")
        with _started(Path(place), wish, origin) as program:
            yield Stage(program, wish.size, faults)


@contextmanager
def _started(place: Path, wish: Wish, origin: str) -> Iterator[Headgate]:
    keys = place / "keys"
    keys.mkdir()
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    (keys / "chain").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    (keys / "key").write_bytes(issued.private_key_pem.bytes())
    text = _CONFIGURATION.format(
        workers=wish.workers, stall=wish.stall, grace=wish.grace, keys=keys, origin=origin
    )
    with Headgate(text) as program:
        yield program

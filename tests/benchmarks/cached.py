"""What the measurements of the cache share: a store that is counted and slowed, and Headgate on it.

Between Headgate and the store stands the fault origin, which counts what the store is asked for and
what it sends. Objects follow from their keys, so that a client can check them without having them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.benchmarks.contestants import let_everybody_read
from tests.benchmarks.processes import started_on
from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.load import data, machine
from tests.servers.s3 import S3Server, SeaweedFS

KIB, MIB = 1024, 1024 * 1024
GIB = 1024 * MIB
_PARTS_OF_DATA = 4  # of 4 MiB each; S3 takes no part under 5 MiB

_CONFIGURATION = """
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
[admin]
bind = ""
[log]
access = false
level = "warning"
[origins.media]
type = "s3"
endpoint = "{endpoint}"
bucket = "{bucket}"
access_key_id = "{access_key_id}"
secret_access_key = "{secret_access_key}"
{cache}
"""


@dataclass(frozen=True, slots=True)
class Cache:
    """The [cache] table. Sizes as the configuration has them; no directory: in memory alone."""

    directory: Path | None = None
    size: str = "10GiB"
    memory: str = "256MiB"
    slice: str = "8MiB"

    def table(self) -> str:
        """The table as TOML."""
        lines = ["[cache]", f'memory = "{self.memory}"', f'slice = "{self.slice}"']
        if self.directory is not None:
            lines += [f'directory = "{self.directory}"', f'size = "{self.size}"']
        return "\n".join(lines)


@contextmanager
def counted_store(share: machine.Share) -> Iterator[Faults]:
    """SeaweedFS, which anybody may read, and the fault origin before it."""
    with started_on(share.store), SeaweedFS() as store, Faults(store) as faults:
        let_everybody_read(store)
        yield faults


def headgate(
    faults: Faults, share: machine.Share, cache: Cache | None = None, workers: int = 1
) -> Headgate:
    """Headgate over the counted store, its objects at "/"; without a cache if none is given."""
    store = faults.store
    text = _CONFIGURATION.format(
        workers=workers,
        endpoint=faults.endpoint,
        bucket=store.bucket,
        access_key_id=store.access_key_id,
        secret_access_key=store.secret_access_key,
        cache=cache.table() if cache else "",
    )
    with started_on(share.server):
        return Headgate(text)


def put(store: S3Server, key: str, size: int) -> None:
    """Puts an object whose bytes are `data.body(key, size)`, with a checksum of the whole."""
    store.uploads.put_multipart(
        store.bucket, key, _parts(key, size), checksum="crc32", checksum_type="FULL_OBJECT"
    )


def _parts(key: str, size: int) -> Iterator[bytes]:
    pieces = data.body(key, size)
    while part := b"".join(islice(pieces, _PARTS_OF_DATA)):
        yield part

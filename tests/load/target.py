"""What a load is put on: a Headgate of our own with store and data, or one that was named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import trustme

from tests.benchmarks.processes import started_on
from tests.e2e.program import Headgate
from tests.load.data import upload
from tests.load.machine import Share
from tests.servers.process import work_directory
from tests.servers.s3 import S3Server, SeaweedFS


@dataclass(frozen=True)
class Target:
    """Where to ask: URLs of the objects, and of the operator's door; None where there is none.

    `program` and `store` are set when they are ours: they can be watched, the log kept.
    """

    base_url: str
    other_url: str | None = None
    tls_url: str | None = None
    admin_url: str | None = None
    program: Headgate | None = None
    store: S3Server | None = None

    def by_directory(self) -> Self:
        """Our own, with the directory asked in place of the store."""
        if self.other_url is None or self.tls_url is None:
            raise ValueError("only what we started has the directory beside the store")
        tls = self.tls_url.replace("/media/", "/files/")
        return replace(self, base_url=self.other_url, other_url=self.base_url, tls_url=tls)


@contextmanager
def started(
    data: Path, groups: frozenset[str], share: Share, workers: int, settings: Sequence[str] = ()
) -> Iterator[Target]:
    """SeaweedFS with these groups of the data, and Headgate with a cache before it and before the
    directory.

    `settings` are more for Headgate, as its `--set` takes them.
    """
    with ExitStack() as stack:
        with started_on(share.store):
            store = stack.enter_context(SeaweedFS())
        upload(data, store, groups)
        keys = work_directory()
        stack.callback(shutil.rmtree, keys, ignore_errors=True)
        make_certificate(keys)
        with started_on(share.server):
            text = configuration(store, data / "objects", keys, workers)
            text += f'[cache]\ndirectory = "{keys}/cache"\n'
            more = [word for one in settings for word in ("--set", one)]
            program = stack.enter_context(Headgate(text, arguments=more))
        yield Target(
            base_url=f"{program.url}/media/",
            other_url=f"{program.url}/files/",
            tls_url=f"{program.tls_url}/media/",
            admin_url=program.admin_url,
            program=program,
            store=store,
        )


def make_certificate(directory: Path) -> None:
    """certificate.pem and key.pem for this machine, by an authority nobody has to trust."""
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(directory / "certificate.pem", append=number > 0)
    issued.private_key_pem.write_to_path(directory / "key.pem")


def configuration(store: S3Server, files: Path, keys: Path, workers: int = 1) -> str:
    """Headgate over a store at /media/ and a directory at /files/, in clear and by TLS."""
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{keys}/certificate.pem"
key = "{keys}/key.pem"
[admin]
bind = "127.0.0.1:0"
debug = "on"
[log]
access = false
[origins.files]
type = "directory"
root = "{files.resolve()}"
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

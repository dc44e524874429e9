"""Objects, heads and slices as the cache keeps them, for tests."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from proxy.cache.disk.disk import Disk
from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Head, Label, write_footer
from proxy.cache.disk.watching import FileWatcher
from proxy.cache.rules.checking import BlockSums
from proxy.origins.threads import THREADS, Threads
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation

NAME = "00" + "ab" * 15 + "." + "cd" * 8 + ".0"


@cache
def bytes_of(length: int, seed: int = 0) -> bytes:
    """Bytes of which no piece is like another."""
    return Random(f"{length} {seed}").randbytes(length)


def table_of(body: bytes) -> bytes:
    """The check values of the blocks of a slice."""
    sums = BlockSums()
    sums.update(body)
    return sums.table()


def label_of(body: bytes, key: str = "key", index: int = 0) -> Label:
    return Label("store", key, "cd" * 8, index, len(body))


def slice_file(body: bytes, label: Label | None = None) -> bytes:
    """A whole file."""
    return body + write_footer(label or label_of(body), table_of(body))


def put_slice(files: Files, name: str, body: bytes, label: Label | None = None) -> Path:
    """Writes a slice into a directory, and gives its path."""
    path = Path(files.path(name))
    path.write_bytes(slice_file(body, label))
    return path


def a_head(body: bytes = b"", key: str = "key", width: int = 1024, **more: Any) -> Head:  # noqa: ANN401  # its fields
    """A head of an object with these bytes, validated long ago."""
    representation = Representation(len(body), etag=EntityTag(f"tag of {key}".replace(" ", "-")))
    return Head("store", key, width, 1.0, representation, **more)


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/dev/fd"))


@contextmanager
def hanging(threads: Threads) -> Iterator[None]:
    """All threads of a pool are busy inside, as with a disk that does not answer."""
    gate = threading.Event()
    for _ in range(THREADS):
        threads._pool.submit(gate.wait, 60)
    try:
        yield
    finally:
        gate.set()


@asynccontextmanager
async def started(root: Path) -> AsyncIterator[Disk]:
    """A directory that is ready, closed in the end."""
    disk = Disk(Files(str(root)), FileWatcher())
    try:
        await disk.start()
        yield disk
    finally:
        disk.close()

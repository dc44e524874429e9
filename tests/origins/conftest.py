"""The stores that one behaviour suite runs over, each behind the same few handles.

A new origin joins by one more class here and one more line in `STORES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

from proxy.cache.options import CacheOptions
from proxy.observability.spans import CURRENT, Span, Tracer, new_trace_id
from proxy.observability.traced import Fetching, Traced
from proxy.origins.base import WHOLE, Lister, OpenObject, Origin, Want
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.origins.resuming import Resuming
from proxy.origins.s3 import S3Options, S3Origin
from proxy.semantics.etags import EntityTag
from proxy.semantics.freshness import Terms
from proxy.semantics.representation import Checksum, Representation
from tests.cache.stores import OwningCached
from tests.integrity.objects import OwningPool
from tests.servers import S3Server

# The fields of their own that objects are stored with.
FIELDS = {
    "content_type": "text/x-contract; charset=utf-8",
    "cache_control": "public, max-age=60",
    "content_disposition": 'attachment; filename="a.txt"',
    "content_language": "de",
    "content_encoding": "gzip",
}


class ListingOrigin(Origin, Lister, Protocol):
    """What every origin here is."""


class Store(ABC):
    """A store with objects of its own, and origins that serve them.

    Attributes:
        keeps_fields: whether it keeps Content-Type and the like.
        keeps_old_versions: whether an object that is open stays readable once it was replaced.
        keeps_what_was_read: whether what was read of it does, even if the store has it no more.
        hides_dots: whether a key that begins with a dot is not served.
        any_key: whether keys are free: with empty segments, or one the beginning of another.
    """

    keeps_fields = True
    keeps_old_versions = False
    keeps_what_was_read = False
    hides_dots = False
    any_key = False

    @abstractmethod
    def make(self) -> ListingOrigin:
        """An origin over this store, not started."""

    @abstractmethod
    def put_now(self, key: str, body: bytes, fields: dict[str, str]) -> None: ...

    @abstractmethod
    def remove_now(self, key: str) -> None: ...

    async def put(self, key: str, body: bytes, **fields: str) -> None:
        await asyncio.to_thread(self.put_now, key, body, fields)

    async def remove(self, key: str) -> None:
        await asyncio.to_thread(self.remove_now, key)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[ListingOrigin]:
        """A started origin; afterwards nothing of it may remain: no task, no descriptor."""
        before = _remains()
        origin = self.make()
        try:
            await origin.start()
            yield origin
        finally:
            await origin.aclose()
        for _ in range(1000):  # threads and sockets may need a moment to end
            if not _more_than(before):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"left behind: {_more_than(before)}")


def _remains() -> dict[str, int]:
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": sum(t.name.startswith("headgate") for t in threading.enumerate()),
    }


def _more_than(before: dict[str, int]) -> dict[str, int]:
    now = _remains()
    return {kind: now[kind] - before[kind] for kind in now if now[kind] > before[kind]}


class MemoryStore(Store):
    any_key = True

    def __init__(self) -> None:
        self._origin = MemoryOrigin()

    def make(self) -> ListingOrigin:
        return self._origin

    def put_now(self, key: str, body: bytes, fields: dict[str, str]) -> None:
        values: dict[str, Any] = dict(fields)  # its texts among values of other types
        representation = Representation(
            len(body),
            etag=EntityTag(secrets.token_hex(8)),
            last_modified=int(time.time()),
            media_type=values.pop("content_type", None),
            checksums=self.checksums_of(body),
            **values,
        )
        self._origin.put(key, StoredObject(body, representation))

    def remove_now(self, key: str) -> None:
        self._origin.remove(key)

    def checksums_of(self, body: bytes) -> tuple[Checksum, ...]:
        """What is promised of a body."""
        return ()


class ResumingStore(MemoryStore):
    """The layer over an origin without faults."""

    def make(self) -> ListingOrigin:
        return cast("ListingOrigin", Resuming(super().make()))


class TracedStore(MemoryStore):
    """The layers that make spans, over an origin within them, for somebody who is traced."""

    def make(self) -> ListingOrigin:
        tracer = Tracer(lambda _: None)
        traced = Traced(super().make(), "memory", tracer, "client")
        return cast("ListingOrigin", _Within(Resuming(traced), "memory", tracer))


class _Within(Fetching):
    """For a request that is traced."""

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        CURRENT.set(Span(new_trace_id(), "", "GET /", "server"))
        return await super().open(key, want)


class VerifiedStore(MemoryStore):
    """The layer that checks, over objects that have a SHA-256 to check by."""

    def make(self) -> ListingOrigin:
        return cast("ListingOrigin", OwningPool(super().make()))

    def checksums_of(self, body: bytes) -> tuple[Checksum, ...]:
        return (Checksum("sha256", hashlib.sha256(body).digest()),)


class CachedStore(MemoryStore):
    """The layer that keeps slices, asking each time whether they are current. The slices are small,
    so that each body has several."""

    keeps_what_was_read = True

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__()
        self._directory = directory

    def make(self) -> ListingOrigin:
        directory = str(self._directory) if self._directory is not None else None
        options = CacheOptions(directory=directory, memory=4 << 20, width=256 << 10, missing_ttl=0)
        made = OwningCached(super().make(), options, Terms(default_ttl=0.0))
        return cast("ListingOrigin", made)


class DirectoryStore(Store):
    keeps_fields = False
    keeps_old_versions = True
    hides_dots = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ages = itertools.count(10)

    def make(self) -> ListingOrigin:
        return DirectoryOrigin(self.root)

    def put_now(self, key: str, body: bytes, fields: dict[str, str]) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".{secrets.token_hex(8)}"
        temporary.write_bytes(body)
        age = time.time() - next(self._ages)  # old enough for a strong entity tag
        os.utime(temporary, (age, age))
        temporary.replace(path)

    def remove_now(self, key: str) -> None:
        (self.root / key).unlink()


class S3Store(Store):
    """A prefix of a real server's bucket. Few connections: one that leaks is missed soon."""

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self.prefix = f"contract/{secrets.token_hex(8)}/"
        # The upload client keeps a connection, which is not the origin's.
        assert server.uploads.takes_objects(server.bucket)

    def make(self) -> ListingOrigin:
        return S3Origin(
            S3Options(
                bucket=self._server.bucket,
                prefix=self.prefix,
                endpoint=self._server.endpoint,
                region=self._server.region,
                access_key_id=self._server.access_key_id,
                secret_access_key=self._server.secret_access_key,
                connect_timeout=30,
                first_byte_timeout=60,
                stall_timeout=60,
                max_connections=3,
                slot_timeout=60,
            )
        )

    def put_now(self, key: str, body: bytes, fields: dict[str, str]) -> None:
        self._server.uploads.put(self._server.bucket, self.prefix + key, body, **fields)  # type: ignore[arg-type]  # only fields that are text

    def remove_now(self, key: str) -> None:
        self._server.uploads.delete(self._server.bucket, self.prefix + key)


class SeaweedStore(S3Store):
    pass


class RcloneStore(S3Store):
    pass


STORES = [
    "memory",
    "resuming",
    "traced",
    "verified",
    "cached",
    "cached on disk",
    "directory",
    pytest.param("seaweedfs", marks=pytest.mark.servers),
    pytest.param("rclone", marks=pytest.mark.servers),
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """One store after the other, empty; servers start when the first test of theirs comes."""

    def server(name: str) -> Any:  # noqa: ANN401  # the fixture's
        return request.getfixturevalue(name)

    make: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "resuming": ResumingStore,
        "traced": TracedStore,
        "verified": VerifiedStore,
        "cached": CachedStore,
        "cached on disk": lambda: CachedStore(tmp_path / "cache"),
        "directory": lambda: DirectoryStore(tmp_path),
        "seaweedfs": lambda: SeaweedStore(server("seaweedfs")),
        "rclone": lambda: RcloneStore(server("rclone")),
    }
    return make[request.param]()


@pytest.fixture
async def origin(store: Store) -> AsyncIterator[ListingOrigin]:
    async with store.opened() as started:
        yield started

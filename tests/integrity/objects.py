"""Objects with checksums, right or wrong, in an origin in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor

from proxy.integrity.checking import Checking
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.origins.base import WHOLE, OpenObject, Origin, Want
from proxy.origins.memory import StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Algorithm, Checksum, PartSums, Representation, Span
from tests.servers import checksums

ALGORITHMS: tuple[Algorithm, ...] = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5")


def digest(algorithm: Algorithm, body: bytes) -> bytes:
    """The raw checksum, computed by other code than the product's where there is other code."""
    if algorithm == "md5":
        return hashlib.md5(body, usedforsecurity=False).digest()
    return checksums.digest(algorithm, body)


def checksum_of(algorithm: Algorithm, body: bytes) -> Checksum:
    """That of the whole, by the definition."""
    return Checksum(algorithm, digest(algorithm, body))


def composite_of(
    algorithm: Algorithm, parts: Sequence[bytes], *, count: int | None = None
) -> Checksum:
    """That of the parts' checksums."""
    whole = b"".join(digest(algorithm, part) for part in parts)
    return Checksum(algorithm, digest(algorithm, whole), composite=True, parts=count)


def part_sums_of(algorithm: Algorithm, parts: Sequence[bytes]) -> PartSums:
    """What a store tells of these parts."""
    digests = tuple(digest(algorithm, part) for part in parts)
    return PartSums(algorithm, tuple(map(len, parts)), digests)


def stored(
    body: bytes, *checksums: Checksum, etag: str = "v1", size: int | None = None
) -> StoredObject:
    """An object that is promised to have these checksums."""
    known = Representation(
        len(body) if size is None else size, etag=EntityTag(etag), checksums=checksums
    )
    return StoredObject(body, known)


def flipped(body: bytes, bit: int) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class PartedOrigin:
    """Another origin whose objects also tell their part sizes, and the parts' checksums: `sizes`
    and `sums`, or raise the fault."""

    def __init__(
        self,
        origin: Origin,
        sizes: tuple[int, ...] | Exception | None = None,
        sums: PartSums | Exception | None = None,
    ) -> None:
        self._origin = origin
        self.sizes = sizes
        self.sums = sums
        self.asked = self.asked_for_sums = 0

    async def start(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        return _PartedObject(self, await self._origin.open(key, want))

    async def aclose(self) -> None: ...


class _PartedObject:
    def __init__(self, origin: PartedOrigin, opened: OpenObject) -> None:
        self._origin, self._opened = origin, opened

    @property
    def representation(self) -> Representation:
        return self._opened.representation

    def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        return self._opened.read(span)

    async def part_sizes(self) -> tuple[int, ...] | None:
        await asyncio.sleep(0)
        self._origin.asked += 1
        if isinstance(self._origin.sizes, Exception):
            raise self._origin.sizes
        return self._origin.sizes

    async def part_sums(self) -> PartSums | None:
        self._origin.asked_for_sums += 1
        await asyncio.sleep(0)
        if isinstance(self._origin.sums, Exception):
            raise self._origin.sums
        return self._origin.sums

    async def aclose(self) -> None:
        await self._opened.aclose()


class OwningPool(Verified):
    """With a pool of its own, which is given back when it is closed."""

    def __init__(self, origin: Origin) -> None:
        self._pool: ThreadPoolExecutor = make_pool()
        super().__init__(origin, Checking("when-available", self._pool))

    async def aclose(self) -> None:
        await super().aclose()
        self._pool.shutdown()

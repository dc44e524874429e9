"""The algorithms a store may promise by, each fed buffer by buffer.

Pure. Digests are raw bytes, as in `Checksum.value`. Nothing here decides where the work is done:
that is for `rolling`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from awscrt import checksums as crt

from proxy.semantics.representation import Algorithm

Buffer = bytes | memoryview


class Sum(Protocol):
    """A checksum of all that was given so far. Those of hashlib are ones."""

    def update(self, buffer: Buffer, /) -> None:
        """Takes the next bytes."""
        ...

    def digest(self) -> bytes:
        """The raw checksum of all bytes so far; more may follow."""
        ...


# Name to the function (buffer, the value so far) -> value, and the digest's length in bytes.
_CRCS: Final[dict[str, tuple[Callable[[Buffer, int], int], int]]] = {
    "crc64nvme": (crt.crc64nvme, 8),
    "crc32c": (crt.crc32c, 4),
    "crc32": (zlib.crc32, 4),  # 6.7 GB/s where awscrt's has 3.3; the other two have 59
}


class _CRC:
    """A CRC so far. A digest is its value in network byte order, as stores write it."""

    __slots__ = ("_function", "_value", "_width")

    def __init__(self, algorithm: str) -> None:
        self._function, self._width = _CRCS[algorithm]
        self._value = 0

    def update(self, buffer: Buffer, /) -> None:
        self._value = self._function(buffer, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


class PartsSum:
    """The checksum of the parts' checksums, which S3 calls COMPOSITE and makes MD5 ETags from.

    `sizes` are those of all parts in order, in bytes. Whatever comes beyond them counts for the
    last part, so that it shows.
    """

    __slots__ = ("_algorithm", "_digests", "_following", "_left", "_part")

    def __init__(self, algorithm: Algorithm, sizes: Sequence[int]) -> None:
        self._algorithm = algorithm
        self._following = deque(sizes)
        self._left = self._following.popleft()
        self._digests: list[bytes] = []
        self._part = new_sum(algorithm)

    def update(self, buffer: Buffer, /) -> None:
        """Takes the next bytes."""
        if len(buffer) <= self._left:  # as most buffers do: nothing to cut
            self._part.update(buffer)
            self._left -= len(buffer)
            return
        rest = memoryview(buffer)
        while len(rest) > self._left and self._following:
            self._part.update(rest[: self._left])
            rest = rest[self._left :]
            self._digests.append(self._part.digest())
            self._part = new_sum(self._algorithm)
            self._left = self._following.popleft()
        self._part.update(rest)
        self._left -= len(rest)

    def digest(self) -> bytes:
        """The composite checksum of the bytes so far."""
        return digest_of(self._algorithm, b"".join([*self._digests, self._part.digest()]))


def new_sum(algorithm: Algorithm) -> Sum:
    """A checksum of nothing yet."""
    if algorithm in _CRCS:
        return _CRC(algorithm)
    return hashlib.new(algorithm, usedforsecurity=False)


def digest_of(algorithm: Algorithm, body: Buffer) -> bytes:
    """The raw checksum of `body`."""
    total = new_sum(algorithm)
    total.update(body)
    return total.digest()


def is_fast(algorithm: Algorithm) -> bool:
    """Whether it is a CRC: quick enough for the event loop, whatever the size of a buffer."""
    return algorithm in _CRCS

"""How often slices were read lately, counted in a file that all processes have mapped.

There are no locks. The counters are a hint for whoever evicts: two names may share one, an update
may be lost, the file may hold anything; then something else is evicted, and nothing else happens.
The file only ever grows to its size and is never cut, since other processes have mapped it. Where
it can't be had, the counters are this process's own.

Behind the counters stands what the directory holds, published by the one process that keeps count.
It is read without a lock, too: a checksum tells whether it was read whole.
"""

from __future__ import annotations

import logging
import mmap
import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

logger = logging.getLogger(__name__)

# Counters of one byte each; with 100,000 slices one in eleven shares its own with another.
BUCKETS = 1 << 20
# What makes no difference to the policy isn't counted.
MOST_USES = 3
# Bytes aged at a time, about 0.1 ms.
PIECE = 1 << 16

_MASK = BUCKETS - 1
# A mark, bytes, files, full, seconds since the epoch; then their checksum.
_RECORD = struct.Struct("<8sQQ?d")
_CHECKSUM = struct.Struct("<I")
_MARK = b"usage\0\0\1"
_PLACE, _ROOM = BUCKETS, 64
_CHECKSUM_PLACE = _PLACE + _ROOM - _CHECKSUM.size
SIZE = BUCKETS + _ROOM
# Looks at a record that is just being written; it takes less than a microsecond to write.
_LOOKS = 4

_HALVES = bytes(value // 2 for value in range(256))


class Published(NamedTuple):
    """What the directory holds.

    Attributes:
        bytes: of slices and heads.
        files: slices and heads.
        full: so far over its limits that nothing new should be begun.
        at: seconds since the epoch when it was published.
    """

    bytes: int
    files: int
    full: bool
    at: float


def bucket_of(name: str) -> int:
    """The counter of a slice, by its file's name. It is the same in each process."""
    return crc32(name.encode()) & _MASK


class HitTable:
    """The counters, mapped. `shared` says whether other processes see them. `close` when done."""

    def __init__(self, mapped: mmap.mmap, *, shared: bool) -> None:
        self._map = mapped
        self.shared = shared

    @classmethod
    def open(cls, path: Path) -> HitTable:
        """The table in the file at `path`, which is made or mended. Never raises `OSError`."""
        try:
            return cls(_mapped(path), shared=True)
        except (OSError, ValueError) as error:
            logger.warning(
                "the cache can't share its hit counters in %s (%s): it evicts by those of one"
                " process, and slices that other processes serve may leave early",
                path,
                error,
            )
            return cls(mmap.mmap(-1, SIZE), shared=False)

    def close(self) -> None:
        """Lets the file go."""
        self._map.close()

    def touch(self, name: str) -> None:
        """Counts one use of the slice with this file name."""
        mapped = self._map
        bucket = crc32(name.encode()) & _MASK
        uses = mapped[bucket]
        if uses < MOST_USES:
            mapped[bucket] = uses + 1

    def touch_bucket(self, bucket: int) -> None:
        """Counts one use of the slice of which this is the `bucket_of`; a third of the cost."""
        mapped = self._map
        uses = mapped[bucket]
        if uses < MOST_USES:
            mapped[bucket] = uses + 1

    def take(self, name: str) -> int:
        """The uses counted since the last call, at most three; counts from 0 again."""
        bucket = crc32(name.encode()) & _MASK
        uses = self._map[bucket]
        if uses:
            self._map[bucket] = 0
        return min(uses, MOST_USES)

    def age(self, begin: int) -> int:
        """Halves the counters of one piece; where the next piece begins.

        Without it, what is never looked at again would hand its uses to a later slice.
        """
        begin = begin % BUCKETS
        end = min(begin + PIECE, BUCKETS)
        self._map[begin:end] = self._map[begin:end].translate(_HALVES)
        return end % BUCKETS

    def publish(self, published: Published) -> None:
        """Tells all processes what the directory holds."""
        record = _RECORD.pack(_MARK, *published).ljust(_ROOM - _CHECKSUM.size, b"\0")
        self._map[_PLACE:SIZE] = record + _CHECKSUM.pack(crc32(record))

    def usage(self) -> Published | None:
        """What was published last; None if nothing was, or it is damaged."""
        for _ in range(_LOOKS):
            record = self._map[_PLACE:_CHECKSUM_PLACE]
            (checksum,) = _CHECKSUM.unpack_from(self._map, _CHECKSUM_PLACE)
            mark, used, files, full, at = _RECORD.unpack_from(record)
            if mark == _MARK and checksum == crc32(record):
                return Published(used, files, full, at)
        return None


def _mapped(path: Path) -> mmap.mmap:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is no regular file")
        if found.st_size < SIZE:
            os.ftruncate(descriptor, SIZE)
        # A page without a block behind it would be a SIGBUS when the disk is full.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, SIZE)
        return mmap.mmap(descriptor, SIZE)
    finally:
        os.close(descriptor)

"""How a cache works, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How the cache works. Sizes in bytes, times in seconds.

    Attributes:
        directory: where slices are kept that all processes share; None to keep them in the memory
            of each only.
        in_memory: `directory` is in the machine's memory, and is told of as such.
        size, files, free: limits of the directory: bytes, files, and bytes that stay free on its
            file system.
        memory: for slices in memory and on their way, of one process.
        width: of a slice.
        read_ahead: slices fetched beyond the one a reader is at.
        missing_ttl: for how long a missing object is known to be missing.
        follow_demands: whether clients may say no-cache, only-if-cached and the like.
    """

    directory: str | None = None
    in_memory: bool = False
    size: int = 10 * 1024 * _MIB
    files: int = 1_000_000
    free: int = 1024 * _MIB
    memory: int = 256 * _MIB
    width: int = 8 * _MIB
    read_ahead: int = 6
    missing_ttl: float = 5.0
    follow_demands: bool = False

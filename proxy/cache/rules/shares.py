"""How workers that keep slices in memory only divide it among them. Pure.

What they share is fetched once and kept once. What each has for itself holds the slices that are on
their way, since readers follow those in memory, and what it gave last. All of it together is never
more than what one worker could have that shares nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

# One to fill and one to give for each worker, and as much again to share.
SLICES_EACH: Final = 4
_MIB: Final = 1024 * 1024
# What is shared besides: counters of uses (1 MiB), and 257 directories.
BESIDE: Final = 2 * _MIB


class CannotShare(Exception):
    """Workers have to keep slices each for itself. Its argument says why, for people."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the memory for slices, in bytes: what all share, and what each worker has alone."""

    shared: int
    own: int

    @property
    def room(self) -> int:
        """What sharing takes, in bytes."""
        return self.shared + BESIDE


@dataclass(frozen=True, slots=True)
class Shared:
    """What a worker is told: where slices are shared that are in memory, and its `shares`."""

    directory: str
    shares: Shares


def shares_of(memory: int, width: int, workers: int) -> Shares:
    """Half to share, the other half divided among the workers; slices are `width` bytes wide.

    Raises `CannotShare` where a worker's part would be too little.
    """
    least = SLICES_EACH * width * workers + BESIDE
    if memory < least:
        raise CannotShare(f"cache.memory would have to be {ceil(least / _MIB)} MiB for that")
    own = (memory - BESIDE) // (2 * workers)
    return Shares(memory - BESIDE - workers * own, own)


def shared_of(told: Mapping[str, Any] | None) -> Shared | None:
    """What `asdict` made of one."""
    return Shared(told["directory"], Shares(**told["shares"])) if told is not None else None

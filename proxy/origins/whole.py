"""The whole of a small object at once: taken by a call, where opening and reading may wait.

An origin may have `take_whole`. Layers pass it on where they have nothing to wait for. Whoever
answers a request with it needs neither a task nor an open object, which together take longer than
opening, reading and closing a small file.

It is for versions that were opened before: whoever takes one names what it knows of it, and gets
just that version or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.origins.base import Lease, Want
from proxy.semantics.representation import Representation


class Whole:
    """All bytes of one version, as `OpenObject.read` gives them, and what is told with them.

    Attributes:
        body: the bytes, at least one.
        lease: as of an open object whose bytes were read.
        age: gives the value of Age; None where no cache has it.
        sealed_by: the algorithm by which a layer below checked this version as a whole; or "".
        verdict: what a layer that judges says of the bytes (`proxy.integrity.verdict`).
    """

    __slots__ = ("age", "body", "lease", "sealed_by", "verdict")

    def __init__(
        self,
        body: bytes,
        lease: Lease | None = None,
        age: Callable[[], int] | None = None,
        sealed_by: str = "",
    ) -> None:
        self.body = body
        self.lease = lease
        self.age = age
        self.sealed_by = sealed_by
        self.verdict: object = None


class TakeWhole(Protocol):
    """What an origin may have as its attribute `take_whole`."""

    def __call__(
        self, key: str, want: Want, known: Representation, *, sealed: bool
    ) -> Whole | None:
        """The whole of a version; `known` is the very value that opening `key` gave.

        None where that is not the current version any more, where it would take a wait, or would
        fail: then nothing was done or counted, and `open` tells. So it raises nothing. `sealed`:
        only what a layer below has checked as a whole.
        """
        ...


def taker_of(origin: object) -> TakeWhole | None:
    """By what the whole of an object is taken from an origin; None if it has no such thing."""
    take: TakeWhole | None = getattr(origin, "take_whole", None)
    return take

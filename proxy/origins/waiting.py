"""How full something is that is bounded: the way to a store, or memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is taken of it and who waits for some, now and since the start.

    Attributes:
        used: connections, or bytes, that are taken; `most` may be.
        queued: requests that wait for some.
        waits: how many had to, since the start, and for how many `seconds` together.
        full, late: those that were given up, since too many waited or none came free in time.
    """

    used: int = 0
    most: int = 0
    queued: int = 0
    waits: int = 0
    seconds: float = 0.0
    full: int = 0
    late: int = 0

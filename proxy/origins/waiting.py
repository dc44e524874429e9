"""How full the way to a store is: told by an origin whose connections are bounded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """Requests to one store, now and since the start.

    Attributes:
        used: those that have a connection; `most` may.
        queued: those that wait for one.
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

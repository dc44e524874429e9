"""What a client may send of HTTP/2 frames that cost us more than it. Pure, given a clock.

Each kind has a bucket: so many at once, refilled at a rate. An honest client stays far below: a
browser resets a stream per seek, pings every few seconds, and sends settings once or twice.
Counted are resets of either side, since a client can make the server reset (CVE-2023-44487,
CVE-2025-8671).
"""

from __future__ import annotations

from collections.abc import Callable

import h2.events

# kind: (at once, per second). The rates are those of Apache Traffic Server's defaults where it
# has one (settings 14, pings 60 a minute) or some multiples where a browser would feel them.
# A client with a small window updates it every few KiB, on the stream and on the connection.
_BYTES_PER_UPDATE = 2048

_LIMITS: dict[type[h2.events.Event], tuple[int, float]] = {
    h2.events.StreamReset: (200, 20.0),
    h2.events.RemoteSettingsChanged: (20, 0.5),
    h2.events.PingReceived: (60, 2.0),
    h2.events.PriorityUpdated: (500, 5.0),
    h2.events.WindowUpdated: (5_000, 100.0),  # and see `earn`
    h2.events.DataReceived: (200, 20.0),  # only those without a byte
}


class Budget:
    """The buckets of one connection. `clock` gives seconds and never goes back."""

    __slots__ = ("_clock", "_left", "_seen")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = {kind: float(burst) for kind, (burst, _) in _LIMITS.items()}
        self._seen = dict.fromkeys(_LIMITS, clock())

    def allows(self, event: h2.events.Event) -> bool:
        """Counts the event; false when it is one too many."""
        kind = type(event)
        if kind not in _LIMITS or (isinstance(event, h2.events.DataReceived) and event.data):
            return True
        burst, rate = _LIMITS[kind]
        now = self._clock()
        left = min(burst, self._left[kind] + (now - self._seen[kind]) * rate) - 1
        self._left[kind], self._seen[kind] = left, now
        return left >= 0

    def earn(self, sent: int) -> None:
        """So many bytes of body were sent: they entitle the client to window updates."""
        self._left[h2.events.WindowUpdated] += sent / _BYTES_PER_UPDATE

"""What a client may send of frames that cost us more than it (RFC 9113 §10.5). Pure, given a clock.

Each kind has a bucket: so many at once, refilled at a rate. The rates are those of Apache Traffic
Server's defaults, a minute: settings 14, pings 60, priorities 120, resets 200, CONTINUATION 120.
Resets are counted whoever sends them, since a client can make the server reset (CVE-2023-44487,
CVE-2025-8671); what is refused before the app sees it counts as one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from proxy.server.http2.faults import ConnectionFault, ErrorCode


class Kind(IntEnum):
    """What is counted together."""

    SETTINGS = 0
    PING = 1
    PRIORITY = 2
    RESET = 3
    CONTINUATION = 4
    EMPTY = 5  # DATA or CONTINUATION with nothing in it that ends nothing
    UPDATE = 6  # WINDOW_UPDATE; and see `earn`
    OTHER = 7  # GOAWAY, and frames unknown to us


# kind: (at once, a minute)
_LIMITS = {
    Kind.SETTINGS: (14, 14),
    Kind.PING: (60, 60),
    # Firefox builds a tree at once and reorders it with every stream; reading one costs nothing.
    Kind.PRIORITY: (500, 120),
    Kind.RESET: (200, 200),
    Kind.CONTINUATION: (120, 120),
    Kind.EMPTY: (10, 10),
    Kind.UPDATE: (500, 600),
    Kind.OTHER: (120, 120),
}
# The same by number: an enumeration's members are slow keys.
_BY_NUMBER = tuple(_LIMITS[kind] for kind in Kind)
# A client with a small window updates it every few KiB, on the stream and on the connection, and
# may widen the window of each stream it opens.
_BYTES_PER_UPDATE = 2048
_UPDATES_PER_REQUEST = 2


class Budget:
    """The buckets of one connection. `clock` gives seconds and never goes back."""

    __slots__ = ("_clock", "_left", "_seen")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = [float(_LIMITS[kind][0]) for kind in Kind]
        self._seen = [clock()] * len(Kind)

    def spend(self, kind: Kind) -> None:
        """Counts one; raises `ConnectionFault` when it is one too many."""
        left = self._left[kind]
        most, rate = _BY_NUMBER[kind]
        now = self._clock()
        if left < most:
            left = self._left[kind] = min(most, left + (now - self._seen[kind]) * rate / 60)
        self._seen[kind] = now
        if left < 1:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many of {kind.name}")
        self._left[kind] = left - 1

    def earn(self, sent: int) -> None:
        """So many bytes of body were sent: they entitle the client to window updates."""
        self._left[Kind.UPDATE] += sent / _BYTES_PER_UPDATE

    def earn_request(self) -> None:
        """A request was opened, and its window perhaps widened."""
        self._left[Kind.UPDATE] += _UPDATES_PER_REQUEST

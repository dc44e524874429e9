"""Which stream sends next (RFC 9218 §10).

The most urgent first. Of the same urgency, those whose parts are of use by themselves take turns,
and the others go one after the other, in the order of their requests; where there are both kinds,
the two take turns.
"""

from __future__ import annotations

import heapq
from collections import deque

from proxy.server.http2.priority import URGENCIES
from proxy.server.http2.streams import Stream


class _Level:
    """The streams of one urgency."""

    __slots__ = ("_one_by_one", "_other", "_side_by_side")

    def __init__(self) -> None:
        self._side_by_side: deque[Stream] = deque()
        self._one_by_one: list[tuple[int, Stream]] = []
        self._other = False

    def add(self, stream: Stream) -> None:
        if stream.priority.incremental:
            self._side_by_side.append(stream)
        else:
            heapq.heappush(self._one_by_one, (stream.id, stream))

    def pop(self) -> Stream | None:
        if self._one_by_one and (self._other or not self._side_by_side):
            self._other = False
            return heapq.heappop(self._one_by_one)[1]
        self._other = True
        return self._side_by_side.popleft() if self._side_by_side else None


class Schedule:
    """The streams of a connection that have something to send. Each is in it once."""

    __slots__ = ("_levels", "_waiting")

    def __init__(self) -> None:
        self._levels: list[_Level | None] = [None] * URGENCIES
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, stream: Stream) -> None:
        """The stream could send. Adding it again changes nothing.

        Those that have ended meanwhile, or have nothing left, are passed over by `next`; a
        changed priority counts from the stream's next turn on.
        """
        if not stream.waiting:
            stream.waiting = True
            self._waiting += 1
            urgency = stream.priority.urgency
            level = self._levels[urgency]
            if level is None:
                level = self._levels[urgency] = _Level()
            level.add(stream)

    def next(self) -> Stream | None:
        """Takes out the stream whose turn it is; None when none waits."""
        if self._waiting:
            for level in self._levels:
                stream = level.pop() if level is not None else None
                if stream is not None:
                    stream.waiting = False
                    self._waiting -= 1
                    return stream
        return None

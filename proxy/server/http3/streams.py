"""Request streams: as HTTP/2 has them, with what differs where QUIC keeps the windows. Pure."""

from __future__ import annotations

from proxy.server.http2.streams import Stream as Http2Stream
from proxy.server.http3.frames import FrameReader, Kind
from proxy.server.http3.quic import STREAM_WINDOW

_WHOLE = frozenset({Kind.HEADERS})


class Stream(Http2Stream):
    """A request and its response.

    Attributes:
        reader: takes its frames apart.
        begun: whether its head is here.
        reading: whether what still comes of its request is looked at.
    """

    __slots__ = ("begun", "reader", "reading")

    def __init__(self, stream_id: int, max_header_size: int) -> None:
        super().__init__(stream_id, STREAM_WINDOW, None)
        self.reader = FrameReader(_WHOLE, max_header_size)
        self.begun = False
        self.reading = True

    def promise(self, length: int | None) -> None:
        """The head says how long the body is."""
        self._to_come = length


class Known:
    """Which streams were ever opened: their numbers rise, but they may come out of order."""

    __slots__ = ("_above", "_floor", "highest")

    def __init__(self) -> None:
        self._floor = 0
        self._above: set[int] = set()
        self.highest = -4

    def add(self, stream_id: int) -> bool:
        """Notes a request's stream; whether it is a new one."""
        if stream_id < self._floor or stream_id in self._above:
            return False
        self._above.add(stream_id)
        self.highest = max(self.highest, stream_id)
        while self._floor in self._above:
            self._above.remove(self._floor)
            self._floor += 4
        return True

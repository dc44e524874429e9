"""Which HTTP/2 stream sends next: they take turns, as far as their windows let them.

Decides and frames without awaiting; the connection does the writing.
"""

from __future__ import annotations

from collections import deque

from h2.connection import H2Connection
from h2.exceptions import ProtocolError

from proxy.server.boxes import Outbox

# One stream's turn: four full frames go out as one write; more would make its siblings wait.
_TURN = 4 * 2**14


class Turns:
    """The outboxes of one connection, and the order in which they are emptied."""

    def __init__(self, connection: H2Connection) -> None:
        self._connection = connection
        self._outboxes: dict[int, Outbox] = {}
        self._queue: deque[int] = deque()

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._outboxes

    def __getitem__(self, stream_id: int) -> Outbox:
        return self._outboxes[stream_id]

    def add(self, stream_id: int) -> None:
        """A stream has begun."""
        self._outboxes[stream_id] = Outbox()

    def remove(self, stream_id: int) -> None:
        """A stream is over; what it still had is dropped."""
        self._outboxes.pop(stream_id).close()

    def offer(self, stream_id: int) -> None:
        """A stream has something to send."""
        if stream_id not in self._queue:
            self._queue.append(stream_id)

    def offer_all(self) -> None:
        """A window opened: every stream that has something may try again."""
        for stream_id, outbox in self._outboxes.items():
            if outbox.ready:
                self.offer(stream_id)

    def next(self) -> int | None:
        """The stream whose turn it is, or None when all wait."""
        return self._queue.popleft() if self._queue else None

    def frame(self, stream_id: int) -> int:
        """Frames a turn of this stream, and queues it again if it could go on at once.

        Returns how many bytes of body; call `settle` when they are written.
        """
        outbox = self._outboxes.get(stream_id)
        if outbox is None:
            return 0
        try:
            sent, blocked = self._frame(stream_id, outbox)
        except (ProtocolError, KeyError):
            outbox.close()  # the stream or the connection ended in the meantime
            return 0
        if outbox.ready and not (outbox.sent_last or blocked):
            self.offer(stream_id)
        return sent

    def _frame(self, stream_id: int, outbox: Outbox) -> tuple[int, bool]:
        room, blocked = _TURN, False
        while outbox.ready and not outbox.sent_last and room > 0:
            window = self._connection.local_flow_control_window(stream_id)
            most = min(window, self._connection.max_outbound_frame_size, room)
            blocked = len(outbox) > 0 and most <= 0
            if blocked:
                break
            data = outbox.take(most)
            outbox.sent_last = outbox.last
            self._send(stream_id, data, outbox)
            room -= len(data)
        return _TURN - room, blocked

    def _send(self, stream_id: int, data: bytes, outbox: Outbox) -> None:
        trailers = outbox.trailers if outbox.last else []
        if data or not trailers:
            end = outbox.last and not trailers
            self._connection.send_data(stream_id, data, end_stream=end)
        if trailers:
            self._connection.send_headers(stream_id, trailers, end_stream=True)

    def settle(self, stream_id: int) -> None:
        """What was framed is written: whoever waited for that goes on."""
        outbox = self._outboxes.get(stream_id)
        if outbox is not None:
            outbox.finished = outbox.finished or outbox.sent_last
            outbox.wake()

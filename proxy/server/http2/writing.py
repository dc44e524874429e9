"""Writing to the transport of an HTTP/2 connection: no more than the kernel has room for."""

from __future__ import annotations

import asyncio

from proxy.server.files import FileToSend
from proxy.server.http2.connection import Connection
from proxy.server.http2.owner import Waiter
from proxy.server.http2.straight import MOST, PAYLOAD, FramedScratch, content_of
from proxy.server.http2.streams import Stream
from proxy.server.room import ENOUGH, FOUR_RECORDS, RECORD, Room, behind, tls_piece
from proxy.server.state import ClientProtocol, Peer, ServerState

# Bytes joined into one write, and what the transport may hold before we wait for the client.
WRITE = 2**16
# In clear we wait until the kernel has taken everything. TLS encrypts at once what it is given and
# keeps the memory, so that it gets no more than makes one packet, and only when the kernel has
# room. (uvloop's TLS never wakes a writer whose high water is 0.)
_WRITE_TLS = tls_piece(0) // RECORD * PAYLOAD
_HIGH_WATER, _HIGH_WATER_TLS = 0, 2**15
# So many bytes beyond that leave with the rest: for them alone nothing is encrypted and written.
_CRUMBS = 1024
_FRAMED = FramedScratch()


class Writing(ClientProtocol):
    """The writing side of a connection.

    Attributes:
        connection: its state.
        paused: whether the transport holds as much as it should.
        waiting: exchanges that have more to send when there is room.
    """

    connection: Connection

    def __init__(self, state: ServerState, peer: Peer) -> None:
        super().__init__(state, peer)
        self._loop = asyncio.get_running_loop()
        self.paused = False
        self.waiting: set[Waiter] = set()
        self._room: Room | None = None
        self._credit = self._written = 0
        self._most = _WRITE_TLS if peer.tls else WRITE
        self._closing = False
        self._progress = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Has the transport hold little."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(_HIGH_WATER_TLS if self.peer.tls else _HIGH_WATER)

    def connection_lost(self, error: Exception | None) -> None:
        """Waits for no more room."""
        if self._room is not None:
            self._room.forget()
            self._room.close()
            self._room = None
        super().connection_lost(error)

    def _over(self) -> bool:
        """Whether nothing more can be written: a transport that failed is closing by itself."""
        return self._closing or self.transport.is_closing()

    def _may_write(self) -> bool:
        """Whether the transport takes more without keeping it; in clear it says so itself."""
        return not self.peer.tls or self.has_room()

    def _write(self) -> int:
        """Writes what is ready, as much as one write should have; returns how many bytes."""
        pieces = self.connection.sender.take(self._most)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.transport.write(data)
        self._credit -= len(data)
        self._written += len(data)
        if self.peer.tls:
            self._most = tls_piece(self._written) // RECORD * PAYLOAD
        self.connection.budget.earn(len(data))
        return len(data)

    def send_straight(self, stream: Stream, file: FileToSend, left: int) -> int:
        """Reads and writes what there is room for, of a stream that is alone; returns how many
        bytes of the file. 0 where others have something to send, or wait for room too."""
        sender, waiting = self.connection.sender, self.waiting
        if stream.unsent or not sender.idle or (waiting and any(o.has_room() for o in waiting)):
            return 0
        if stream.id not in self.connection.streams or self._over():
            return 0
        if not self.room_for(stream):
            return 0
        narrow = stream.outflow if stream.outflow.size < sender.outflow.size else sender.outflow
        size = min(narrow.portion(), left, MOST)
        framed, written = _FRAMED.read(file, stream.id, size, left), 0
        step = tls_piece(self._written) if self.peer.tls else FOUR_RECORDS
        if len(framed) - step <= _CRUMBS:
            step = len(framed)
        while written < len(framed) and not self.paused and self.has_room():
            piece = framed[written : written + step]
            self.transport.write(piece)
            self._credit -= len(piece)
            written += len(piece)
        if self.transport.get_write_buffer_size():
            _FRAMED.give_away()  # the transport has kept some of it
        sent = content_of(written)
        sender.sent_straight(stream, sent)
        self._written += written
        self.connection.budget.earn(written)
        self._progress = self._loop.time()
        return sent

    def room_for(self, stream: Stream) -> int:
        """How many bytes of the stream could be written at once, beyond those that wait already.

        Without these a window's last byte would be read again and again, one by one.
        """
        window = min(stream.outflow.size, self.connection.sender.outflow.size) - stream.unsent
        if window <= 0 or self.paused:
            return 0
        return window if self._credit > 0 or self.has_room() else 0

    def taken_beside(self, stream: Stream) -> int | None:
        """As `Owner` says: of all streams, or None where this one's own window is shut."""
        if stream.outflow.size <= 0 or self._over():
            return None
        return self._written - behind(self.transport)

    def readers(self) -> int:
        """How many streams wait for the client to take something; at least 1."""
        return max(1, sum(one.unsent > 0 for one in self.connection.streams.values()))

    def has_room(self) -> bool:
        """Whether the kernel has room, as far as is known; if not, we are paused until it has."""
        if self._credit > 0:
            return True
        if self._room is None:
            try:
                self._room = Room(self.transport)
            except OSError:
                return True  # no descriptor left to ask by
        if self._room.there():
            self._credit = ENOUGH
            return True
        self.paused = True
        self._room.tell(self._room_again)
        return False

    def _room_again(self) -> None:
        if self._room is not None:
            self._room.forget()
        self.resume_writing()

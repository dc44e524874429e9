"""Reading on from a client that was told to go, so that a reset does not overtake what it was told.

It may go on sending for a while, and to read that would cost us more than it. So the kernel is told
to forget what has come, uncopied, a piece in the connection's turn, and with pauses, which grow
where there was nothing. A client that listens leaves in the first of them.
"""

from __future__ import annotations

import asyncio
import os
import socket

from proxy.server.turns import Turns

# Seconds we read on at most, and between two looks; twice as many when there was nothing.
_READ_ON, _PAUSE = 2.0, 0.005
# Bytes forgotten at once.
_PIECE = 2**18


def linger(transport: asyncio.Transport, turns: Turns, party: str | None) -> Lingering | None:
    """Closes a connection once its client has heard what was written, or does so after a while."""
    if not transport.can_write_eof():
        transport.close()  # TLS reads on by itself until the client has heard
        transport.resume_reading()
        return None
    try:
        transport.write_eof()
        return Lingering(transport, turns, party)
    except OSError:  # the client is gone, or there are no descriptors left
        transport.close()
        return None


class Lingering:
    """The last moments of a connection in clear. `end` it when the connection is gone."""

    __slots__ = (
        "_gone",
        "_last",
        "_loop",
        "_next",
        "_own",
        "_pause",
        "_transport",
        "_turns",
        "party",
    )

    def __init__(self, transport: asyncio.Transport, turns: Turns, party: str | None) -> None:
        """Raises `OSError` if there are no descriptors left."""
        known = transport.get_extra_info("socket")
        number = os.dup(known.fileno())
        self._own = socket.socket(known.family, known.type, known.proto, fileno=number)
        self._loop = asyncio.get_running_loop()
        self._transport, self._turns, self.party = transport, turns, party
        self._pause, self._gone = _PAUSE, False
        self._last = self._loop.call_later(_READ_ON, transport.abort)
        transport.pause_reading()
        self._next = self._loop.call_later(_PAUSE, self._look)

    def _look(self) -> None:
        self._turns.take(self)

    def work(self) -> bool:
        """Forgets a piece, and comes again after a pause. Closes if nothing more will come."""
        if self._gone:
            return False
        try:
            size = len(self._own.recv(_PIECE, socket.MSG_TRUNC | socket.MSG_DONTWAIT))
        except BlockingIOError:
            self._pause *= 2
            size = -1
        except OSError:
            size = 0
        if size:
            self._next = self._loop.call_later(self._pause, self._look)
        else:
            self._transport.close()
        return False

    def end(self) -> None:
        """The connection is gone."""
        self._gone = True
        self._last.cancel()
        self._next.cancel()
        self._own.close()

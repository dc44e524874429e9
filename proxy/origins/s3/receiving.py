"""How much is received from a store at a time: little until whoever reads has been quick.

Only the piece that a reader has taken and is not done with is held; the next is received when it
is asked for, since the kernel's buffer reads ahead anyway. The reader of each answer begins with
small pieces. Large ones, which cost less processor time, are for a reader that has taken more than
the kernel takes for one that stopped at once.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Final, cast

from aiohttp.client_proto import ResponseHandler

# aiohttp stops reading as soon as twice as much is unread: after each piece.
READ_BUFFER: Final = 4 * 1024
SMALL: Final = 64 * 1024
LARGE: Final = 256 * 1024
# Bytes taken without a long wait. The kernel holds 512 KiB for a client that stopped, and what its
# windows let through.
_QUICK: Final = 1024 * 1024
# Seconds for one piece: slower than 1 MB/s, and the processor time is no matter.
_LONG: Final = 0.05


class Handler(ResponseHandler):
    """aiohttp's own, that says how much it wants at a time.

    Attributes:
        room: most bytes of the next piece.

    Args:
        memory: `LARGE` bytes that it shares with others of the same event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, memory: memoryview) -> None:
        super().__init__(loop=loop)
        self._memory = memory
        self.room = SMALL
        self._quick = self._received = 0
        self._taken_at = 0.0
        self._is_taken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Receives by way of a `Receiver`."""
        super().connection_made(transport)
        cast("asyncio.Transport", transport).set_protocol(Receiver(self, self._memory))

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401  # aiohttp's
        """Another answer, for another reader."""
        self.room, self._quick, self._is_taken = SMALL, 0, False
        super().set_response_params(**params)

    def hurry(self) -> None:
        """The reader of this answer is quick."""
        self.room, self._quick = LARGE, _QUICK

    def received(self, data: bytes) -> None:
        """A piece from the store."""
        self._received += len(data)
        self.data_received(data)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """All that was received has been taken: aiohttp would go on, but its reader may be slow."""
        if not self._reading_paused:
            super().resume_reading(resume_parser)
        elif not self._is_taken:
            self._is_taken, self._taken_at = True, monotonic()

    def go_on(self) -> None:
        """The reader wants more."""
        if not self._is_taken:
            return
        self._is_taken = False
        is_slow = monotonic() - self._taken_at > _LONG
        self._quick = 0 if is_slow else self._quick + self._received
        self._received = 0
        self.room = LARGE if self._quick >= _QUICK else SMALL
        super().resume_reading()


class Receiver(asyncio.BufferedProtocol):
    """Between a transport and a handler: reads no more at a time than there is room for.

    All connections of a store read into the same memory, since what was read is copied before
    anything else is.
    """

    __slots__ = ("_handler", "_memory")

    def __init__(self, handler: Handler, memory: memoryview) -> None:
        self._handler, self._memory = handler, memory

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Where the next bytes go."""
        return self._memory[: self._handler.room]

    def buffer_updated(self, nbytes: int) -> None:
        """So many came."""
        self._handler.received(bytes(self._memory[:nbytes]))

    def eof_received(self) -> None:
        """Nothing more comes."""
        self._handler.eof_received()

    def pause_writing(self) -> None:
        """The store does not take what is sent."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """It takes it again."""
        self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._handler.connection_lost(exc)

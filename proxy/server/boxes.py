"""The two small buffers between a protocol and the app: an outbox per HTTP/2 stream, an inbox
per request. Each is bounded and knows no transport.

Hypercorn's `StreamBuffer` lets the app go on when the piece just *taken* is small; with a closed
window that piece is empty, so that a client which stops reading makes the server buffer the whole
body. The outbox looks at what *remains*.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

# The app may go on when less than this remains: two full frames, so that the connection always
# has one to send while the app fetches more (Hypercorn's own choice of high water).
LOW_WATER = 2 * 2**14
# An unread request body waits in here; as much as HTTP/2's initial window (RFC 9113 §6.9.2).
MOST_UNREAD = 65_535


class Outbox:
    """Bytes of one stream that wait for its flow-control window.

    It keeps what the app handed over as it is, without a copy, and the app waits in `room`: so
    it holds one buffer of the app's and less than `LOW_WATER` of the one before. Whoever takes
    calls `wake` once what was taken is on its way.
    """

    __slots__ = (
        "_change",
        "_pieces",
        "_size",
        "closed",
        "ended",
        "finished",
        "sent_last",
        "trailers",
    )

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._size = 0
        self._change = asyncio.Event()
        self.ended = self.sent_last = self.finished = self.closed = False
        self.trailers: list[tuple[bytes, bytes]] = []

    def __len__(self) -> int:
        return self._size

    @property
    def ready(self) -> bool:
        """Whether there is something to send: bytes, or the end."""
        return not self.closed and (self._size > 0 or (self.ended and not self.finished))

    @property
    def last(self) -> bool:
        """Whether nothing will follow what was taken."""
        return self.ended and self._size == 0

    def put(self, data: bytes | memoryview) -> None:
        """Adds bytes; wait for `room` next. Raises `ConnectionResetError` when it is closed."""
        if self.closed or self.ended:
            raise ConnectionResetError("the stream is closed")
        self._pieces.append(memoryview(data))
        self._size += len(data)

    def end(self, trailers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Nothing more will be put; trailers go behind the last byte. Wait until `sent` next."""
        self.ended = True
        self.trailers = trailers or []

    async def room(self) -> None:
        """Waits until more may be put; raises `ConnectionResetError` once it is closed."""
        while self._size >= LOW_WATER and not self.closed:
            await self._changed()
        self._check_open()

    async def sent(self) -> None:
        """Waits until all is sent, the end too; raises `ConnectionResetError` once closed."""
        while not (self.finished or self.closed):
            await self._changed()
        self._check_open()

    async def _changed(self) -> None:
        self._change.clear()
        await self._change.wait()

    def _check_open(self) -> None:
        if self.closed:
            raise ConnectionResetError("the stream is closed")

    def take(self, most: int) -> bytes:
        """Takes at most so many bytes, in order."""
        taken: list[memoryview] = []
        while self._pieces and most > 0:
            piece = self._pieces.popleft()
            if len(piece) > most:
                self._pieces.appendleft(piece[most:])
                piece = piece[:most]
            taken.append(piece)
            most -= len(piece)
        data = b"".join(taken)
        self._size -= len(data)
        return data

    def wake(self) -> None:
        """Lets those go on who waited for what has become true."""
        self._change.set()

    def close(self) -> None:
        """Drops what is left and wakes who waits. Safe twice."""
        self.closed = not self.finished
        self._pieces.clear()
        self._size = 0
        self._change.set()


class Inbox:
    """The request body on its way to the app, and the news that the client is gone.

    Args:
        credit: called with the number of bytes the app took, to reopen a window; or None.
    """

    __slots__ = ("_change", "_credit", "_ended", "_gone", "_pieces", "_size", "_told")

    def __init__(self, credit: Callable[[int], Awaitable[None]] | None = None) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._change = asyncio.Event()
        self._credit = credit
        self._ended = self._told = self._gone = False

    def put(self, data: bytes) -> None:
        """Adds bytes of the body; drops them when the request is over."""
        if not self._gone:
            self._pieces.append(data)
            self._size += len(data)
            self._change.set()

    async def room(self) -> None:
        """Waits until less than `MOST_UNREAD` is unread, or the request is over."""
        while self._size >= MOST_UNREAD and not self._gone:
            self._change.clear()
            await self._change.wait()

    def end(self) -> None:
        """The body is complete."""
        self._ended = True
        self._change.set()

    def close(self) -> int:
        """The request is over, or the client gone: from now on the app hears only that.

        Returns how many bytes were left unread. Safe twice.
        """
        unread, self._size = self._size, 0
        self._gone = True
        self._pieces.clear()
        self._change.set()
        return unread

    async def receive(self) -> dict[str, object]:
        """The next ASGI message for the app."""
        while not (self._gone or self._pieces or (self._ended and not self._told)):
            self._change.clear()
            await self._change.wait()
        if self._gone:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._told = self._ended
        self._change.set()
        if self._credit is not None and body:
            await self._credit(len(body))
        return {"type": "http.request", "body": body, "more_body": not self._ended}

"""What an exchange asks of the connection it is on, over HTTP/2 or HTTP/3."""

from __future__ import annotations

from typing import Protocol

from proxy.server.field_blocks import BlockWriter
from proxy.server.http2.faults import ErrorCode
from proxy.server.http2.straight import Direct
from proxy.server.http2.streams import Stream
from proxy.server.state import Peer, ServerState

Buffer = bytes | memoryview


class Sending(Protocol):
    """The sending side of a connection."""

    def head(self, stream: Stream, block: bytes, *, end: bool = False) -> None:
        """Sends a head; an informational one too."""

    def whole(self, stream: Stream, block: bytes, body: Buffer, largest: int = 0) -> bool:
        """Sends a whole response at once, if there is room for it."""

    def body(self, stream: Stream, data: Buffer, *, end: bool, trailers: bytes = b"") -> None:
        """Sends more of a body as there is room; `end` after its last piece."""


class Carrier(Protocol):
    """What an exchange asks of its connection's state."""

    @property
    def sender(self) -> Sending:
        """The sending side."""

    def credit(self, stream: Stream, size: int) -> None:
        """So many bytes of a request's body were read."""

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Breaks a stream off, on both sides."""


class Waiter(Protocol):
    """Who waits for room."""

    def has_room(self) -> bool:
        """Whether there is some."""

    def try_again(self) -> None:
        """The connection can write, or its windows grew."""


class Owner(Direct, Protocol):
    """The connection an exchange is on.

    Attributes:
        version: of HTTP, as in an ASGI scope.
        blocks: writes heads and trailers.
        also: fields that every answer of this connection has, as `blocks` writes them.
        paused: whether nothing can be written at the moment.
        waiting: exchanges that have more to send when there is room.
    """

    state: ServerState
    peer: Peer
    version: str
    blocks: BlockWriter
    also: bytes
    paused: bool
    waiting: set[Waiter]

    @property
    def connection(self) -> Carrier:
        """Its state."""

    def flush_soon(self) -> None:
        """Writes what is ready, once all who have something to say have said it."""

    def taken_beside(self, stream: Stream) -> int | None:
        """How many bytes of all streams the client has taken; None if it is not these that the
        stream waits for, but its own window."""

    def readers(self) -> int:
        """How many streams wait for the client to take something, itself included; at least 1."""

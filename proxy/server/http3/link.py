"""The socket of one connection: what comes from its client, and what goes there.

QUIC believes that anything may be lost, so that errors of single datagrams are passed over. But
what the kernel has no room for is kept, and no more is made until it has.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aioquic.quic.configuration import QuicConfiguration

Address = tuple[object, ...]

# Datagrams read in one turn of the loop: one or two milliseconds.
_AT_ONCE = 16
# Datagrams that wait for the kernel: aioquic's pacing makes no more at once.
_MOST_OUT = 64


class Link:
    """A UDP socket that is connected to `client`, which it owns.

    `elsewhere` sends to other addresses: to one that the client may be moving to.
    """

    def __init__(
        self, own: socket.socket, client: Address, elsewhere: Callable[[bytes, Address], None]
    ) -> None:
        self._socket = own
        self.client = client
        self._elsewhere = elsewhere
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._room: Callable[[], None] = _nobody

    @property
    def host(self) -> tuple[str, int]:
        """Our own end."""
        host, port, *_ = self._socket.getsockname()
        return host, port

    @property
    def full(self) -> bool:
        """Whether the kernel has no room for more."""
        return bool(self._out)

    def open(self, ready: Callable[[], None], room: Callable[[], None]) -> None:
        """Calls `ready` when something came, and `room` when there is some again."""
        self._room = room
        self._loop.add_reader(self._socket, ready)

    def close(self) -> None:
        """Calls nobody any more, and closes the socket."""
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def receive(self) -> Iterator[bytes]:
        """Some of the datagrams that are here; stop asking once it is closed."""
        for _ in range(_AT_ONCE):
            try:
                yield self._socket.recv(2**16)
            except OSError:  # none, or the client's port is closed, which QUIC does not believe
                return

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Sends what it can, and keeps the rest for when there is room."""
        for data, client in datagrams:
            if client != self.client:
                self._elsewhere(data, client)
            elif self._out or not self._send_one(data):
                self._out.append(data)
        if self._out:
            del self._out[_MOST_OUT:]
            self._loop.add_writer(self._socket, self._send_rest)

    def _send_one(self, data: bytes) -> bool:
        try:
            self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            pass
        return True

    def _send_rest(self) -> None:
        while self._out and self._send_one(self._out[0]):
            del self._out[0]
        if not self._out:
            self._loop.remove_writer(self._socket)
            self._room()

    def follow(self, client: Address | None) -> None:
        """The client is at this address now (RFC 9000 §9): the socket goes with it."""
        if client is None or client == self.client:
            return
        try:
            self._socket.connect(client)
        except OSError:
            return
        self.client = client


def _nobody() -> None:
    """Before it is open."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a connection begins with.

    Attributes:
        link: its own socket.
        original_id: what the client called us first, `retry_id`: what it was told to.
        configuration: aioquic's.
    """

    link: Link
    original_id: bytes
    retry_id: bytes | None
    configuration: QuicConfiguration

"""Whether the kernel has room for more bytes of a connection, and waiting until it has.

A TLS transport takes what it is given, encrypts it and keeps it, however full the kernel is: up to
its own limit, which can't be set, and beside the memory it has once used. Who asks the kernel
first leaves nothing there.

uvloop waits for no descriptor that is a transport's, so that it is a duplicate that is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import sys
import termios
from collections.abc import Callable

_OUTPUT_QUEUE: int | None = getattr(termios, "TIOCOUTQ", None)

# What the kernel may hold of a connection beyond what is on the wire. Without a bound a reader
# that stops costs it 4 MB. SO_SNDBUF would bound the speed of distant clients too; this does not,
# but a smaller one costs processor time: s/GB in clear 0.28 with 128 KiB, 0.25 with 512 KiB, 0.22
# with 1 MiB, 0.20 without.
UNSENT = 512 * 1024
# That of a client that takes a file quickly. What it holds then is no memory of its own, but pages
# that are in memory anyway.
UNSENT_QUICK = 8 * UNSENT
# What TLS is given at once where there is room: four records, a little short, so that they leave
# as one packet of 64 KiB, headers and all. Half a packet costs the kernel as much as a whole one.
# But TLS keeps as much memory as it was ever given, so that it gets half of that of a client which
# has not yet taken so many bytes of this connection.
RECORD = 16 * 1024 - 64
FOUR_RECORDS, PROVEN = 4 * RECORD, 4 * 1024 * 1024
# Where there is room, there is for so much: the kernel says so when half of what it may hold unsent
# is free. Asked less often, it also wakes us less often.
ENOUGH = 2 * FOUR_RECORDS


def untaken(number: int) -> int:
    """How many bytes the kernel has that a socket's other end has not acknowledged; 0 if nobody
    knows."""
    if _OUTPUT_QUEUE is None or number < 0:
        return 0
    try:
        answer = fcntl.ioctl(number, _OUTPUT_QUEUE, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def behind(transport: asyncio.Transport) -> int:
    """How many bytes that a transport was given its other end does not have yet."""
    own = transport.get_extra_info("socket")
    return transport.get_write_buffer_size() + untaken(own.fileno())


def tls_piece(sent: int) -> int:
    """How many bytes TLS is given at once on a connection on which so many were sent."""
    return FOUR_RECORDS if sent >= PROVEN else FOUR_RECORDS // 2


class Room:
    """Asks for one connection; `close` it.

    Attributes:
        out: the connection's socket once more, which may be written past the transport as long
            as that has nothing to write.
    """

    __slots__ = ("_holds", "_poll", "out")

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        """Raises `OSError` if there are no descriptors left."""
        own = transport.get_extra_info("socket")
        number = os.dup(own.fileno())
        self.out = socket.socket(own.family, own.type, own.proto, fileno=number)
        self._poll: select.poll | None = None
        self._holds = UNSENT

    def there(self) -> bool:
        """Whether there is some; so too if the connection is gone."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.out, select.POLLOUT)
        return bool(self._poll.poll(0))

    def untaken(self) -> int:
        """How many bytes the kernel has that the client has not acknowledged; 0 if nobody knows."""
        return untaken(self.out.fileno())

    def hold(self, unsent: int) -> None:
        """Has the kernel hold so many bytes beyond what is on the wire, until `close`."""
        if unsent == self._holds:
            return
        self._holds = unsent
        with contextlib.suppress(OSError):  # a connection that is gone, or a Unix socket
            self.out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent)

    def tell(self, callback: Callable[[], None]) -> None:
        """Calls it as long as there is room, until `forget`."""
        asyncio.get_running_loop().add_writer(self.out.fileno(), callback)

    def forget(self) -> None:
        """Calls nobody any more."""
        asyncio.get_running_loop().remove_writer(self.out.fileno())

    def close(self) -> None:
        """Gives the duplicate back."""
        self.hold(UNSENT)
        self.out.close()

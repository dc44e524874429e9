"""UDP sockets: one that is listened on, and one for each connection.

A connection gets a socket of its own, connected to its client, as soon as its first datagram is
here: the kernel then gives it what comes from there, whichever process listens by then. That is
what lets a worker drain while its successor listens on the same socket.
"""

from __future__ import annotations

import socket
import sys
from typing import NamedTuple

# Bytes: more than any datagram has that is not in a jumbo frame.
_LARGEST = 2**16
# What the kernel may hold of datagrams nobody has read yet (net.core.rmem_max may allow less): the
# beginnings of connections.
_UNREAD = 2**21
# Linux's, which `socket` names only from Python 3.12 on.
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)

Address = tuple[str, int]


class Datagram(NamedTuple):
    """What came, from where, and to which of our addresses ("" if nobody knows)."""

    data: bytes
    client: tuple[object, ...]
    host: str


def listen(one: socket.socket) -> None:
    """Makes a bound socket ready for `receive`."""
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    elif sys.platform == "linux":
        one.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def receive(one: socket.socket) -> Datagram | None:
    """The next datagram, or None if there is none."""
    try:
        data, extra, flags, client = one.recvmsg(_LARGEST, 256)
    except OSError:  # none, or one of ours could not be delivered
        return None
    del flags
    host = ""
    for level, kind, content in extra:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            host = socket.inet_ntop(socket.AF_INET6, content[:16])
        elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            host = socket.inet_ntop(socket.AF_INET, content[8:12])
    return Datagram(data, client, host)


def connect(listener: socket.socket, datagram: Datagram) -> socket.socket:
    """A socket for the client of a datagram; raises `OSError` if there can't be one."""
    own = listener.getsockname()
    one = socket.socket(listener.family, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if listener.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # An address that is of one network only is bound with that network's number, as the
        # client's has it.
        scope = datagram.client[2:] if listener.family == socket.AF_INET6 else ()
        one.bind((datagram.host or own[0], own[1], *scope))
        one.connect(datagram.client)
    except BaseException:
        one.close()
        raise
    return one

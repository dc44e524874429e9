"""Listening sockets: bound by the supervisor, kept open by it, lent to the workers.

Every TCP address has one socket per worker (SO_REUSEPORT), so that the kernel spreads the
connections; a Unix socket is one, shared. A worker that dies leaves its sockets behind in the
supervisor with all connections queued on them, and its successor gets the very same sockets.
An address may have UDP sockets beside, for QUIC, of the same number and the same port.
When there are fewer workers than before, the sockets of an address that stays are divided among
them: closing one would reset what is queued on it.

Nothing here listens: the worker does, once it can serve.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.errors import StartError

_TCP, _UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: either a Unix path, or a host (name or number) and a port."""

    text: str
    path: str = ""
    host: str = ""
    port: int = 0


def parse_address(text: str) -> Address:
    """Reads `host:port`, `[v6]:port` or `unix:/path`; raises `StartError` for anything else."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(text, path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise StartError(f"{text} is not an address: give host:port, [v6]:port or unix:/path")
    return Address(text, host=host, port=int(port))


@dataclass(slots=True)
class Bound:
    """One address and its sockets.

    Attributes:
        shown: where it can be reached, with the port that was chosen if 0 was asked for.
        sockets: for each socket address as many as there have been workers.
        kind: TCP or UDP.
    """

    address: Address
    shown: str
    sockets: list[list[socket.socket]] = field(default_factory=list)
    inode: tuple[int, int] | None = None
    kind: socket.SocketKind = _TCP

    def grow(self, workers: int) -> None:
        """Makes sure there is a socket for each of so many workers."""
        for group in self.sockets:
            while self.inode is None and len(group) < workers:
                first = group[0]
                name = first.getsockname()
                group.append(_bind_shared(first.family, name, self.address.text, self.kind))

    def share(self, index: int, workers: int) -> list[socket.socket]:
        """The sockets of the worker with this index among so many."""
        if self.inode is not None:
            return list(self.sockets[0])
        return [one for group in self.sockets for one in group[index::workers]]

    def close(self) -> None:
        """Closes the supervisor's copies, and takes a Unix socket's file away."""
        for group in self.sockets:
            for one in group:
                one.close()
        if self.inode is not None and _inode(self.address.path) == self.inode:
            os.unlink(self.address.path)


class Listeners:
    """All bound addresses of one plan, each by a name its plan gives it.

    Two plans share a `Bound` where both have the name; see `succeed`.
    """

    def __init__(self) -> None:
        self._bound: dict[str, Bound] = {}

    def succeed(
        self, wanted: Mapping[str, str], workers: int, beside: Mapping[str, str] | None = None
    ) -> Listeners:
        """The listeners of a new plan, addresses by name: what stays is kept, the rest is bound.

        `beside` gives names to the UDP sockets that others have beside them, by their names.
        This one remains as it is, so that a plan that fails later can be dropped: call
        `close_except` on the one that is no longer used. Raises `StartError`, in one line,
        when an address can't be bound; nothing new is then left open.
        """
        successor = Listeners()
        try:
            for name, text in wanted.items():
                bound = self._bound.get(name) or bind(parse_address(text))
                successor._bound[name] = bound
                bound.grow(workers)
            for name, other in (beside or {}).items():
                bound = self._bound.get(name) or bind_beside(successor._bound[other])
                successor._bound[name] = bound
                bound.grow(workers)
        except BaseException:
            successor.close_except(self)
            raise
        return successor

    def close_except(self, other: Listeners) -> None:
        """Closes every address that the other does not have too."""
        kept = {id(bound) for bound in other._bound.values()}
        for bound in self._bound.values():
            if id(bound) not in kept:
                bound.close()

    def share(self, name: str, index: int, workers: int) -> list[socket.socket]:
        """The sockets of one address for one worker."""
        return self._bound[name].share(index, workers)

    def shown(self, name: str) -> str:
        """Where this address can be reached."""
        return self._bound[name].shown


def bind(address: Address) -> Bound:
    """Binds an address (all that its host name means); raises `StartError` in one line."""
    if address.path:
        return _bind_unix(address)
    groups: list[list[socket.socket]] = []
    port = address.port
    try:
        for family, name in _resolve(address):
            if port:
                _probe(family, (name[0], port), address.text)
            groups.append([_bind_shared(family, (name[0], port), address.text)])
            port = port or groups[0][0].getsockname()[1]
    except BaseException:
        for (one,) in groups:
            one.close()
        raise
    host = f"[{address.host}]" if ":" in address.host else address.host
    return Bound(address, f"{host}:{port}", groups)


def bind_beside(other: Bound) -> Bound:
    """Binds UDP where another address has TCP; raises `StartError` in one line."""
    groups: list[list[socket.socket]] = []
    text = f"{other.shown} for HTTP/3 (UDP)"
    try:
        for first, *_ in other.sockets:
            name = first.getsockname()
            _probe(first.family, name, text, _UDP)
            groups.append([_bind_shared(first.family, name, text, _UDP)])
    except BaseException:
        for (one,) in groups:
            one.close()
        raise
    return Bound(other.address, other.shown, groups, kind=_UDP)


def _resolve(address: Address) -> list[tuple[int, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise StartError(f"Can't listen on {address.text}: {reason}") from None
    return list(dict.fromkeys((one[0].value, (str(one[4][0]), address.port)) for one in found))


def _socket(family: int, kind: socket.SocketKind) -> socket.socket:
    one = socket.socket(family, kind)
    if kind == _TCP:  # with UDP this would share the port
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return one


def _probe(family: int, name: tuple[str, int], text: str, kind: socket.SocketKind = _TCP) -> None:
    """Binds once without SO_REUSEPORT, which would share a port with another Headgate."""
    with _socket(family, kind) as one:
        _bind_or_explain(one, name, text)


def _bind_shared(
    family: int, name: tuple[str, int], text: str, kind: socket.SocketKind = _TCP
) -> socket.socket:
    one = _socket(family, kind)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind_or_explain(one, name, text)
    except BaseException:
        one.close()
        raise
    return one


def _bind_or_explain(one: socket.socket, name: tuple[str, int] | str, text: str) -> None:
    try:
        one.bind(name)
    except OSError as error:
        raise StartError(f"Can't listen on {text}: {_explain(error)}") from None


def _explain(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "it is in use by another program; stop that one or choose another address"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case errno.EACCES | errno.EPERM:
            return "not permitted; a port below 1024 or this directory needs more rights"
        case errno.ENOENT | errno.ENOTDIR:
            return "the directory does not exist"
        case _:
            return (error.strerror or str(error)).lower()


def _bind_unix(address: Address) -> Bound:
    _clear_stale(address)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_or_explain(one, address.path, address.text)
    except BaseException:
        one.close()
        raise
    return Bound(address, address.text, [[one]], _inode(address.path))


def _clear_stale(address: Address) -> None:
    """Removes the socket file of a server that is gone; refuses to touch anything else."""
    try:
        mode = os.lstat(address.path).st_mode
    except OSError:
        return  # nothing there, or bind will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise StartError(f"Can't listen on {address.text}: there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
        except OSError as error:
            raise StartError(f"Can't listen on {address.text}: {_explain(error)}") from None
        else:
            raise StartError(
                f"Can't listen on {address.text}:"
                " it is in use by another program; stop that one or choose another path"
            )


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

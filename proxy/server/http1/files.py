"""Sends a stretch of a file: in clear by the kernel (`sendfile`), which copies nothing.

The transport doesn't know of it: its own buffer is empty meanwhile. Before each piece its pages
are looked for; those that are not in memory are read in a thread first, so that it is never the
event loop that waits for a disk.

Over TLS, where there is no descriptor left, or where the file system has no sendfile, the bytes
are read and written, but only when the kernel has room for them.
Why so: docs/decisions/0010-files-are-sent-without-copying.md.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Protocol

from proxy.origins.resident import bring, page_cache
from proxy.server.room import Room
from proxy.server.state import Peer
from proxy.server.zero_copy import OFFER_ELSEWHERE, OFFER_IN_CLEAR, PATH

# Sent by one call: 100 µs of work at most.
_PIECE = 1024 * 1024
# Read at once where the kernel can't send it.
_COPIED = 64 * 1024
# Seconds for which pages that were seen in memory are taken to stay there.
_LONG = 0.02
# The file system has no sendfile; reading the file failed. Other errors are the connection's.
_NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_UNREADABLE = {errno.EIO, errno.ESTALE}


class Outlet(Protocol):
    """What sending a file asks of its connection."""

    @property
    def peer(self) -> Peer:
        """Both ends."""
        ...

    @property
    def transport(self) -> asyncio.Transport:
        """Where everything else goes."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        ...

    def must_wait(self, size: int) -> bool:
        """Whether whoever sent so much must `wait` before it sends more."""
        ...

    async def wait(self) -> None:
        """Waits for the client to take what was sent, or for the others to have their turn."""
        ...

    async def write_large(self, body: bytes) -> None:
        """Writes a body so that the transport never holds much of it."""
        ...

    def pause_writing(self) -> None:
        """From now on `wait` waits for `resume_writing`."""
        ...

    def resume_writing(self) -> None:
        """There is room again."""
        ...


def offer(peer: Peer) -> dict[str, dict[str, Any]]:
    """The extensions of the scope: only TCP in clear can be written past the transport."""
    is_tcp = peer.server is not None and peer.server[1] is not None
    return OFFER_IN_CLEAR if is_tcp and not peer.tls else OFFER_ELSEWHERE


class FileToSend:
    """Bytes of a file that an app wants sent. `close` it.

    Attributes:
        count: how many.
        more: whether the body goes on after them.
    """

    __slots__ = (
        "_fetch", "_follows", "_looked_to", "_number", "_offset", "_own", "_taken", "count", "more",
    )  # fmt: skip

    def __init__(self, number: int, offset: int, count: int, *, more: bool) -> None:
        self._number, self._offset, self.count, self.more = number, offset, count, more
        self._own = self._follows = False
        self._looked_to = 0  # as far as the pages are in memory; forgotten when the client pauses
        self._fetch: Callable[[int, int], Awaitable[None]] = partial(_fetch, number)
        self._taken: Callable[[int], None] = _ignore

    @classmethod
    async def of(cls, message: MutableMapping[str, Any]) -> FileToSend:
        """What a message of any of the extensions asks for.

        Raises `OSError` if a path can't be opened, `ValueError` for what can't be sent.
        """
        if message["type"] == PATH:
            number = await asyncio.to_thread(_open, message["path"])
            whole = cls(number, 0, os.fstat(number).st_size, more=False)
            whole._own = True
            return whole
        file, offset, count = message["file"], message.get("offset"), message.get("count")
        number = file if isinstance(file, int) else file.fileno()
        start = os.lseek(number, 0, os.SEEK_CUR) if offset is None else int(offset)
        size = max(0, os.fstat(number).st_size - start) if count is None else int(count)
        if start < 0 or size < 0:
            raise ValueError("offset and count can't be negative")
        part = cls(number, start, size, more=message.get("more_body", False))
        part._follows = offset is None
        part._fetch = getattr(file, "fetch", part._fetch)
        part._taken = message.get("taken", _ignore)
        return part

    def close(self) -> None:
        """Closes a file that was opened here; leaves another where its reader expects."""
        if self._own:
            os.close(self._number)
        elif self._follows:
            os.lseek(self._number, self._offset, os.SEEK_SET)

    async def ready(self) -> None:
        """Waits until the first bytes are in memory; raises what reading the file raises."""
        await self._look(min(self.count, _PIECE))

    async def send(self, outlet: Outlet, head: bytes) -> None:
        """Sends the head and then the bytes.

        Raises `ConnectionResetError` once the client is gone, and what reading the file raises.
        """
        await _take_turn(outlet)
        try:
            room = Room(outlet.transport)
        except OSError:
            room = None
        try:
            if room is None or outlet.peer.tls:
                outlet.transport.write(head)
                await self._copy(outlet, room, self.count)
            else:
                await _send_head(outlet, room.out, head)
                await self._send_all(outlet, room)
        finally:
            if room is not None:
                room.close()

    async def _send_all(self, outlet: Outlet, room: Room) -> None:
        left, out = self.count, room.out.fileno()
        while left:
            size = min(left, _PIECE)
            await self._look(size)
            if outlet.lost:
                raise _gone()
            try:
                sent = os.sendfile(out, self._number, self._offset, size)
            except BlockingIOError:
                await self._wait_for(outlet, room)
                continue
            except OSError as error:
                if error.errno in _NO_SENDFILE:
                    await self._copy(outlet, room, left)
                    return
                sent = await self._explain(error, size)
            if not sent:
                await self._fetch(self._offset, size)
                raise _too_short(left)
            left -= sent
            self._pass(sent)
            if left and sent < size:
                await self._wait_for(outlet, room)
            elif outlet.must_wait(sent):
                await outlet.wait()

    async def _copy(self, outlet: Outlet, room: Room | None, left: int) -> None:
        """Reads and writes what is left."""
        while left:
            while room is not None and not room.there():
                await self._wait_for(outlet, room)
            size = min(left, _COPIED)
            if self._offset + size > self._looked_to:
                await self._look(min(left, _PIECE))
            data = os.pread(self._number, size, self._offset)
            if not data:
                raise _too_short(left)
            await outlet.write_large(data)
            if outlet.must_wait(len(data)):
                await outlet.wait()
            if outlet.lost:
                raise _gone()
            left -= len(data)
            self._pass(len(data))
            del data  # while the client pauses nothing is held for it

    async def _look(self, size: int) -> None:
        """Makes sure that the next bytes are in memory."""
        if self._offset + size <= self._looked_to:
            return
        if not page_cache.holds(self._number, self._offset, size):
            await self._fetch(self._offset, size)
        self._looked_to = self._offset + size

    async def _wait_for(self, outlet: Outlet, room: Room) -> None:
        """Waits until the client can be sent more."""
        loop = asyncio.get_running_loop()
        outlet.pause_writing()
        room.tell(outlet.resume_writing)
        begun = loop.time()
        try:
            await outlet.wait()
        finally:
            room.forget()
        if outlet.lost:
            raise _gone()
        if loop.time() - begun > _LONG:
            self._looked_to = 0

    def _pass(self, count: int) -> None:
        self._offset += count
        self._taken(count)

    async def _explain(self, error: OSError, size: int) -> int:
        """Raises what went wrong; 0 if it was the file and whoever lent it can't say more."""
        if error.errno not in _UNREADABLE:
            raise _gone() from error
        await self._fetch(self._offset, size)
        return 0


async def _take_turn(outlet: Outlet) -> None:
    """Waits until the transport has nothing of its own to write, in clear at least."""
    while not (outlet.lost or outlet.peer.tls) and outlet.transport.get_write_buffer_size():
        await outlet.wait()
    if outlet.lost:
        raise _gone()


async def _send_head(outlet: Outlet, out: socket.socket, head: bytes) -> None:
    """Sends it so that it leaves in one packet with what follows."""
    if not head:
        return
    try:
        sent = out.send(head, getattr(socket, "MSG_MORE", 0))
    except BlockingIOError:
        sent = 0
    except OSError as error:
        raise _gone() from error
    if sent < len(head):
        outlet.transport.write(head[sent:])
        await _take_turn(outlet)


def _gone() -> ConnectionResetError:
    return ConnectionResetError("the client is gone")


def _too_short(left: int) -> RuntimeError:
    return RuntimeError(f"the file ended {left} bytes short")


def _ignore(count: int) -> None:
    """Tells nobody."""


def _open(path: str) -> int:
    """Opens a regular file; for threads."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError(f"{path} is no regular file")
    return number


async def _fetch(number: int, offset: int, count: int) -> None:
    """Has a thread bring bytes into memory. Who stops waiting may close the file: then what is
    read is another's or nothing, and nobody gets it."""
    if not await asyncio.to_thread(bring, number, offset, count):
        raise RuntimeError("the file is shorter than what was to be sent of it")

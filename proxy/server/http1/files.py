"""Sends a stretch of a file: in clear by the kernel (`sendfile`), which copies nothing.

The transport doesn't know of it: its own buffer is empty meanwhile.

Over TLS, where there is no descriptor left, or where the file system has no sendfile, the bytes
are read and written, but only when the kernel has room for them.
Why so: docs/decisions/0010-files-are-sent-without-copying.md.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any, Protocol

from proxy.server.files import AHEAD, FileToSend, Scratch
from proxy.server.room import ENOUGH, UNSENT, UNSENT_QUICK, Room
from proxy.server.state import Peer
from proxy.server.zero_copy import BYTES_OF_PROGRESS, OFFER_ELSEWHERE, OFFER_IN_CLEAR

# Sent by one call: 400 µs of work.
_PIECE = 2 * AHEAD
# Read at once where the kernel can't send it. What there is no room for is read again.
_COPIED = 2 * ENOUGH
_SCRATCH = Scratch(_COPIED)
# Seconds between two questions whether the client has what was sent; they get rarer.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.5
# Seconds within which a quick client makes room: it gets more at once, and wakes us less often.
_SOON = 0.1
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

    def write_scratch(self, body: memoryview, room: Room | None) -> int:
        """Writes as much of a body as there is room for, ENOUGH at least; returns how much."""
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


async def send_file(outlet: Outlet, head: bytes, file: FileToSend) -> None:
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
            await _copy(outlet, room, file, file.count)
        else:
            await _send_in_clear(outlet, room, head, file)
    finally:
        if room is not None:
            room.close()


async def _send_in_clear(outlet: Outlet, room: Room, head: bytes, file: FileToSend) -> None:
    lent = file.count - file.copied
    if lent:
        await _send_head(outlet, room.out, head)
        await _send_all(outlet, room, file, lent)
    else:
        outlet.transport.write(head)
    if file.copied:
        await _copy(outlet, room, file, file.copied)
        await _settle(outlet, room, file)


async def _send_all(outlet: Outlet, room: Room, file: FileToSend, left: int) -> None:
    out = room.out.fileno()
    while left:
        size = min(left, _PIECE)
        await file.look(size)
        if outlet.lost:
            raise _gone()
        try:
            sent = os.sendfile(out, file.number, file.offset, size)
        except BlockingIOError:
            await _wait_for_more(outlet, room)
            continue
        except OSError as error:
            if error.errno in _NO_SENDFILE:
                await _copy(outlet, room, file, left)
                return
            if error.errno not in _UNREADABLE:
                raise _gone() from error
            sent = 0
        if not sent:
            await file.explain(size)
            raise file.too_short(left)
        left -= sent
        file.passed(sent)
        if left and sent < size:
            await _wait_for_more(outlet, room)
        elif outlet.must_wait(sent):
            await outlet.wait()


async def _copy(outlet: Outlet, room: Room | None, file: FileToSend, left: int) -> None:
    """Reads and writes what is left."""
    while left:
        while room is not None and not room.there():
            await _wait_for(outlet, room)
        size = min(left, _COPIED)
        if not file.is_near(size):
            await file.look(min(left, AHEAD))
        view = _SCRATCH.view(size)
        count = outlet.write_scratch(view[: file.read_into([view], left)], room)
        if outlet.transport.get_write_buffer_size():
            _SCRATCH.give_away()  # the transport has kept some of it
        del view
        if outlet.must_wait(count):
            await outlet.wait()
        if outlet.lost:
            raise _gone()
        left -= count
        file.passed(count)


async def _settle(outlet: Outlet, room: Room, file: FileToSend) -> None:
    """Waits until the client has what was sent before these bytes, which are copies.

    Nothing tells when it is so: the kernel has to be asked now and then.
    """
    pause, before = _FIRST_PAUSE, room.untaken()
    while (untaken := room.untaken()) > file.copied and not outlet.lost:
        if before - untaken >= BYTES_OF_PROGRESS:
            before = untaken
            file.note_progress()
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    if outlet.lost:
        raise _gone()


async def _wait_for_more(outlet: Outlet, room: Room) -> None:
    """As `_wait_for`; a client that is quick is sent more at once from then on."""
    took = await _wait_for(outlet, room)
    room.hold(UNSENT_QUICK if took < _SOON else UNSENT)


async def _wait_for(outlet: Outlet, room: Room) -> float:
    """Waits until the client can be sent more; returns for how many seconds."""
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
    return loop.time() - begun


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

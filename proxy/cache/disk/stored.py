"""A slice in a file: each block is compared with its check value whenever it is read.

Pages that are in memory are read at once, on the event loop; the others by a thread.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Final

from proxy.cache.disk.format import TRAILER_SIZE, Label, footer_size, read_footer
from proxy.cache.rules.checking import BLOCK, agree
from proxy.cache.rules.pace import Pace
from proxy.cache.rules.standing import Standing
from proxy.errors import OriginFault
from proxy.origins.threads import Descriptor, Threads

# What is read and given at once, at most: two blocks. A reader that stops holds no more than that,
# and one that was not quick before only one (`proxy.cache.rules.pace`).
READ: Final = 2 * BLOCK
# One for the whole process, since nothing is awaited between filling it and copying from it. One
# for each read would have to be cleared first, and leave the processor's cache.
_HOT: Final = memoryview(bytearray(READ))
# Read without letting others have a turn: 100 µs of copying and checking.
_TURN: Final = 1024 * 1024

# How a slice is read on the event loop: only what is in memory, where the system can tell; or, of
# a file system in memory, which can't tell, whatever there is. None: not at all.
IF_IN_MEMORY: Final[int | None] = getattr(os, "RWF_NOWAIT", None)
AT_ONCE: Final = 0


class SliceGone(Exception):
    """The slice was dropped, is damaged or can't be read: look for it again from here on."""


class StoredSlice:
    """An open slice. Who shares it calls `close` when it is of no more use; readers may go on.

    `damaged` is called once, with its path, when a block is not what was written, and `failing`
    with what happened when the directory does not answer.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        path: str,
        label: Label,
        table: bytes,
        threads: Threads,
        damaged: Callable[[str], None],
        failing: Callable[[OriginFault], None],
        *,
        at_once: int | None = IF_IN_MEMORY,
    ) -> None:
        self.path = path
        self.label = label
        self.table = table
        self._descriptor = descriptor
        self._threads = threads
        self._damaged = damaged
        self._failing = failing
        self._at_once = at_once
        self._readers = 0
        self._closing = False
        self.is_damaged = False

    @property
    def length(self) -> int:
        """Of the slice, in bytes."""
        return self.label.length

    async def read(
        self, start: int, stop: int, standing: Standing | None = None, pace: Pace | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Bytes of the slice, by their places in it; `standing` gets the time that checks took,
        `pace` says how much a piece should have.

        Raises SliceGone if they are damaged, if they can't be had, and if it was closed before.
        """
        if self._descriptor.number < 0:
            raise SliceGone
        self._readers += 1
        try:
            position, turn = start, 0
            while position < stop:
                if turn >= _TURN:
                    turn = 0
                    await asyncio.sleep(0)
                first = position - position % BLOCK
                length = min(pace.size if pace is not None else READ, self.length - first)
                blocks: bytes | memoryview | None = self._read_hot(first, length)
                if blocks is None:
                    turn = 0
                    blocks = await self._wait_for(first, length)
                begun = monotonic()
                right = len(blocks) == length and agree(blocks, self.table, first // BLOCK)
                if standing is not None:
                    standing.verified += monotonic() - begun
                if not right:
                    self._drop()
                    raise SliceGone
                buffer = bytes(blocks[position - first : stop - first])
                position += len(buffer)
                turn += length
                given = monotonic()
                yield buffer
                if pace is not None:
                    pace.took(len(buffer), monotonic() - given)
        finally:
            self._readers -= 1
            if self._closing and not self._readers:
                self._descriptor.close()

    def close(self) -> None:
        """Closes it when the last reader is done."""
        self._closing = True
        if not self._readers:
            self._descriptor.close()

    def _read_hot(self, first: int, length: int) -> memoryview | None:
        """The blocks, if they are in memory; to be copied before anything is awaited."""
        if self._at_once is None:
            return None
        buffer = _HOT[:length]
        try:
            count = os.preadv(self._descriptor.number, [buffer], first, self._at_once)
        except OSError:
            return None  # not in memory, or the file system can't tell
        return buffer if count == length else None

    async def _wait_for(self, first: int, length: int) -> bytes:
        try:
            return await self._threads.run(self._read_cold, first, length)
        except OriginFault as fault:
            self._failing(fault)
            raise SliceGone from None

    def _read_cold(self, first: int, length: int) -> bytes:
        """The blocks, however long it takes; fewer bytes where the file fails, which shows."""
        pieces: list[bytes] = []
        with self._descriptor.in_use() as number:
            while length:
                try:
                    piece = os.pread(number, length, first)
                except OSError:
                    break
                if not piece:
                    break
                pieces.append(piece)
                first, length = first + len(piece), length - len(piece)
        return b"".join(pieces)

    def _drop(self) -> None:
        if not self.is_damaged:
            self.is_damaged = True
            self._damaged(self.path)


def open_stored(path: str) -> tuple[int, Label, bytes] | None:
    """Opens a slice's file and reads its footer; None if there is none that is whole. For threads.

    Raises DamagedSlice for a file that is there and not whole, or that the disk can't read: a bad
    sector is one slice's, and no reason to do without all others.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(number).st_size
        length = footer_size(os.pread(number, TRAILER_SIZE, max(0, size - TRAILER_SIZE)))
        if length is not None and length <= size:
            found = read_footer(os.pread(number, length, size - length), size)
            if found is not None:
                return number, *found
    except OSError as error:
        os.close(number)
        if error.errno == errno.EIO:
            raise DamagedSlice(path) from None
        raise
    except BaseException:
        os.close(number)
        raise
    os.close(number)
    raise DamagedSlice(path)


class DamagedSlice(Exception):
    """A file that should hold a slice does not. Its argument is the path."""

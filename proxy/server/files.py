"""A stretch of a file that an app has given to be sent: what any of the protocols does with it.

Before bytes are sent or read their pages are looked for; those that are not in memory are read in
a thread first, so that it is never the event loop that waits for a disk.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from proxy.origins.resident import bring, page_cache
from proxy.origins.threads import Descriptor
from proxy.server.zero_copy import PATH

# How far ahead pages are looked for, and fetched where they are not in memory; and for how many it
# is asked whether all are.
AHEAD, _FAR = 1024 * 1024, 8 * 1024 * 1024
# Seconds for which pages that were seen in memory are taken to stay there.
_FRESH = 0.1


class Scratch:
    """Where bytes are read that are written at once: one buffer for a whole event loop, since
    nothing is awaited in between. One for each read would leave the processor's cache, and a
    reader that stops would keep it.
    """

    __slots__ = ("_buffer", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._buffer = memoryview(bytearray(size))

    def view(self, size: int) -> memoryview:
        """The first so many bytes of it (at most its size), with anything in them."""
        return self._buffer[:size]

    def give_away(self) -> None:
        """Whoever has views of it keeps them: others get another buffer from now on."""
        self._buffer = memoryview(bytearray(self.size))


class FileToSend:
    """Bytes of a file that an app wants sent. `close` it.

    Attributes:
        count: how many.
        more: whether the body goes on after them.
        copied: how many of them, the last, must be read; if any, those before be with the client in
            the end.
        number: the descriptor.
        offset: where the next of them is.
    """

    __slots__ = (
        "_fetch", "_follows", "_looked_at", "_looked_to", "_own", "_stop", "_taken", "_was_cold",
        "copied", "count", "more", "number", "offset",
    )  # fmt: skip

    def __init__(self, number: int, offset: int, count: int, *, more: bool) -> None:
        self.number, self.offset, self.count, self.more = number, offset, count, more
        self._stop = offset + count
        self._follows = self._was_cold = False
        self.copied = 0
        self._own: Descriptor | None = None
        self._looked_to, self._looked_at = 0, 0.0  # as far as the pages were in memory, and when
        self._fetch: Callable[[int, int], Awaitable[None]] = partial(_fetch, number)
        self._taken: Callable[[int], None] = _ignore

    @classmethod
    async def of(cls, message: MutableMapping[str, Any]) -> FileToSend:
        """What a message of any of the extensions asks for.

        Raises `OSError` if a path can't be opened, `ValueError` for what can't be sent.
        """
        if message["type"] == PATH:
            own = Descriptor()
            try:
                size = await asyncio.to_thread(_open_into, own, message["path"])
            except BaseException:
                own.close()  # in a thread that nobody waits for any more, as soon as it is open
                raise
            whole = cls(own.number, 0, size, more=False)
            whole._own = own
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
        part.copied = min(size, getattr(file, "copied", 0))
        part._was_cold = getattr(file, "was_cold", False)
        part._taken = message.get("taken", _ignore)
        return part

    def close(self) -> None:
        """Closes a file that was opened here; leaves another where its reader expects."""
        if self._own is not None:
            self._own.close()
        elif self._follows:
            os.lseek(self.number, self.offset, os.SEEK_SET)

    async def ready(self) -> None:
        """Waits until the first bytes are in memory; raises what reading the file raises."""
        await self.look(min(self.count, AHEAD))

    def is_near(self, size: int) -> bool:
        """Whether the next bytes are known to be in memory: were a moment ago."""
        near = self.offset + size <= self._looked_to
        return near and monotonic() - self._looked_at < _FRESH

    async def look(self, size: int) -> None:
        """Makes sure that the next bytes are in memory, and with them perhaps those behind."""
        if self.looks_near(size):
            return
        self._was_cold = True
        await self._fetch(self.offset, size)
        self._note(size)

    def looks_near(self, size: int) -> bool:
        """Whether the next bytes are in memory, as is found out if it is not known."""
        if self.is_near(size) or self._look_far():
            return True
        if not page_cache.holds(self.number, self.offset, size, surely=self._was_cold):
            return False
        self._note(size)
        return True

    def _look_far(self) -> bool:
        """Whether much is in memory, which is asked for at once: as is usual, or not at all."""
        size = min(_FAR, self._stop - self.offset)
        if self._was_cold or not page_cache.holds_much(self.number, self.offset, size):
            return False
        self._note(size)
        return True

    def _note(self, size: int) -> None:
        self._looked_to, self._looked_at = self.offset + size, monotonic()

    async def read(self, size: int, left: int) -> bytes:
        """The next `size` bytes, or fewer; `left` are to come in all."""
        if not self.is_near(size):
            await self.look(min(left, AHEAD))
        data = os.pread(self.number, size, self.offset)
        if not data:
            raise self.too_short(left)
        return data

    def read_into(self, buffers: Sequence[memoryview], left: int) -> int:
        """Reads the next bytes, which are known to be in memory; returns how many."""
        count = os.preadv(self.number, buffers, self.offset)
        if not count:
            raise self.too_short(left)
        return count

    def passed(self, count: int) -> None:
        """So many bytes were sent."""
        self.offset += count
        self._taken(count)

    def note_progress(self) -> None:
        """The client took something of what the kernel had for it."""
        self._taken(0)

    async def explain(self, size: int) -> None:
        """Raises why the next bytes can't be read, if whoever lent the file knows."""
        await self._fetch(self.offset, size)

    @staticmethod
    def too_short(left: int) -> RuntimeError:
        """For a file that ends before."""
        return RuntimeError(f"the file ended {left} bytes short")


def _ignore(count: int) -> None:
    """Tells nobody."""


def _open_into(descriptor: Descriptor, path: str) -> int:
    """Opens a regular file and returns its size; for threads."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    known = os.fstat(number)
    descriptor.adopt(number)
    if not stat.S_ISREG(known.st_mode):
        raise ValueError(f"{path} is no regular file")
    return known.st_size


async def _fetch(number: int, offset: int, count: int) -> None:
    """Has a thread bring bytes into memory. Who stops waiting may close the file: then what is
    read is another's or nothing, and nobody gets it."""
    if not await asyncio.to_thread(bring, number, offset, count):
        raise RuntimeError("the file is shorter than what was to be sent of it")

"""Reading an open file: pages in memory at once, the others in a thread.

Linux says with RWF_NOWAIT which is which. Measured on ext4, in seconds of CPU for each GiB:

    buffer      in memory, inline     in memory, by threads     from disk, mixed
     64 KiB            0.066                  0.9                     0.20
    256 KiB            0.055                  0.23                    0.09
   1024 KiB            0.064                  0.11                    0.14

Before the last bytes of a span are given, size and modification time are compared with those at
opening: nobody receives a complete body that two versions have a part in.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

from proxy.errors import Fault, ObjectChanged, OriginBroke
from proxy.origins.base import Lease
from proxy.origins.lending import Piece, Stretch
from proxy.origins.resident import NO_WAIT, bring, leave_to_threads, page_cache
from proxy.origins.threads import Descriptor, Threads
from proxy.semantics.representation import Representation, Span

# See the table above.
BUFFER_SIZE = 256 * 1024
# Read at once before others get a turn: 60 µs of copying, well below a millisecond.
_TURN = 1024 * 1024

# Lent at once; of the last stretch to be copied, so that what is before can reach the client
# meanwhile, in one piece of what a server writes at once; and the last of a span, which are given
# when that is so and the file is unchanged.
_LENT, _COPIED, _KEPT = 64 * 1024 * 1024, 120 * 1024, 16 * 1024


class HotReader:
    """Reads what is in memory, by way of one buffer for a whole event loop.

    A buffer of its own for each read would be a quarter slower, as it leaves the processor's
    cache. Nothing is awaited between filling it and copying from it.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BUFFER_SIZE))

    def read(self, number: int, start: int, length: int) -> bytes | None:
        """At most `length` bytes (BUFFER_SIZE or fewer); `b""` if they are not in memory (or past
        the end), None if this file system can't tell."""
        try:
            count = os.preadv(number, [self._buffer[:length]], start, NO_WAIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                return None
            raise
        return bytes(self._buffer[:count])


class OpenFile:
    """One file, held open. An `OpenObject`: who opened it calls `aclose`.

    `lease` outlives it: for how long an answer made from the file may be given again.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        representation: Representation,
        known: os.stat_result,
        by: tuple[HotReader, Threads],
        lease: Lease | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._representation = representation
        self._known = known
        self._hot, self._threads = by
        self.lease = lease
        self._can_tell = bool(NO_WAIT)
        self._was_cold = False
        # What is lent is not copied: until the client has it, it is whatever the file is then.
        # A file that was written to a moment ago may be again.
        if representation.etag is not None and not representation.etag.weak:
            self.lend = self._lend

    @property
    def representation(self) -> Representation:
        """What was known of the file when it was opened."""
        return self._representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes; raises `ObjectChanged` if the file was written to since it was opened.

        A file that was replaced by another of its name is still there while it is held open.
        """
        position, turn = span.start, 0
        while position < span.stop:
            if turn >= _TURN:
                turn = 0
                await asyncio.sleep(0)
            length = min(BUFFER_SIZE, span.stop - position)
            buffer = self._read_hot(position, length, span.stop)
            turn += length
            if not buffer:
                turn = 0
                buffer = await self._threads.run(self._read_cold, position, length, span.stop)
            position += len(buffer)
            yield buffer

    def at_hand(self, span: Span) -> bytes | None:
        """As of `proxy.origins.at_hand`: what is in memory, of a file that is unchanged."""
        length = span.stop - span.start
        if length > BUFFER_SIZE:
            return None
        try:
            buffer = self._read_hot(span.start, length, span.stop)
        except Fault:
            return None
        return buffer if len(buffer) == length else None

    async def _lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        """The span's bytes, all but the last of them lent; else as `read`."""
        position, end = span.start, span.stop - _KEPT
        leave_to_threads(self._descriptor.number)
        if position < end and not page_cache.holds(self._descriptor.number, position, 1):
            await self._fetch(position, min(BUFFER_SIZE, end - position))
        while position < end:
            left = end - position
            count, copied = (_LENT, 0) if left > _LENT + _COPIED else (left, min(left, _COPIED))
            was_cold, self._was_cold = self._was_cold, False
            yield Stretch(self._descriptor.number, position, count, self._fetch, copied, was_cold)
            position += count
        async with aclosing(self.read(Span(position, span.stop))) as buffers:
            async for buffer in buffers:
                yield buffer

    async def _fetch(self, start: int, count: int) -> None:
        self._was_cold = True
        await self._threads.run(self._read_through, start, count)

    async def aclose(self) -> None:
        """Closes the file, or leaves that to the thread that still reads it."""
        self._descriptor.close()

    def _read_hot(self, position: int, length: int, stop: int) -> bytes:
        """What is in memory, or nothing."""
        if not self._can_tell:
            return b""
        number = self._descriptor.number
        try:
            buffer = self._hot.read(number, position, length)
            if buffer is None:
                self._can_tell = False
                return b""
            if position + len(buffer) == stop:
                self._check_unchanged(number)
        except OSError as error:
            raise _fault_of(error) from None
        return buffer

    def _read_cold(self, position: int, length: int, stop: int) -> bytes:
        """The next bytes, however long they take; for threads."""
        with self._descriptor.in_use() as number:
            try:
                buffer = os.pread(number, length, position)
                if not buffer:
                    raise ObjectChanged("the file is shorter than when it was opened")
                if position + len(buffer) == stop:
                    self._check_unchanged(number)
            except OSError as error:
                raise _fault_of(error) from None
        return buffer

    def _read_through(self, start: int, count: int) -> None:
        """Has the system read these bytes, which it then has in memory; for threads."""
        with self._descriptor.in_use() as number:
            try:
                if not bring(number, start, count):
                    raise ObjectChanged("the file is shorter than when it was opened")
            except OSError as error:
                raise _fault_of(error) from None

    def _check_unchanged(self, number: int) -> None:
        now, then = os.fstat(number), self._known
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise ObjectChanged("the file was written to while it was read")


def _fault_of(error: OSError) -> Fault:
    if error.errno == errno.ESTALE:
        return ObjectChanged("the file was replaced on its file server")
    return OriginBroke(f"reading a file: {error.strerror}")

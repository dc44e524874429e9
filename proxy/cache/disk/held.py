"""A temporary file of the cache, held by who writes it or followed by who waits for it.

The writer hands over pieces as they come, and never waits for the disk but at the end. The follower
reads what is there, and is woken by the kernel when there is more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from proxy.cache.disk.claims import Claim
from proxy.cache.disk.format import TRAILER_SIZE, footer_size
from proxy.cache.disk.watching import FileWatcher
from proxy.errors import OriginFault
from proxy.origins.threads import Threads

# As much is written at a time: a hop to a thread takes 70 µs, and so does copying 512 KiB.
PIECE: Final = 512 * 1024
# A disk that is this far behind is given up for this slice, and for no other. The bytes are those
# that the slice has in memory anyway, so that one of the usual width is never given up.
MOST_UNWRITTEN: Final = 32 * PIECE
_READ: Final = 256 * 1024
# Seconds a file may stay as it is before who follows it does without it: longer than an origin
# may stall and be asked again.
SILENCE: Final = 60.0
# Seconds between the last byte of a slice and what its writer says of all of them, which may have
# to be summed before.
FOOTER: Final = 5.0
# A footer has a key, and eight bytes for each 64 KiB of a slice.
_MOST_FOOTER: Final = 256 * 1024


class TooSlow(OriginFault):
    """The disk did not keep up with one slice. It is not at fault."""


class Held:
    """A claim, and the file work on it. Whoever has it ends it: by `Disk.finish`, `abandon` or
    `close`.

    Attributes:
        claim: the open file.
        broken: whether writing failed; nothing more is written then.
    """

    def __init__(self, claim: Claim, threads: Threads, watcher: FileWatcher) -> None:
        self.claim = claim
        self.broken: OSError | OriginFault | None = None
        self._threads = threads
        self._watcher = watcher
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._writing: asyncio.Task[None] | None = None

    @property
    def mine(self) -> bool:
        """Whether it is ours to write."""
        return self.claim.mine

    # --- writing --------------------------------------------------------------------------------

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes to be written, if the file is ours; does not wait."""
        if self.broken is not None or not self.mine:
            return
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= MOST_UNWRITTEN:
            self._break(TooSlow("the cache's disk is too slow for this slice"))
        elif self._waiting >= PIECE and self._writing is None:
            self._begin()

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Writes what has come already, however much that is, and waits for it."""
        if pieces and self.broken is None and self.mine:
            self._pieces += pieces
            if self._writing is None:
                self._begin()
            await self._written()

    def _begin(self) -> None:
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        self._writing = asyncio.get_running_loop().create_task(self._write(pieces))

    async def _write(self, pieces: list[bytes]) -> None:
        try:
            await self._threads.run(self.claim.write, pieces)
        except (OSError, OriginFault) as error:
            self._break(error)
        except asyncio.CancelledError:
            self._break(OriginFault("writing was given up"))
            raise
        finally:
            self._writing = None
        if self._waiting >= PIECE and self.broken is None:
            self._begin()

    def _break(self, error: OSError | OriginFault) -> None:
        self.broken = error
        self._pieces = []

    async def _written(self) -> None:
        """Waits until no thread writes."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])
        if self._writing is not None:  # it was cancelled before it began
            self._break(OriginFault("writing was given up"))

    async def settle(self) -> list[bytes]:
        """Waits until no thread writes; what is not written yet. Raises what writing failed
        with."""
        await self._written()
        if self.broken is not None:
            raise self.broken
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        return pieces

    async def abandon(self) -> None:
        """Takes the file away, if it is ours, and closes it. Never raises a fault."""
        self._break(OriginFault("it is given up"))
        try:
            await self._written()
            if self.mine:
                await self._threads.run(self.claim.withdraw)
        except (OSError, OriginFault):
            pass  # unlocked, it is the next one's, or the janitor's
        finally:
            self.claim.close()

    def close(self) -> None:
        """Closes it, and with it the lock."""
        self.claim.close()

    # --- following ------------------------------------------------------------------------------

    async def growth(self, position: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes that another process writes, as they come, up to `stop`.

        Ends early when the writer is done or gone, when nothing comes for too long, and when the
        directory fails.
        """
        async with self._watcher.watching(Path(self.claim.path)) as changes:
            ended, silent_since = False, monotonic()
            while position < stop:
                length = min(_READ, stop - position)
                piece = await self._read(length, position)
                if piece:
                    position += len(piece)
                    silent_since = monotonic()
                    yield piece
                elif ended:
                    return
                else:
                    ended = not await self._is_written()
                    if not ended:
                        left = SILENCE - (monotonic() - silent_since)
                        if left <= 0:
                            return
                        await changes.next(left)

    async def footer(self, position: int) -> bytes:
        """What the writer puts behind the bytes of a slice, which end at `position`; nothing if it
        leaves without, or takes too long."""
        deadline = monotonic() + FOOTER
        async with self._watcher.watching(Path(self.claim.path)) as changes:
            ended = False
            while True:
                found = await self._read(_MOST_FOOTER, position)
                if footer_size(found[-TRAILER_SIZE:]) == len(found):
                    return found
                left = deadline - monotonic()
                if ended or left <= 0:
                    return b""
                ended = not await self._is_written()
                if not ended:
                    await changes.next(left)

    async def ended(self, seconds: float) -> None:
        """Waits until another process is done with the file, or gone; at most so long."""
        deadline = monotonic() + seconds
        async with self._watcher.watching(Path(self.claim.path)) as changes:
            while await self._is_written() and (left := deadline - monotonic()) > 0:
                await changes.next(left)

    async def _read(self, length: int, position: int) -> bytes:
        """At most so many bytes; none where the directory fails."""
        try:
            return await self._threads.run(self.claim.read, length, position)
        except (OSError, OriginFault):
            return b""

    async def _is_written(self) -> bool:
        """Whether somebody holds the lock; no where the directory fails."""
        try:
            return await self._threads.run(self.claim.is_locked)
        except (OSError, OriginFault):
            return False

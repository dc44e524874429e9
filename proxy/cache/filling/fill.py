"""One slice being filled: from its origin, or after another process that fills it.

It is a task of its own, which goes on for its readers whoever of them leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from proxy.cache.disk.disk import Disk
from proxy.cache.disk.format import read_footer
from proxy.cache.disk.held import Held
from proxy.cache.disk.stored import SliceGone, StoredSlice
from proxy.cache.filling.entry import Entry
from proxy.cache.filling.judging import Checks
from proxy.cache.memory.growing import Slice
from proxy.cache.memory.memory import Memory
from proxy.cache.rules.checking import sum_of
from proxy.cache.rules.slices import slice_span
from proxy.errors import ChecksumMismatch, Fault, ObjectChanged, OriginBroke, OriginFault
from proxy.origins.base import OpenObject, Origin, Want
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Algorithm, Checksum, Span

# How often another process may fail at a slice before we go on ourselves.
_FOLLOWED: Final = 3


@dataclass(slots=True)
class FillCounts:
    """What happened so far, in one process.

    Attributes:
        started: slices asked of the origin; `failed` of them did not come, `left` were given up
            since nobody wanted them any more.
        followed: slices that another process was filling; `taken_over` of them it did not finish.
        bypassed: reads that went past the cache for want of room.
    """

    started: int = 0
    failed: int = 0
    left: int = 0
    followed: int = 0
    taken_over: int = 0
    bypassed: int = 0


@dataclass(slots=True)
class Means:
    """What the filling of slices needs, in one process.

    `changed` is called with an entry whose version the origin has no more, or whose bytes are not
    what was promised; `sealed` with one all of whose slices are what the store promised.
    """

    memory: Memory
    disk: Disk | None
    changed: Callable[[Entry], None]
    sealed: Callable[[Entry, tuple[bytes, ...], str], None]
    checks: Checks | None = None
    counts: FillCounts = field(default_factory=FillCounts)


def _digest(checks: Checks, algorithm: Algorithm, buffers: list[bytes]) -> bytes:
    total = checks.new_sum(algorithm)
    for buffer in buffers:
        total.update(buffer)
    return total.digest()


def is_sealed(entry: Entry, index: int, table: bytes) -> bool:
    """Whether a slice is as it was when it was checked; true where it never was."""
    right = entry.right(index)
    return right is None or right == sum_of(table)


@dataclass(slots=True)
class Fill:
    """One slice being filled."""

    means: Means
    origin: Origin
    entry: Entry
    index: int
    slice: Slice
    held: Held | None
    opened: OpenObject | None
    task: asyncio.Task[None] = field(init=False)
    _begun: bool = False

    def __post_init__(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())

    def leave(self) -> None:
        """Nobody wants it at the moment. One that has not begun looks again when it does."""
        if self._begun:
            self.means.counts.left += 1
            self.task.cancel()

    async def _run(self) -> None:
        self._begun = True
        name = self.entry.slice_name(self.index)
        memory, counts = self.means.memory, self.means.counts
        try:
            await self._fill()
        except Fault as fault:
            counts.failed += 1
            self.slice.fail(fault)
            if isinstance(fault, ObjectChanged | ChecksumMismatch):
                self.means.changed(self.entry)
        except asyncio.CancelledError:
            self.slice.fail(OriginBroke("nobody waited for the slice"))
            raise
        except Exception:
            self.slice.fail(OriginBroke("the slice could not be filled"))
            raise
        finally:
            if self.entry.dropped and memory.peek(name) is self.slice:
                memory.discard(name)
            memory.end(name, self.slice)
            try:
                if self.opened is not None:
                    await self.opened.aclose()
            finally:
                await self._end_file(name)

    async def _fill(self) -> None:
        expected = self._expected()
        self.slice.judged = expected is not None and self.entry.slices == 1
        self.slice.followed = self.held is not None and not self.held.mine
        await self._follow_others()
        if self.slice.received < self.slice.length:
            self.means.counts.started += 1
            await self._fetch()
        if expected is not None:
            begun = monotonic()
            await self._judge(expected)
            self.slice.judging = monotonic() - begun
        if not is_sealed(self.entry, self.index, self.slice.table):
            raise ChecksumMismatch(
                f"origin {self.entry.head.origin!r} key {self.entry.head.key!r}: slice "
                f"{self.index} is not what it was when it was checked"
            )
        self.slice.complete()

    def _expected(self) -> Checksum | None:
        """What the object's slices are compared with; None if they were already, or can't be."""
        checks, entry = self.means.checks, self.entry
        return checks.expected(entry) if checks is not None and not entry.head.sealed_by else None

    async def _judge(self, expected: Checksum) -> None:
        """Raises ChecksumMismatch if this was the last slice, and all are not what was promised."""
        checks, entry = self.means.checks, self.entry
        assert checks is not None  # noqa: S101  # there would be nothing expected
        work = (checks, expected.algorithm, self.slice.buffers_from(0))
        quick = checks.is_combinable(expected.algorithm)
        digest = _digest(*work) if quick else await asyncio.to_thread(_digest, *work)
        verdict = checks.verdict(entry, expected, self.index, digest)
        entry.tables[self.index] = sum_of(self.slice.table)
        if verdict is False:
            entry.sums.clear()
            raise ChecksumMismatch(
                f"origin {entry.head.origin!r} key {entry.head.key!r}: its slices together are not "
                f"of the {expected.algorithm} that the store promised"
            )
        if verdict:
            sums = tuple(entry.tables[index] for index in range(entry.slices))
            self.means.sealed(entry, sums, expected.algorithm)

    async def _fetch(self) -> None:
        """The rest of the slice from the origin, pinned to the version."""
        entry = self.entry
        span = slice_span(self.index, entry.representation.size, entry.head.width)
        rest = Span(span.start + self.slice.received, span.stop)
        if self.opened is None:
            first = ByteRange(rest.start, rest.stop - 1)
            want = Want(first=first, pin=entry.representation, at_once=True)
            self.opened = await self.origin.open(entry.head.key, want)
        async with aclosing(self.opened.read(rest)) as buffers:
            async for buffer in buffers:
                self.slice.add(buffer)
                if self.held is not None:
                    self.held.feed(buffer)

    async def _follow_others(self) -> None:
        """As long as another process fills the slice, what it writes is what we give."""
        for _ in range(_FOLLOWED):
            held, disk = self.held, self.means.disk
            if held is None or held.mine or disk is None:
                return
            self.means.counts.followed += 1
            if self.opened is not None:
                await self.opened.aclose()
                self.opened = None
            await self._follow(disk, held)
            if self.slice.received == self.slice.length:
                return
            self.means.counts.taken_over += 1
        if self.held is not None and not self.held.mine:
            self.held.close()
            self.held = None

    async def _follow(self, disk: Disk, held: Held) -> None:
        slice_, name = self.slice, self.entry.slice_name(self.index)
        async with aclosing(held.growth(slice_.received, slice_.length)) as pieces:
            async for piece in pieces:
                slice_.add(piece)
        if slice_.received == slice_.length:
            await self._compare(held)
        held.close()
        self.held = None
        if slice_.received == slice_.length:
            return
        found = await disk.look(name, self.entry.label_of(self.index))
        if isinstance(found, Held):
            self.held = found
            await found.write(slice_.buffers_from(0))
        elif found is not None:
            await self._copy(found)

    async def _compare(self, held: Held) -> None:
        """Raises OriginFault if what came through the file is not what its writer says it wrote.
        One that was killed says nothing."""
        slice_ = self.slice
        footer = await held.footer(slice_.length)
        told = read_footer(footer, slice_.length + len(footer)) if footer else None
        if footer and told != (self.entry.label_of(self.index), slice_.table):
            raise OriginFault(f"{held.claim.path}: what was written there was damaged")

    async def _copy(self, stored: StoredSlice) -> None:
        """The rest from a file that was finished between two looks at it."""
        try:
            async with aclosing(stored.read(self.slice.received, self.slice.length)) as buffers:
                async for buffer in buffers:
                    self.slice.add(buffer)
        except SliceGone:
            pass

    async def _end_file(self, name: str) -> None:
        held, disk = self.held, self.means.disk
        if held is None or disk is None:
            return
        right = bool(self.slice.table) and self.slice.state != "failed"
        if right and held.mine and not self.entry.dropped:
            label = self.entry.label_of(self.index)
            await disk.finish(held, name, label, self.slice.table)
        else:
            await held.abandon()

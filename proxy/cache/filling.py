"""Who fills a slice, and who follows: each is fetched once, however many ask.

Within a process the slices that are on their way are found in `Memory`; between processes, whoever
holds the lock on the slice's temporary file fills it. Deciding never waits, so that no state is
seen half changed; the filling itself is a task of its own, which goes on for its readers whoever of
them leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from proxy.cache.checking import sum_of
from proxy.cache.disk import Disk
from proxy.cache.entry import Entry
from proxy.cache.format import read_footer
from proxy.cache.growing import Slice
from proxy.cache.held import Held
from proxy.cache.judging import Checks
from proxy.cache.memory import Memory
from proxy.cache.slices import slice_span
from proxy.cache.stored import SliceGone, StoredSlice
from proxy.errors import ChecksumMismatch, Fault, ObjectChanged, OriginBroke, OriginFault
from proxy.origins.base import OpenObject, Origin, Want
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Algorithm, Checksum, Span

Source = Slice | StoredSlice

# How often another process may fail at a slice before we go on ourselves.
_FOLLOWED: Final = 3
# Seconds that slices have to get to disk when all ends.
_TO_DISK: Final = 1.0


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
class Filler:
    """Fills the slices of one process. `aclose` ends all that are on their way.

    `changed` is called with an entry whose version the origin has no more, or whose bytes are not
    what was promised; `sealed` with one all of whose slices are what the store promised.
    """

    memory: Memory
    disk: Disk | None
    changed: Callable[[Entry], None]
    sealed: Callable[[Entry, tuple[bytes, ...], str], None]
    checks: Checks | None = None
    counts: FillCounts = field(default_factory=FillCounts)
    _looking: dict[str, asyncio.Task[Source | None]] = field(default_factory=dict)
    _filling: dict[str, _Fill] = field(default_factory=dict)
    _closed: bool = False

    def known(self, entry: Entry, index: int) -> Source | None:
        """The slice if it is in memory, on its way, or open."""
        name = entry.slice_name(index)
        found = self.memory.get(name)
        if found is not None:
            if self.disk is not None:
                self.disk.hits.touch(name)
            return found
        return self.disk.opened(name) if self.disk is not None else None

    async def get(
        self,
        origin: Origin,
        entry: Entry,
        index: int,
        opened: OpenObject | None = None,
        *,
        spare: float = 0.0,
    ) -> Source | None:
        """The slice, or the beginning of one; None where there is no room to keep it, or all ends.

        `opened` is an open object whose first read is this slice's; it is closed here or by the
        filling.
        """
        name = entry.slice_name(index)
        found = self.known(entry, index)
        task = self._looking.get(name)
        if found is None and task is None and not self._closed:
            work = self._look(origin, entry, index, opened, spare)
            task = self._looking[name] = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda _: self._looking.pop(name, None))
        elif opened is not None:
            await opened.aclose()
        return found if task is None else await asyncio.shield(task)

    def is_filling(self, entry: Entry, index: int) -> bool:
        """Whether the slice is on its way."""
        name = entry.slice_name(index)
        return name in self._looking or name in self._filling

    def let_go(self, name: str) -> None:
        """Somebody wants a slice no more. One that nobody wants, and that has hardly begun, is
        given up."""
        found = self.memory.peek(name)
        if found is None:
            return
        found.interest -= 1
        in_vain = found.interest <= 0 and not found.was_read and found.state == "growing"
        if in_vain and 2 * found.received < found.length:
            fill = self._filling.get(name)
            if fill is not None:
                fill.leave()

    async def aclose(self) -> None:
        """Ends all that is on its way; what has come as a whole has a moment to get to disk."""
        self._closed = True
        last = [one.task for one in self._filling.values() if one.slice.state == "whole"]
        if last:
            await asyncio.wait(last, timeout=_TO_DISK)
        while tasks := [*self._looking.values(), *(one.task for one in self._filling.values())]:
            await asyncio.sleep(0)  # each has begun by then, and cleans up after itself
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

    # --- finding out ----------------------------------------------------------------------------

    async def _look(
        self, origin: Origin, entry: Entry, index: int, opened: OpenObject | None, spare: float
    ) -> Source | None:
        name, held = entry.slice_name(index), None
        begun = False
        try:
            if self.disk is not None and not entry.dropped:
                found = await self.disk.look(name, entry.label_of(index))
                if isinstance(found, StoredSlice):
                    if _is_sealed(entry, index, found.table):
                        return found
                    await self.disk.reject(name, found)
                    found = None
                held = found
            if entry.dropped:
                return None
            made = self.memory.begin(name, entry.length_of(index), spare=spare)
            if made is None:
                return None
            begun = True
            fill = self._filling[name] = _Fill(self, origin, entry, index, made, held, opened)
            fill.task.add_done_callback(lambda _: self._ended(name, fill))
            return made
        finally:
            if not begun:
                if held is not None:
                    await held.abandon()
                if opened is not None:
                    await opened.aclose()

    def _ended(self, name: str, fill: _Fill) -> None:
        if self._filling.get(name) is fill:
            del self._filling[name]


def _digest(checks: Checks, algorithm: Algorithm, buffers: list[bytes]) -> bytes:
    total = checks.new_sum(algorithm)
    for buffer in buffers:
        total.update(buffer)
    return total.digest()


def _is_sealed(entry: Entry, index: int, table: bytes) -> bool:
    """Whether a slice is as it was when all of the object was checked; true where nothing was."""
    seal = entry.head.seal
    return seal is None or seal[index] == sum_of(table)


@dataclass(slots=True)
class _Fill:
    """One slice being filled."""

    filler: Filler
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
            self.filler.counts.left += 1
            self.task.cancel()

    async def _run(self) -> None:
        self._begun = True
        name = self.entry.slice_name(self.index)
        memory, counts = self.filler.memory, self.filler.counts
        try:
            await self._fill()
        except Fault as fault:
            counts.failed += 1
            self.slice.fail(fault)
            if isinstance(fault, ObjectChanged | ChecksumMismatch):
                self.filler.changed(self.entry)
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
            self.filler.counts.started += 1
            await self._fetch()
        if expected is not None:
            await self._judge(expected)
        if not _is_sealed(self.entry, self.index, self.slice.table):
            raise ChecksumMismatch(
                f"origin {self.entry.head.origin!r} key {self.entry.head.key!r}: slice "
                f"{self.index} is not what it was when all of the object was checked"
            )
        self.slice.complete()

    def _expected(self) -> Checksum | None:
        """What the object's slices are compared with; None if they were already, or can't be."""
        checks, entry = self.filler.checks, self.entry
        return checks.expected(entry) if checks is not None and not entry.head.sealed_by else None

    async def _judge(self, expected: Checksum) -> None:
        """Raises ChecksumMismatch if this was the last slice, and all are not what was promised."""
        checks, entry = self.filler.checks, self.entry
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
            self.filler.sealed(entry, sums, expected.algorithm)

    async def _fetch(self) -> None:
        """The rest of the slice from the origin, pinned to the version."""
        entry = self.entry
        span = slice_span(self.index, entry.representation.size, entry.head.width)
        rest = Span(span.start + self.slice.received, span.stop)
        if self.opened is None:
            first = ByteRange(rest.start, rest.stop - 1)
            want = Want(first=first, pin=entry.representation)
            self.opened = await self.origin.open(entry.head.key, want)
        async with aclosing(self.opened.read(rest)) as buffers:
            async for buffer in buffers:
                self.slice.add(buffer)
                if self.held is not None:
                    self.held.feed(buffer)

    async def _follow_others(self) -> None:
        """As long as another process fills the slice, what it writes is what we give."""
        for _ in range(_FOLLOWED):
            held, disk = self.held, self.filler.disk
            if held is None or held.mine or disk is None:
                return
            self.filler.counts.followed += 1
            if self.opened is not None:
                await self.opened.aclose()
                self.opened = None
            await self._follow(disk, held)
            if self.slice.received == self.slice.length:
                return
            self.filler.counts.taken_over += 1
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
        held, disk = self.held, self.filler.disk
        if held is None or disk is None:
            return
        right = bool(self.slice.table) and self.slice.state != "failed"
        if right and held.mine and not self.entry.dropped:
            label = self.entry.label_of(self.index)
            await disk.finish(held, name, label, self.slice.table)
        else:
            await held.abandon()

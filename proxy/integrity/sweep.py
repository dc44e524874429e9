"""Checks many objects of an origin against their checksums, some at a time.

Each is read as by a client that takes the whole object. A deep check reads it a second time in
ranges, as caches and players do: for a CRC out of order and side by side, else in order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from proxy.errors import ChecksumMismatch, Fault
from proxy.integrity.checksums import Sum, new_sum
from proxy.integrity.combination import combine, is_combinable
from proxy.integrity.judging import VerifiedObject
from proxy.integrity.verdict import NO_CHECKSUM, PARTS_UNKNOWN
from proxy.integrity.verified import Verified
from proxy.origins.walking import for_each, keys_below
from proxy.semantics.representation import Algorithm, Span

# Enough to fill a link to a store 30 ms away with small objects; a fraction of the connections.
AT_ONCE: Final = 8
# For a deep check: the size that a slice cache asks for, and how many of one object at a time.
SLICE: Final = 8 * 1024 * 1024
SLICES_AT_ONCE: Final = 4

Outcome = Literal["verified", "mismatch", "unverifiable", "failed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one object.

    Attributes:
        key: its key, or the prefix that could not be listed.
        outcome: "unverifiable" has nothing to check by, "failed" could not be read.
        algorithm: what it was checked by, or "".
        reason: why it is not verified, or "".
        bytes: its size.
    """

    key: str
    outcome: Outcome
    algorithm: str = ""
    reason: str = ""
    bytes: int = 0


@dataclass(slots=True)
class Progress:
    """How far a sweep is: objects found and done, and bytes read."""

    found: int = 0
    done: int = 0
    bytes: int = 0
    listing: bool = True


Tell = Callable[[Result], None]


async def sweep(
    origin: Verified, targets: Iterable[str], tell: Tell, progress: Progress, *, deep: bool
) -> None:
    """Checks each key, and all keys below each prefix ("" or ending in "/").

    Args:
        origin: what to read; its policy must be "when-available".
        targets: keys and prefixes.
        tell: called with each result as soon as it is there, in no order.
        progress: kept up to date.
        deep: whether objects are also read in ranges.
    """

    async def check_one(key: str) -> None:
        result = await check(origin, key, progress, deep=deep)
        progress.done += 1
        tell(result)

    await for_each(_find(origin, targets, tell, progress), check_one, AT_ONCE)


async def _find(
    origin: Verified, targets: Iterable[str], tell: Tell, progress: Progress
) -> AsyncGenerator[str, None]:
    """The keys meant. Tells of each prefix that can't be listed or holds nothing."""
    for target in targets:
        before = progress.found
        try:
            async with aclosing(_keys(origin, target)) as keys:
                async for key in keys:
                    progress.found += 1
                    yield key
        except Fault as fault:
            tell(_failed(target, fault))
        else:
            if progress.found == before:
                tell(Result(target, "failed", reason="nothing lies below this prefix"))
    progress.listing = False


async def _keys(origin: Verified, target: str) -> AsyncGenerator[str, None]:
    if target and not target.endswith("/"):
        yield target
        return
    async with aclosing(keys_below(origin, target)) as keys:
        async for key in keys:
            yield key


async def check(origin: Verified, key: str, progress: Progress, *, deep: bool) -> Result:
    """Reads one object to its end, and judges it."""
    try:
        opened = await origin.open(key)
        try:
            return await _judge(key, opened, progress, deep=deep)
        finally:
            await opened.aclose()
    except ChecksumMismatch as fault:  # an object that is empty and should not be
        return Result(key, "mismatch", reason=fault.detail)
    except Fault as fault:
        return _failed(key, fault)


def _failed(key: str, fault: Fault) -> Result:
    return Result(key, "failed", reason=fault.detail or fault.said)


async def _judge(key: str, opened: VerifiedObject, progress: Progress, *, deep: bool) -> Result:
    size, expected = opened.representation.size, opened.expected
    if expected is None or (over := await opened.whole()) is None:
        # Without reading it: there is nothing to learn from its bytes.
        reason = NO_CHECKSUM if expected is None else PARTS_UNKNOWN
        return Result(key, "unverifiable", reason=reason, bytes=size)
    try:
        await _read(opened, Span(0, size), progress, lambda _: None)
    except ChecksumMismatch as fault:
        return Result(key, "mismatch", expected.algorithm, fault.detail, size)
    if deep and size > 1:
        spans = _slices(size)
        if is_combinable(expected.algorithm) and not expected.composite:
            found = await _out_of_order(opened, spans, expected.algorithm, progress)
        else:
            found = await _in_order(opened, spans, over.new_sum(), progress)
        if found != expected.value:
            reason = f"read in {len(spans)} ranges it has {found.hex()}"
            return Result(key, "mismatch", expected.algorithm, reason, size)
    return Result(key, "verified", expected.algorithm, bytes=size)


def _slices(size: int) -> list[Span]:
    """All of an object in at least two ranges."""
    length = min(SLICE, (size + 1) // 2)
    return [Span(start, min(start + length, size)) for start in range(0, size, length)]


async def _in_order(
    opened: VerifiedObject, spans: list[Span], total: Sum, progress: Progress
) -> bytes:
    for span in spans:
        await _read(opened, span, progress, total.update)
    return total.digest()


async def _out_of_order(
    opened: VerifiedObject, spans: list[Span], algorithm: Algorithm, progress: Progress
) -> bytes:
    sums = {span: new_sum(algorithm) for span in spans}
    waiting = random.sample(spans, len(spans))

    async def read_some() -> None:
        while waiting:
            span = waiting.pop()
            await _read(opened, span, progress, sums[span].update)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(SLICES_AT_ONCE, len(spans))):
                group.create_task(read_some())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return combine(algorithm, [(span, total.digest()) for span, total in sums.items()])


async def _read(
    opened: VerifiedObject, span: Span, progress: Progress, take: Callable[[bytes], None]
) -> None:
    async with aclosing(opened.read(span)) as buffers:
        async for buffer in buffers:
            progress.bytes += len(buffer)
            take(buffer)

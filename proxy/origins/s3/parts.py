"""In what parts an object was uploaded: what its composite checksums were made over.

A store tells the size of one part per request (HEAD with partNumber). Every uploader in use cuts
parts of one size and a rest, so the first and the last part say it all if they add up. Should that
guess ever be wrong, a check over these sizes fails although the bytes are right: never the other
way round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from proxy.errors import ChecksumMismatch, ObjectChanged, OriginFault
from proxy.origins.s3.answers import part_size_of, parts_of
from proxy.origins.s3.client import Client
from proxy.semantics.representation import Representation

# Parts that differ are asked for one by one, up to so many: some 2 s at 50 ms a request.
MOST_ASKED: Final = 160
# As many at a time, so that the streams under way keep most of the connections.
_AT_A_TIME: Final = 4

# Replaced or gone since it was opened; see `object`.
_CHANGED = (404, 405, 412)
# How a store says that it knows no parts, or not this one.
_UNKNOWN = (400, 416, 501)


async def part_sizes(
    client: Client, target: str, pin: Mapping[str, str], representation: Representation
) -> tuple[int, ...] | None:
    """See `S3Object.part_sizes`; `target` and `pin` are those of the version that was opened.

    Raises ChecksumMismatch if the store tells every part, and the object it opened has another
    length than they have together: one of the two answers is a lie.
    """
    count, size = parts_of(representation.etag), representation.size
    if count is None:
        return None
    asking = _Asking(client, target, pin, count)
    sizes = await asking.sizes(*sorted({1, count}))
    if sizes is not None and count > 2:
        first, last = sizes
        if first * (count - 1) + last == size and last <= first:
            sizes = [first] * (count - 1) + [last]
        else:
            between = await asking.sizes(*range(2, count)) if count <= MOST_ASKED else None
            sizes = None if between is None else [first, *between, last]
    if sizes is not None and sum(sizes) != size:
        raise ChecksumMismatch(f"an object of {size} bytes whose parts have {sum(sizes)}")
    return None if sizes is None else tuple(sizes)


class _Asking:
    """Asks for the parts of one object."""

    def __init__(self, client: Client, target: str, pin: Mapping[str, str], count: int) -> None:
        self._client = client
        self._target = target + ("&" if "?" in target else "?") + "partNumber="
        self._pin = pin
        self._count = count
        self._at_a_time = asyncio.Semaphore(_AT_A_TIME)

    async def sizes(self, *numbers: int) -> list[int] | None:
        """The sizes of these parts; None if one isn't told. The first fault ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._size(number)) for number in numbers]
        except BaseExceptionGroup as group_of_faults:
            raise group_of_faults.exceptions[0] from None
        sizes = [size for task in tasks if (size := task.result()) is not None]
        return sizes if len(sizes) == len(numbers) else None

    async def _size(self, number: int) -> int | None:
        async with self._at_a_time:
            answer = await self._client.ask("HEAD", f"{self._target}{number}", self._pin)
        try:
            if answer.status in (200, 206):
                return part_size_of(answer.headers, self._count)
            if answer.status in _CHANGED:
                raise ObjectChanged(f"the store answered {answer.status} when asked for a part")
            if answer.status in _UNKNOWN:
                return None
            fault = await self._client.fault(answer)
        finally:
            answer.close()
        raise fault if isinstance(fault, OriginFault) else OriginFault(fault.detail)

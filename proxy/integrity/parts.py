"""What stores said of the parts of objects seen lately, so that each version's are asked once.

Their sizes, which a check of a whole object needs whose checksum is composite, and their checksums,
by which a range is checked.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, cast

from proxy.errors import Fault
from proxy.integrity.stretches import agrees
from proxy.origins.base import OpenObject, Parted, SummedInParts
from proxy.semantics.representation import PartSums, Representation

# About 4 MB when all have ten parts.
MOST_OBJECTS: Final = 4096
# The sizes of more parts than this are not kept: 10,000 of them take 0.4 MB.
MOST_PARTS: Final = 1000
# Of all objects together: 100 bytes each with a SHA-256, 100 objects of the most parts there are.
MOST_SUMS: Final = 100_000

_Version = tuple[str, str]


class PartSizes:
    """Remembers the part sizes of a bounded number of versions, forgetting the oldest used."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Version, tuple[int, ...]] = OrderedDict()

    async def of(self, key: str, opened: OpenObject) -> tuple[int, ...] | None:
        """The part sizes of an open object; None and faults as of `Parted.part_sizes`."""
        version = _version(key, opened)
        if version in self._known:
            self._known.move_to_end(version)
            return self._known[version]
        sizes = await opened.part_sizes() if isinstance(opened, Parted) else None
        if sizes is None or not sizes or sum(sizes) != opened.representation.size:
            return None
        if version[1] and len(sizes) <= MOST_PARTS:
            self._known[version] = sizes
            while len(self._known) > MOST_OBJECTS:
                self._known.popitem(last=False)
        return sizes


class SumsOfParts:
    """Remembers the checksums of the parts of a bounded number of versions, and of which the store
    tells none. Of many who ask at once, one asks the store."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Version, PartSums | None] = OrderedDict()
        self._count = 0
        self._asking: dict[_Version, asyncio.Future[Fault | None]] = {}

    def may_have(self, key: str, opened: OpenObject) -> bool:
        """Whether the checksums of an object's parts are known, or could be: asks nobody."""
        if not is_summed_in_parts(opened.representation) or not _can_tell(opened):
            return False
        version = _version(key, opened)
        return bool(version[1]) and self._known.get(version, ...) is not None

    async def of(self, key: str, opened: OpenObject) -> PartSums | None:
        """Those of an open object; None and faults as of `SummedInParts.part_sums`.

        None, too, where they contradict a checksum of the object that was made of them.
        """
        version = _version(key, opened)
        while version not in self._known:
            asking = self._asking.get(version)
            if asking is None:
                return await self._ask(version, opened)
            fault = await asyncio.shield(asking)
            if fault is not None:
                raise fault
        self._known.move_to_end(version)
        return self._known[version]

    async def _ask(self, version: _Version, opened: OpenObject) -> PartSums | None:
        asking = self._asking[version] = asyncio.get_running_loop().create_future()
        fault: Fault | None = None
        try:
            sums = await cast("SummedInParts", opened).part_sums()
            if sums is not None and not agrees(sums, opened.representation.checksums):
                sums = None
            self._remember(version, sums)
        except Fault as raised:
            fault = raised
            raise
        finally:
            del self._asking[version]
            asking.set_result(fault)
        return sums

    def _remember(self, version: _Version, sums: PartSums | None) -> None:
        self._known[version] = sums
        self._count += _weight(sums)
        while self._count > MOST_SUMS or len(self._known) > MOST_OBJECTS:
            self._count -= _weight(self._known.popitem(last=False)[1])


def is_summed_in_parts(representation: Representation) -> bool:
    """Whether it may have checksums of its parts: stores keep none beside one of the whole."""
    checksums = representation.checksums
    return bool(checksums) and all(one.composite for one in checksums)


def _can_tell(opened: OpenObject) -> bool:
    return getattr(opened, "part_sums", None) is not None  # isinstance would take 20 µs


def _weight(sums: PartSums | None) -> int:
    return 0 if sums is None else len(sums.sizes)


def _version(key: str, opened: OpenObject) -> _Version:
    """The key and a strong validator, "" where there is none: then nothing is remembered."""
    representation = opened.representation
    etag = representation.etag
    strong = etag is not None and not etag.weak
    return key, f"{etag} {representation.size}" if strong else ""

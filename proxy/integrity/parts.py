"""The part sizes of objects seen lately, so that each version's are asked of its store once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from proxy.origins.base import OpenObject, Parted

# About 4 MB when all have ten parts.
MOST_OBJECTS: Final = 4096
# The sizes of more parts than this are not kept: 10,000 of them take 0.4 MB.
MOST_PARTS: Final = 1000


class PartSizes:
    """Remembers the part sizes of a bounded number of versions, forgetting the oldest used."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, ...]] = OrderedDict()

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


def _version(key: str, opened: OpenObject) -> tuple[str, str]:
    """The key and a strong validator, "" where there is none: then nothing is remembered."""
    representation = opened.representation
    etag = representation.etag
    strong = etag is not None and not etag.weak
    return key, f"{etag} {representation.size}" if strong else ""

"""What a store keeps of each part of an object: GetObjectAttributes, as a request and from its
answer. Pure.

S3 tells the parts' checksums where the one of the object is made of them (COMPOSITE). Of an object
with a checksum of the whole it tells only how many parts there are. Reading the answer takes the
permission s3:GetObjectAttributes beside s3:GetObject.

The root of the answer is not looked at: one store writes it in lower case.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from proxy.origins.s3.elements import read_elements
from proxy.semantics.representation import Algorithm, PartSums

# As many as S3 tells in one answer; the parts of 8 GB in the usual 8 MiB.
MOST_PARTS: Final = 1000
# A part takes 150 bytes with a SHA-256; with five checksums each and spaces it stays below this.
MAX_ANSWER: Final = 512 * 1024

HEADERS: Final[Mapping[str, str]] = {
    "x-amz-max-parts": str(MOST_PARTS),
    "x-amz-object-attributes": "ETag,ObjectParts,ObjectSize",
}

_NAMES: Final[dict[str, Algorithm]] = {
    "ChecksumSHA256": "sha256",
    "ChecksumSHA1": "sha1",
    "ChecksumCRC32C": "crc32c",
    "ChecksumCRC32": "crc32",
    "ChecksumCRC64NVME": "crc64nvme",
}
_LENGTHS: Final[dict[Algorithm, int]] = {
    "sha256": 32,
    "sha1": 20,
    "crc32c": 4,
    "crc32": 4,
    "crc64nvme": 8,
}

# The root and the list are around a part.
_PART: Final = 2


def part_sums_of(body: bytes, etag: str, size: int) -> PartSums | None:
    """The parts' checksums in an answer; None if it does not tell those of all parts of just the
    object of that tag (its opaque part) and size. Raises OriginFault if it is no XML."""
    told, rows = _Reader().read(body)
    if told.get("ETag", "").strip().strip('"') != etag or told.get("ObjectSize") != str(size):
        return None
    if told.get("IsTruncated", "false") != "false":
        return None
    return _sums_of(rows, size)


def _sums_of(rows: list[dict[str, str]], size: int) -> PartSums | None:
    algorithm = next((name for name in _NAMES if rows and name in rows[0]), None)
    if algorithm is None:
        return None
    try:
        numbers = [int(row["PartNumber"]) for row in rows]
        sizes = tuple(int(row["Size"]) for row in rows)
        digests = tuple(base64.b64decode(row[algorithm], validate=True) for row in rows)
    except (KeyError, ValueError, binascii.Error):
        return None
    length = _LENGTHS[_NAMES[algorithm]]
    # A number that is left out is a part that was not uploaded: numbers only have to grow.
    in_order = all(one < other for one, other in pairwise(numbers))
    whole = sum(sizes) == size and min(sizes) > 0
    if not in_order or not whole or any(len(digest) != length for digest in digests):
        return None
    return PartSums(_NAMES[algorithm], sizes, digests)


class _Reader:
    """Walks through one answer: texts of elements without children, and those of each part."""

    def __init__(self) -> None:
        self._part: dict[str, str] | None = None
        self._rows: list[dict[str, str]] = []
        self._told: dict[str, str] = {}

    def read(self, body: bytes) -> tuple[dict[str, str], list[dict[str, str]]]:
        read_elements(body, "the list of parts", self._begin, self._end)
        return self._told, self._rows

    def _begin(self, depth: int, name: str) -> None:
        # S3 writes <Part> for each; in its description the list is called Parts.
        if depth == _PART and name in ("Part", "Parts"):
            self._part = {}

    def _end(self, depth: int, name: str, text: str) -> None:
        if self._part is None:
            self._told[name] = text.strip()
        elif depth == _PART:
            self._rows.append(self._part)
            self._part = None
        else:
            self._part[name] = text.strip()

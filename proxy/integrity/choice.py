"""Which of the checksums that a store keeps of an object is used. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.semantics.representation import Algorithm, Checksum

# What the uploader chose comes before MD5: that one stands in the ETag of most objects, nobody
# promised it, and it costs 1.4 s of a processor for each GiB. Among those that may be chosen, by
# how little they overlook: no accident gets past 64 bits or more, one in 4e9 past 32.
_ORDER: Final[tuple[Algorithm, ...]] = ("sha256", "crc64nvme", "sha1", "crc32c", "crc32", "md5")


def choose(checksums: Sequence[Checksum]) -> Checksum | None:
    """The one to check by, or None without any.

    One of the whole object comes before a composite one, for which part sizes must be asked.
    """
    return min(checksums, key=_rank, default=None)


def _rank(checksum: Checksum) -> tuple[bool, int]:
    return checksum.composite, _ORDER.index(checksum.algorithm)

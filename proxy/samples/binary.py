"""`random-100MiB.bin`: bytes that look random, can't be compressed, and are always the same.

SHAKE128 (FIPS 202) stretches a seed and a counter, so the file is the same wherever it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

NAME = "random-100MiB.bin"
MIB = 1 << 20
SIZE = 100 * MIB
SEED = b"headgate sample"
SHA256 = "0293727b8beab824b50080fcc8c65dca3f8e893d6bd93609043ab0066ac01e0a"


def blocks() -> Iterator[bytes]:
    """The file, one MiB at a time."""
    for number in range(SIZE // MIB):
        yield hashlib.shake_128(SEED + number.to_bytes(4, "big")).digest(MIB)

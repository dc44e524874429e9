"""The two objects: a small one, which bystanders ask for, and a large one for all others.

Attackers and bystanders import this in their processes, so it imports little.
"""

from __future__ import annotations

import functools
import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
SMALL, LARGE = "small", "large"
SMALL_BODY = b"small " * 170


@functools.cache
def block() -> bytes:
    """A mebibyte of noise; the large object is so many of it."""
    return random.Random("siege").randbytes(MIB)

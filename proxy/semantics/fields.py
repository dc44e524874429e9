"""Which field values may be sent (RFC 9110 §5.5).

A store's metadata is somebody's input. A value with CR, LF, NUL or another control character
never becomes a field, whatever the server below would have done with it; nor does one that has
no single-byte form. Fields are pairs of lower-case name and value, both bytes, as ASGI has them.
"""

from __future__ import annotations

import re
from functools import lru_cache

Field = tuple[bytes, bytes]

# Tab, visible ASCII and obs-text: everything else would end a line or a field somewhere.
_SAFE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

# Longer ones break clients and caches; S3 keeps at most 2 KiB of metadata for an object.
MAX_VALUE_LENGTH = 4096


def safe_value(value: str | None) -> bytes | None:
    """The value as bytes, stripped of outer white space; None if it is absent, empty or unsafe."""
    if not value or len(value) > MAX_VALUE_LENGTH:
        return None
    return _safe(value)


# The same few are asked for again and again; the longest of so many are two megabytes.
@lru_cache(512)
def _safe(value: str) -> bytes | None:
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        return None
    encoded = encoded.strip(b" \t")
    return encoded if encoded and _SAFE.fullmatch(encoded) else None

"""What any request head must fulfil before the app sees it, on either protocol. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Browsers send 10 to 40; nginx (`max_headers`) and Apache stop at 100 or 1000. The count matters
# apart from the size: HPACK expands one byte to a field.
MOST_FIELDS = 128
_PER_FIELD = 32  # RFC 9113 §6.5.2 counts each field so much larger than its bytes
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_VISIBLE = re.compile(rb"[\x21-\x7e]+")


class Refused(Exception):
    """The request is refused before the app sees it.

    Attributes:
        status: what to answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def check_head(
    method: bytes,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    most_bytes: int,
    most_fields: int,
) -> None:
    """Raises `Refused`: 431 for too large a head, 501 for CONNECT, 400 for a target that is
    neither a path, nor absolute, nor the `*` of OPTIONS (RFC 9112 §3.2)."""
    size = sum(len(name) + len(value) + _PER_FIELD for name, value in headers)
    if size > most_bytes or len(headers) > most_fields:
        raise Refused(431)
    check_target(method, target)


def check_target(method: bytes, target: bytes) -> None:
    """Raises `Refused`: 501 for CONNECT, 400 for a target that is neither a path, nor absolute,
    nor the `*` of OPTIONS (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        raise Refused(501)
    if _VISIBLE.fullmatch(target) is None:
        raise Refused(400)
    if target.startswith(b"/"):
        return
    path, _ = origin_form(target)
    if not path.startswith(b"/") and (method, path) != (b"OPTIONS", b"*"):
        raise Refused(400)


def origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """The target as path and query, and the authority if it was absolute (RFC 9112 §3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target, None
    authority, rest = absolute.groups()
    return (rest if rest.startswith(b"/") else b"/" + rest), authority

"""Field blocks that go (RFC 7541, HPACK). Pure, but for the clock that dates them.

They are *stateless*: no entry is added to the client's table and none but the static one is
referred to, so that a block can be prepared once and sent on any connection, any number of times.
What may not be sent raises, before a byte of it has left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from hpack.table import HeaderTable

from proxy.semantics.dates import format_http_date
from proxy.server.hot import AGE, REQUEST_ID, Prepared

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110 §5.6.2, in lower case
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5: all but the tab
# The connection's business, never the app's (RFC 9113 §8.2.2).
_HOP_BY_HOP = {b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"}
# Names as apps write them, and their beginning of a literal; empty for those that are dropped.
# Bounded, since names may come from the metadata of objects.
_NAMES: dict[bytes, bytes] = {}
_MOST_NAMES = 1024


@dataclass(frozen=True, slots=True)
class WrittenHead:
    """The head of a response: its block, and the Content-Length in it, or None."""

    block: bytes
    length: int | None


def write_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> WrittenHead:
    """A response's head, with a Date if it has none (RFC 9110 §6.6.1).

    Raises `ValueError` for a status that is none or not final, a name that is no token, a value
    with a control byte, and a Content-Length that is no number or given twice.
    """
    if not 200 <= status <= 999:
        raise ValueError(f"{status} is no final status")
    length: int | None = None
    dated = False
    parts = [_status(status)]
    for raw, value in headers:
        name = _NAMES.get(raw)
        if name is None:
            name = _learn(bytes(raw))
        if name == _LENGTH:
            if length is not None or not value.isdigit():
                raise ValueError(f"content-length can't be {value!r}")
            length = int(value)
            if status == 204:  # RFC 9110 §8.6
                continue
        elif name == _DATE:
            dated = True
        elif not name:
            continue
        parts += (name, _value(value))
    if not dated:
        parts.append(_date())
    return WrittenHead(b"".join(parts), length)


def write_prepared(prepared: Prepared, request_id: bytes) -> bytes:
    """The block of a prepared answer: as `write_head` makes it of the id and the fields."""
    around = prepared.http2
    if around is None:
        around = prepared.http2 = _around_id(prepared)
    before, behind = around
    own = _string(request_id)
    if prepared.age is not None:
        own += _AGE + _string(b"%d" % prepared.age())
    return b"".join((before, own, behind, _date()))


def _around_id(prepared: Prepared) -> tuple[bytes, bytes]:
    written = write_head(prepared.status, (*prepared.fields, (b"date", b"")))
    status = _status(prepared.status)
    empty_date = _DATE + _string(b"")
    fields = written.block.removeprefix(status).removesuffix(empty_date)
    return status + _literal_name(REQUEST_ID), fields


def write_trailers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The block of fields behind a body; raises `ValueError` as `write_head` does."""
    parts: list[bytes] = []
    for raw, value in headers:
        name = _NAMES.get(raw)
        if name is None:
            name = _learn(bytes(raw))
        if name:
            parts += (name, _value(value))
    return b"".join(parts)


def bare_head(status: int) -> bytes:
    """The head of a response without a body, which the app did not make."""
    return write_head(status, ((b"content-length", b"0"),)).block


def _learn(raw: bytes) -> bytes:
    name = raw.lower()
    if _TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no header name")
    written = b"" if name in _HOP_BY_HOP else _literal_name(name)
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[raw] = written
    return written


def _value(value: bytes) -> bytes:
    if _CONTROL.search(value):
        raise ValueError("the value of a header holds a control byte")
    return _string(value.strip(b" \t"))


# --- HPACK ------------------------------------------------------------------------------------


def _integer(number: int, prefix: int, first: int) -> bytes:
    """RFC 7541 §5.1: an integer whose first byte has so many bits left."""
    most = (1 << prefix) - 1
    if number < most:
        return bytes((first | number,))
    encoded = bytearray((first | most,))
    number -= most
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_SIZES = [bytes((size,)) for size in range(127)]


def _string(value: bytes) -> bytes:
    """§5.2, without Huffman's code: it would take longer than the bytes it saves."""
    size = len(value)
    return (_SIZES[size] if size < 127 else _integer(size, 7, 0)) + value


def _static_names() -> dict[bytes, bytes]:
    names: dict[bytes, bytes] = {}
    for index, (name, _) in enumerate(HeaderTable.STATIC_TABLE, 1):
        names.setdefault(name, _integer(index, 4, 0))
    return names


_STATIC = _static_names()


def _literal_name(name: bytes) -> bytes:
    """A literal without indexing (§6.2.2) begins so: by the static table where it has the name."""
    return _STATIC.get(name) or b"\0" + _string(name)


_LENGTH, _DATE = _literal_name(b"content-length"), _literal_name(b"date")
_AGE = _literal_name(AGE)
# The static table has seven statuses with their value: one byte each (§6.1).
_STATUSES = {
    int(value): bytes((0x80 | index,))
    for index, (name, value) in enumerate(HeaderTable.STATIC_TABLE, 1)
    if name == b":status"
}


def _status(status: int) -> bytes:
    return _STATUSES.get(status) or _literal_name(b":status") + _string(b"%d" % status)


CONTINUE = _status(100)  # RFC 9110 §15.2.1


class _Dating:
    """The Date field, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._field = b""

    def __call__(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._field = _DATE + _string(format_http_date(now).encode("ascii"))
        return self._field


_date = _Dating()

"""Field blocks that go, for HPACK (RFC 7541) and QPACK (RFC 9204). Pure, but for the clock that
dates them.

They are *stateless*: no entry is added to the client's table and none but the static one is
referred to, so that a block can be prepared once and sent on any connection, any number of times.
What may not be sent raises, before a byte of it has left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from proxy.semantics.dates import format_http_date
from proxy.server.hot import AGE, REQUEST_ID, Prepared

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110 §5.6.2, in lower case
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5: all but the tab
# The connection's business, never the app's (RFC 9113 §8.2.2, RFC 9114 §4.2).
_HOP_BY_HOP = {b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"}
# Names that are remembered as they are written: bounded, since they may come from the metadata of
# objects.
_MOST_NAMES = 1024

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class WrittenHead:
    """The head of a response: its block, and the Content-Length in it, or None."""

    block: bytes
    length: int | None


@dataclass(frozen=True, slots=True)
class Compression:
    """What HPACK and QPACK do differently.

    Attributes:
        prefix: what every block begins with.
        literal_name: how a literal that is never indexed begins, by its name; its value follows
            as `string_literal` writes it, which both have alike.
        statuses: the fields that the static table has whole.
        slot: where a prepared answer keeps its block.
    """

    prefix: bytes
    literal_name: Callable[[bytes], bytes]
    statuses: Mapping[int, bytes]
    slot: str


class BlockWriter:
    """Writes blocks in one compression.

    Attributes:
        interim: the block of an informational response that asks for the body
            (RFC 9110 §15.2.1).
    """

    def __init__(self, compression: Compression) -> None:
        self._prefix, self._slot = compression.prefix, compression.slot
        self._literal_name = compression.literal_name
        self._statuses = compression.statuses
        # Names as apps write them, and their beginning of a literal; empty for what is dropped.
        self._names: dict[bytes, bytes] = {}
        self._length_name = self._literal_name(b"content-length")
        self._date_name = self._literal_name(b"date")
        self._age_name = self._literal_name(AGE)
        self._date = _Dating(self._date_name)
        self.interim = self._prefix + self._status(100)

    def head(self, status: int, headers: Headers) -> WrittenHead:
        """A response's head, with a Date if it has none (RFC 9110 §6.6.1).

        Raises `ValueError` for a status that is none or not final, a name that is no token, a
        value with a control byte, and a Content-Length that is no number or given twice.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no final status")
        length: int | None = None
        dated = False
        names, length_name, date_name = self._names, self._length_name, self._date_name
        parts = [self._prefix, self._status(status)]
        for raw, value in headers:
            name = names.get(raw)
            if name is None:
                name = self._learn(bytes(raw))
            if name == length_name:
                if length is not None or not value.isdigit():
                    raise ValueError(f"content-length can't be {value!r}")
                length = int(value)
                if status == 204:  # RFC 9110 §8.6
                    continue
            elif name == date_name:
                dated = True
            elif not name:
                continue
            parts += (name, _value(value))
        if not dated:
            parts.append(self._date())
        return WrittenHead(b"".join(parts), length)

    def prepared(self, prepared: Prepared, request_id: bytes) -> bytes:
        """The block of a prepared answer: as `head` makes it of the id and the fields."""
        around: tuple[bytes, bytes] | None = getattr(prepared.written, self._slot)
        if around is None:
            around = self._around_id(prepared)
            setattr(prepared.written, self._slot, around)
        before, behind = around
        own = string_literal(request_id)
        if prepared.age is not None:
            own += self._age_name + string_literal(b"%d" % prepared.age())
        return b"".join((before, own, behind, self._date()))

    def _around_id(self, prepared: Prepared) -> tuple[bytes, bytes]:
        written = self.head(prepared.status, (*prepared.fields, (b"date", b"")))
        status = self._prefix + self._status(prepared.status)
        empty_date = self._date_name + string_literal(b"")
        fields = written.block.removeprefix(status).removesuffix(empty_date)
        return status + self._literal_name(REQUEST_ID), fields

    def trailers(self, headers: Headers) -> bytes:
        """The block of fields behind a body; raises `ValueError` as `head` does."""
        return self._prefix + self.fields(headers)

    def fields(self, headers: Headers) -> bytes:
        """Fields as they may be put behind those of any block; raises as `head` does."""
        parts: list[bytes] = []
        for raw, value in headers:
            name = self._names.get(raw)
            if name is None:
                name = self._learn(bytes(raw))
            if name:
                parts += (name, _value(value))
        return b"".join(parts)

    def bare(self, status: int) -> bytes:
        """The head of a response without a body, which the app did not make."""
        return self.head(status, ((b"content-length", b"0"),)).block

    def _learn(self, raw: bytes) -> bytes:
        name = raw.lower()
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no header name")
        written = b"" if name in _HOP_BY_HOP else self._literal_name(name)
        if len(self._names) < _MOST_NAMES:
            self._names[raw] = written
        return written

    def _status(self, status: int) -> bytes:
        known = self._statuses.get(status)
        return known or self._literal_name(b":status") + string_literal(b"%d" % status)


def _value(value: bytes) -> bytes:
    if _CONTROL.search(value):
        raise ValueError("the value of a header holds a control byte")
    return string_literal(value.strip(b" \t"))


def integer(number: int, prefix: int, first: int) -> bytes:
    """RFC 7541 §5.1, RFC 9204 §4.1.1: an integer whose first byte has so many bits left."""
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


def string_literal(value: bytes) -> bytes:
    """RFC 7541 §5.2, without Huffman's code: it would take longer than the bytes it saves."""
    size = len(value)
    return (_SIZES[size] if size < 127 else integer(size, 7, 0)) + value


class _Dating:
    """The Date field, made once a second."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._second = -1
        self._field = b""

    def __call__(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._field = self._name + string_literal(format_http_date(now).encode("ascii"))
        return self._field

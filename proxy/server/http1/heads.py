"""The head of a response, as bytes. Pure, but for the clock that dates it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http.client import responses
from typing import NamedTuple

from proxy.server.hot import AGE, REQUEST_ID, Prepared

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
# RFC 9110 §5.5: no controls but the tab; CR and LF are counted instead, as they end our lines.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# The connection's business, never the app's (RFC 9110 §7.6.1).
_HOP_BY_HOP = {b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"}
# Those that say something about the connection or the head itself.
_MEANT = {b"connection", b"content-length", b"date"}
_STATUS_LINES: dict[int, bytes] = {}

# A body up to this size is copied behind its head, so that one piece takes both.
COPIED = 32 * 1024
BAD_REQUEST, REQUEST_TIMEOUT, BROKEN, UNAVAILABLE = 400, 408, 500, 503
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110 §15.2.1
LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112 §7.1


class _Dating:
    """The Date field (RFC 9110 §6.6.1), made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def __call__(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = b"date: %b\r\n" % formatdate(now, usegmt=True).encode("ascii")
        return self._line


date_line = _Dating()


class Fields(NamedTuple):
    """The app's header fields, checked and written out.

    Attributes:
        lines: as they go to the wire, without those that are the connection's.
        length: the Content-Length among them, or None.
        close: whether the app wants the connection closed.
        dated: whether they have a Date of their own.
    """

    lines: bytes
    length: int | None = None
    close: bool = False
    dated: bool = False


def write_fields(headers: Iterable[tuple[bytes, bytes]], *, length_allowed: bool = True) -> Fields:
    """The fields of a response.

    Raises `ValueError` for a name that is no token, a value with a control byte, and a
    Content-Length that is no number or given twice.
    """
    lines: list[bytes] = []
    length: int | None = None
    close = dated = False
    for raw, value in headers:
        line = _line(raw, value)
        if line:
            lines.append(line)
            continue
        name = raw.lower()
        if name == b"content-length":
            if length is not None or not value.isdigit():
                raise ValueError(f"content-length can't be {value!r}")
            length = int(value)
            if length_allowed:
                lines.append(b"content-length: %b\r\n" % value)
        elif name == b"connection":
            close = close or b"close" in value.lower()
        elif name == b"date":
            dated = True
            lines.append(_checked(b"date", value))
    return Fields(b"".join(lines), length, close, dated)


# An app sends the same fields again and again, but for its request's id. The largest values of so
# many are two megabytes.
@lru_cache(512)
def _line(raw: bytes, value: bytes) -> bytes:
    """A field's line; b"" for one that is more than a line, or not the app's to send."""
    name = bytes(raw).lower()
    if _TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no header name")
    return b"" if name in _HOP_BY_HOP or name in _MEANT else _checked(name, value)


def _checked(name: bytes, value: bytes) -> bytes:
    line = b"%b: %b\r\n" % (name, value.strip(b" \t"))
    if line.count(b"\n") != 1 or line.count(b"\r") != 1 or _CONTROL.search(line):
        raise ValueError("the value of a header holds a control byte")
    return line


def write_prepared(prepared: Prepared, request_id: bytes) -> tuple[bytes, bytes]:
    """A whole answer on a connection that goes on, as two pieces of which the second may be empty:
    what `write_fields` and a date make of its head, and its body."""
    around = prepared.written.http1
    if around is None:
        around = prepared.written.http1 = _around_id(prepared)
    before, behind = around
    if prepared.age is not None:
        request_id = b"%b\r\n%b: %d" % (request_id, AGE, prepared.age())
    body = prepared.body
    if len(body) > COPIED:
        return b"".join((before, request_id, behind, date_line(), b"\r\n")), body
    return b"".join((before, request_id, behind, date_line(), b"\r\n", body)), b""


def _around_id(prepared: Prepared) -> tuple[bytes, bytes]:
    fields = write_fields(prepared.fields)
    lines = fields.lines
    if fields.length is None and not prepared.bodyless:
        lines += b"content-length: %d\r\n" % len(prepared.body)
    return status_line(prepared.status) + REQUEST_ID + b": ", b"\r\n" + lines


def status_line(status: int) -> bytes:
    """As RFC 9112 §4 has it; a status without a usual phrase gets an empty one."""
    line = _STATUS_LINES.get(status)
    if line is None:
        if not 100 <= status <= 999:
            raise ValueError(f"{status} is no status")
        line = b"HTTP/1.1 %d %b\r\n" % (status, responses.get(status, "").encode("ascii"))
        _STATUS_LINES[status] = line
    return line


def bare_answer(status: int) -> bytes:
    """A whole response without a body, that ends the connection."""
    return status_line(status) + date_line() + b"content-length: 0\r\nconnection: close\r\n\r\n"

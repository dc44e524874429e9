"""What a request's fields must fulfil in HTTP/2, and the head made of them (RFC 9113 §8).

A request that breaks these rules is malformed: its stream is reset. What any request head must
fulfil, in either version, is `proxy.server.requests`'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from proxy.server.http2.faults import Malformed
from proxy.server.http2.priority import UNSAID, Priority, read_priority
from proxy.server.requests import MOST_FIELDS, Refused, check_head

Field = tuple[bytes, bytes]

# §8.2.1 with RFC 9110 §5.6.2: a token, in lower case.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
# RFC 9110 §5.5: no control but the tab, no white space at the ends.
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_OF_A_CONNECTION = {  # §8.2.2
    b"connection",
    b"proxy-connection",
    b"keep-alive",
    b"transfer-encoding",
    b"upgrade",
}
_PSEUDO = {b":method", b":scheme", b":authority", b":path"}  # §8.3.1
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*")
# Host and port (RFC 3986 §3.2), without user information, which §8.3.1 forbids.
_AUTHORITY = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]+")
_DIGITS = re.compile(rb"[0-9]{1,19}")


class Head(NamedTuple):
    """A request's head, well-formed.

    Attributes:
        target: as sent in `:path`; empty for CONNECT.
        fields: the regular fields, `host` first, cookies joined.
        length: the Content-Length, or None.
        priority: as the Priority field says (RFC 9218 §5).
        expects_continue: whether it says "Expect: 100-continue" (RFC 9110 §10.1.1).
        refused: 0, or the status to answer: it is well-formed, but the app must not see it.
    """

    method: bytes
    target: bytes
    fields: tuple[Field, ...]
    length: int | None
    priority: Priority
    expects_continue: bool
    refused: int


def read_head(fields: Sequence[Field], *, most_bytes: int) -> Head:
    """The head of a request; raises `Malformed`. `most_bytes` as in `check_head`."""
    pseudo, regular = _split(fields)
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if _METHOD.fullmatch(method) is None:
        raise Malformed("no method")
    _check_target(method, pseudo)
    single = _collect(regular)
    host = _host(pseudo.get(b":authority"), single.get(b"host"))
    return Head(
        method,
        target,
        ((b"host", host), *_joined(regular)),
        _length(single.get(b"content-length")),
        read_priority(b",".join(single[b"priority"])) if b"priority" in single else UNSAID,
        single.get(b"expect", [b""])[0].lower() == b"100-continue",
        _refusal(method, target, fields, most_bytes),
    )


def _refusal(method: bytes, target: bytes, fields: Sequence[Field], most_bytes: int) -> int:
    """The status for a head that the app must not see, or 0.

    A target is a path here, and `*` only that of OPTIONS (§8.3.1): there is no absolute form.
    """
    try:
        check_head(method, target, fields, most_bytes=most_bytes, most_fields=MOST_FIELDS)
    except Refused as refused:
        return refused.status
    return 0 if target.startswith((b"/", b"*")) else 400


def check_trailers(fields: Sequence[Field]) -> None:
    """Raises `Malformed` for trailers that are (§8.1); what they say is of no use to us."""
    pseudo, _ = _split(fields)
    if pseudo:
        raise Malformed("a pseudo-header field in trailers")


def _split(fields: Sequence[Field]) -> tuple[dict[bytes, bytes], list[Field]]:
    """Pseudo-header fields, each once and before all others (§8.3), and the regular ones."""
    pseudo: dict[bytes, bytes] = {}
    regular: list[Field] = []
    for field in fields:
        name, value = field
        if _VALUE.fullmatch(value) is None:
            raise Malformed("a value with a control byte, or space around it")
        if name[:1] != b":":
            _check_name(name, value)
            regular.append(field)
        elif name in _PSEUDO and name not in pseudo and not regular:
            pseudo[name] = value
        else:
            raise Malformed("a pseudo-header field that is unknown, repeated or late")
    return pseudo, regular


def _check_name(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise Malformed("a name that is no token in lower case")
    if name in _OF_A_CONNECTION:
        raise Malformed("a field of HTTP/1.1's connections")
    if name == b"te" and value.lower() != b"trailers":
        raise Malformed("a TE field of more than trailers")


def _check_target(method: bytes, pseudo: dict[bytes, bytes]) -> None:
    """Which pseudo-header fields there must be: §8.3.1, and §8.5 for CONNECT."""
    if method == b"CONNECT":
        if b":scheme" in pseudo or b":path" in pseudo or not pseudo.get(b":authority"):
            raise Malformed("CONNECT takes an authority and nothing else")
    elif not pseudo.get(b":path"):
        raise Malformed("no path")
    elif _SCHEME.fullmatch(pseudo.get(b":scheme", b"")) is None:
        raise Malformed("no scheme")


def _collect(regular: Sequence[Field]) -> dict[bytes, list[bytes]]:
    """The values of the fields that mean something here."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in regular:
        if name in (b"host", b"content-length", b"priority", b"expect"):
            found.setdefault(name, []).append(value)
    return found


def _host(authority: bytes | None, hosts: list[bytes] | None) -> bytes:
    """The authority, which Host may repeat but not contradict (§8.3.1)."""
    said = [*(hosts or ()), *([] if authority is None else [authority])]
    if len({one.lower() for one in said}) != 1 or len(hosts or ()) > 1:
        raise Malformed("no authority, or more than one")
    host: bytes = said[-1]
    if _AUTHORITY.fullmatch(host) is None:
        raise Malformed("an authority that is none")
    return host


def _length(values: list[bytes] | None) -> int | None:
    if values is None:
        return None
    if len(values) > 1 or _DIGITS.fullmatch(values[0]) is None:
        raise Malformed("a Content-Length that is no single number")
    return int(values[0])


def _joined(regular: Sequence[Field]) -> list[Field]:
    """All but `host`, with the crumbs of cookies put together (§8.2.3)."""
    crumbs = [value for name, value in regular if name == b"cookie"]
    if len(crumbs) < 2:
        return [field for field in regular if field[0] != b"host"]
    others = [field for field in regular if field[0] not in (b"host", b"cookie")]
    return [*others, (b"cookie", b"; ".join(crumbs))]

"""From bytes to requests: every rule of framing, and nothing that waits or writes.

llhttp does the fields, the body and its chunks; it is strict unless told otherwise, and it is
never told. What it is too lenient in, or can't do, is done here before it sees a byte:

- the end of a head is searched first, and llhttp must agree that it is there;
- the request line has one form (RFC 9112 §3): no HTTP/0.9, no second space, any method;
- `Upgrade` is ignored (RFC 9110 §7.8 allows it): llhttp would stop reading the body behind it;
- behind a chunked body nothing else is read from the same connection's bytes: a client that
  sends a request there, before the answer, is answered once and the connection closed.

A client repeats itself: fields that came before on a connection, byte for byte, in a request
without a body, mean the same again, and are not shown to llhttp a second time.

A request whose framing can be read in two ways is refused and its connection closed, since what
follows it could be anything (RFC 9112 §11.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from proxy.server.requests import MOST_FIELDS, Refused, check_target, origin_form

# RFC 9112 §3: method SP request-target SP HTTP-version; §2.3: the version's case counts.
_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])\r\n",
)
# The beginning of such a line, as far as it has come.
_BEGINNING = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+( ([\x21-\x7e]+( (H|HT|HTT|HTTP|HTTP/[0-9.]{0,3}\r?)?)?)?)?",
)
_BARE_LF = re.compile(rb"(?<!\r)\n")
# RFC 9110 §7.2 and RFC 3986 §3.2.2: a name, an address in brackets, or nothing; a port.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.vV]+\])(?::[0-9]*)?")
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
# Methods that llhttp knows and frames like any other. All others are shown to it as PUT: the
# framing does not depend on the method (RFC 9112 §6.3 has no word of it for requests).
_SHOWN = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"}
# Those whose framing a field section alone decides, as far as it has been tried here.
_KNOWN_METHODS = {b"GET", b"HEAD"}
# What the framing of chunks may add (sizes, extensions, trailers), beside the body it frames: an
# honest sender needs two lines a chunk; one byte a chunk is allowed, a megabyte of extensions not.
_FRAMING, _FRAMING_PER_BYTE = 16 * 1024, 8
_END = b"\r\n\r\n"
# Field sections of one connection that are remembered, and the size of what is: a browser has one
# for each kind of thing it fetches, a few hundred bytes each.
_MOST_KNOWN, _LARGEST_KNOWN = 4, 1024


@dataclass(slots=True)
class RequestHead:
    """The head of a request.

    Attributes:
        target: in origin form, or `*`; an absolute one is taken apart (RFC 9112 §3.2.2).
        headers: names in lower case, values without white space around.
        keep_alive: whether the client wants to go on (RFC 9112 §9.3).
        waits: for "100 Continue", before it sends the body (RFC 9110 §10.1.1).
    """

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    waits: bool


_CLOSED = httptools.HttpRequestParser(None)


class RequestParser:
    """Requests, one after the other: `next_head`, then `next_body` until `body_read`.

    `receive` only keeps bytes. Either of the others raises `Refused`, after which nothing more
    can be read.
    """

    def __init__(self, max_header_size: int) -> None:
        self._max_header_size = max_header_size
        self._unread = b""
        self._parser = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._head_read = False
        self._keep_alive = False
        self._to_come: int | None = None  # of a body with a Content-Length
        self._framing = 0
        self._known: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self.body_read = True
        self.must_close = False  # nothing behind this request can be read

    @property
    def unread(self) -> int:
        """How many bytes wait to be read."""
        return len(self._unread)

    def receive(self, data: bytes) -> None:
        """Adds bytes of the connection."""
        self._unread = self._unread + data if self._unread else data

    def close(self) -> None:
        """Nothing more is read: what it and llhttp know of each other is then freed at once."""
        self._parser = _CLOSED

    # --- heads ------------------------------------------------------------------------------

    def next_head(self) -> RequestHead | None:
        """The next request's head, or None if more bytes are needed."""
        unread = self._unread
        # RFC 9112 §2.2: an empty line before the request is ignored; one, not any number.
        start = 2 if unread.startswith(b"\r\n") else 0
        end = unread.find(_END, start) + len(_END)
        if end < len(_END):
            self._check_partial(start)
            return None
        line = _LINE.match(unread, start)
        if line is None or end - start > self._max_header_size:
            raise Refused(self._fault_of_line(start))
        self._unread = unread[end:]
        section = unread[line.end() : end]
        known = self._known.get(section)
        if known is not None:
            method, target, version = line.groups()
            if target.startswith(b"/") and version == b"1.1" and method in _KNOWN_METHODS:
                return RequestHead(method, target, "1.1", known, True, False)
        head = self._read_head(line, unread[start:end] if start or self._unread else unread)
        if len(section) <= _LARGEST_KNOWN:
            self._remember(section, head)
        return head

    def _remember(self, section: bytes, head: RequestHead) -> None:
        """Keeps fields with which nothing follows the head, and the connection goes on."""
        plain = head.headers is self._headers and head.version == "1.1" and head.keep_alive
        if plain and self.body_read and not self.must_close:
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[section] = head.headers

    def _check_partial(self, start: int) -> None:
        """Refuses at once what can't become a request, rather than when its time is up."""
        unread = self._unread
        line_end = unread.find(b"\r\n", start)
        if line_end >= 0:
            whole = _LINE.match(unread, start) is not None
        else:
            whole = start == len(unread) or unread == b"\r"
            whole = whole or _BEGINNING.fullmatch(unread, start) is not None
        too_long = len(unread) - start > self._max_header_size
        if not whole or too_long or _BARE_LF.search(unread):
            raise Refused(self._fault_of_line(start))

    def _fault_of_line(self, start: int) -> int:
        """414 for a line beyond the limit (RFC 9112 §3), 431 for a head (RFC 6585 §5), or 400."""
        unread = self._unread
        line_end = unread.find(b"\r\n", start)
        if (line_end if line_end >= 0 else len(unread)) - start > self._max_header_size:
            return 414
        if line_end >= 0 and _LINE.match(unread, start) is None:
            return 400
        return 431 if len(unread) - start > self._max_header_size else 400

    def _read_head(self, line: re.Match[bytes], head: bytes) -> RequestHead:
        method, target, version = line.groups()
        if version not in {b"1.0", b"1.1"}:
            raise Refused(505)  # RFC 9110 §15.6.6
        check_target(method, target)
        if method not in _SHOWN:
            head = b"PUT" + head[len(method) :]
        self._headers, self._head_read, self.body_read = [], False, False
        self._feed_head(head)
        if not self._head_read:
            raise Refused(400)  # llhttp sees its end elsewhere
        return self._checked(method, target, version)

    def _feed_head(self, head: bytes) -> None:
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._parser = httptools.HttpRequestParser(self)
            self._headers, self._head_read, self.body_read = [], False, False
            self._feed_head(_UPGRADE.sub(b"\r\nx-not-upgraded:", head))
        except httptools.HttpParserError:
            raise Refused(400) from None

    def _checked(self, method: bytes, target: bytes, version: bytes) -> RequestHead:
        """What llhttp leaves open: Host, the transfer coding, absolute targets, sizes."""
        headers, hosts, waits = self._headers, 0, False
        if len(headers) > MOST_FIELDS:
            raise Refused(431)
        self._to_come = 0 if self.body_read else None
        for name, value in headers:
            if name == b"host":
                hosts += 1
                if _HOST.fullmatch(value) is None:
                    raise Refused(400)  # RFC 9112 §3.2
            elif name == b"content-length":
                self._to_come = int(value)  # llhttp has seen that it is digits, and only once
            elif name == b"transfer-encoding":
                self._check_coding(value, version)
            elif name == b"expect":
                waits = value.lower() == b"100-continue"
        if hosts > 1 or (hosts == 0 and version == b"1.1"):
            raise Refused(400)  # RFC 9112 §3.2
        self._framing = _FRAMING
        if not target.startswith(b"/"):
            target, headers = self._origin_form(target)
        waits = waits and not self.body_read and version == b"1.1"  # RFC 9110 §10.1.1
        return RequestHead(method, target, version.decode(), headers, self._keep_alive, waits)

    def _check_coding(self, coding: bytes, version: bytes) -> None:
        if version == b"1.0":
            raise Refused(400)  # RFC 9112 §6.1: its framing is faulty
        if coding.lower() != b"chunked":
            raise Refused(501)  # RFC 9112 §6.1: a coding we don't know

    def _origin_form(self, target: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """An absolute target's authority replaces Host (RFC 9112 §3.2.2)."""
        target, authority = origin_form(target)
        if authority is None:
            return target, self._headers
        if _HOST.fullmatch(authority) is None:
            raise Refused(400)  # among others user information (RFC 9110 §4.2.4)
        others = [one for one in self._headers if one[0] != b"host"]
        return target, [(b"host", authority), *others]

    # --- bodies -----------------------------------------------------------------------------

    def next_body(self) -> bytes:
        """What has come of the body, maybe nothing; then `body_read` says whether that is all."""
        unread = self._unread
        if self.body_read or not unread:
            return b""
        if self._to_come is not None:  # RFC 9112 §6.2
            unread, self._unread = unread[: self._to_come], unread[self._to_come :]
            self._to_come -= len(unread)
        else:  # RFC 9112 §7.1
            self._unread = b""
        try:
            self._parser.feed_data(unread)
        except httptools.HttpParserError:
            self.must_close = True
            if not self.body_read:
                raise Refused(400) from None
        body = b"".join(self._pieces)
        self._pieces.clear()
        if self._to_come is None:
            self._count_framing(len(unread), len(body))
        return body

    def _count_framing(self, fed: int, body: int) -> None:
        self._framing += body * (_FRAMING_PER_BYTE + 1) - fed
        if self._framing < 0:
            raise Refused(400)
        self._framing = min(self._framing, _FRAMING)

    # --- what llhttp calls ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins; it is never reached within a body that `next_body` feeds, unless
        one is behind its last chunk."""
        if self.body_read:
            self.must_close = True
            raise ValueError("a request behind a chunked body")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or one behind the last chunk, which is dropped."""
        if not self._head_read:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._head_read = True
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.body_read = True

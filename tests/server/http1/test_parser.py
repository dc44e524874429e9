"""The framing rules of HTTP/1.1 as a table, and what must not depend on how bytes arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http1.parser import RequestHead, RequestParser
from proxy.server.requests import Refused

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 1000

Read = list[tuple[bytes, bytes, bytes] | int]


def read(data: bytes, step: int = 0) -> Read:
    """Each request as method, target and body, and the status of a refusal."""
    parser, found, body = RequestParser(LIMIT), Read(), b""
    head: RequestHead | None = None
    try:
        for start in range(0, len(data), step or len(data)):
            parser.receive(data[start : start + (step or len(data))])
            while True:
                if head is None:
                    head, body = (None if parser.must_close else parser.next_head()), b""
                if head is None:
                    break
                body += parser.next_body()
                if not parser.body_read:
                    break
                found.append((head.method, head.target, body))
                head = None
    except Refused as refused:
        found.append(refused.status)
    return found


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        # RFC 9112 §3: one form of request line, methods with their case (RFC 9110 §9.1)
        ([(b"GET", b"/", b"")], GET + b"\r\n"),
        ([(b"get", b"/", b"")], b"get / HTTP/1.0\r\n\r\n"),
        ([(b"MAKE-IT", b"/a?b", b"")], b"MAKE-IT /a?b HTTP/1.0\r\n\r\n"),
        ([(b"M", b"/", b"hello")], b"M / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        ([400], b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ([400], b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET / http/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        ([400], b"GET /\r\n"),  # HTTP/0.9
        ([400], b"\x16\x03\x01\x02\x00\x01"),  # the beginning of TLS
        ([505], b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ([505], b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        ([505], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        # §2.2: one empty line before it is ignored; lines end with CRLF
        ([(b"GET", b"/", b"")], b"\r\n" + GET + b"\r\n"),
        ([400], b"\r\n\r\n" + GET + b"\r\n"),
        ([400], b"GET / HTTP/1.1\nHost: a\n\n"),
        ([400], GET + b"a: b\nc: d\r\n\r\n"),
        ([400], GET + b"a: b\n"),  # at once, not when its time is up
        ([400], GET + b"a: b\rc: d\r\n\r\n"),
        # §3.2: targets; RFC 9110 §4.2.4: no user information
        ([(b"GET", b"/x?y", b"")], b"GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([(b"OPTIONS", b"*", b"")], b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([400], b"GET http://u:p@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([501], b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        # §3.2: exactly one Host, and a valid one; none is needed in HTTP/1.0
        ([400], b"GET / HTTP/1.1\r\n\r\n"),
        ([400], GET + b"Host: a\r\n\r\n"),
        ([400], b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ([400], b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
        ([400], b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        ([(b"GET", b"/", b"")], b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        ([(b"GET", b"/", b"")], b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
        # §5: no space before the colon, no folding, no controls, no empty name
        ([400], GET + b"a : b\r\n\r\n"),
        ([400], GET + b"a: b\r\n c\r\n\r\n"),
        ([400], GET + b" a: b\r\n\r\n"),
        ([400], GET + b": b\r\n\r\n"),
        ([400], GET + b"a\x00: b\r\n\r\n"),
        ([400], GET + b"a: \x00\r\n\r\n"),
        ([400], GET + b"a: \x7f\r\n\r\n"),
        ([400], GET + b"nonsense\r\n\r\n"),
        # §6.1 and §6.3: one length, one meaning
        ([400], POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ([400], POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ([400], POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        ([400], POST + b"Content-Length: 5, 5\r\n\r\nhello"),
        ([400], POST + b"Content-Length: +5\r\n\r\nhello"),
        ([400], POST + b"Content-Length: -5\r\n\r\nhello"),
        ([400], POST + b"Content-Length: 0x5\r\n\r\nhello"),
        ([400], POST + b"Content-Length: 5 5\r\n\r\nhello"),
        ([400], POST + b"Content-Length:\r\n\r\nhello"),
        ([400], POST + b"Content-Length: 99999999999999999999\r\n\r\n"),
        ([400], b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ([400], POST + b"Transfer-Encoding: gzip\r\n\r\n"),
        ([400], POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ([400], POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ([400], POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ([501], POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        # §7.1: chunks
        ([(b"POST", b"/", b"hello")], CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"),
        ([(b"POST", b"/", b"hello")], CHUNKED + b"05;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
        ([400], CHUNKED + b"5\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"5\r\nhello\n0\r\n\r\n"),
        ([400], CHUNKED + b"\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nhello"),
        ([400], CHUNKED + b"5;a=\x00\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n"),
        ([400], CHUNKED + b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n"),
        ([400], CHUNKED + b"0\r\nx y\r\n\r\n"),
        # RFC 9110 §7.8: an upgrade is ignored, its request's body is one all the same
        ([(b"GET", b"/", b"")], GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (
            [(b"POST", b"/", b"GET /"), (b"GET", b"/", b"")],
            POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nGET /"
            + GET + b"\r\n",
        ),
        # sizes: RFC 9112 §3 for the line, RFC 6585 §5 for the head
        ([414], b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([414], b"GET /" + b"a" * LIMIT),
        ([431], GET + b"a: " + b"b" * LIMIT + b"\r\n\r\n"),
        ([431], GET + b"a: " + b"b" * LIMIT),
        ([431], GET + b"a:\r\n" * 128 + b"\r\n"),
        # one after the other
        ([(b"GET", b"/", b""), (b"PUT", b"/", b"ab"), (b"x", b"/", b"")],
         GET + b"\r\nPUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
         b"x / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ([(b"GET", b"/", b""), 400], GET + b"\r\nGET /\r\n"),
    ],
)  # fmt: skip
def test_the_table(expected: Read, data: bytes) -> None:
    assert read(data) == expected
    assert read(data, step=1) == expected


def test_nothing_is_read_behind_a_chunked_body_in_the_same_bytes() -> None:
    parser = RequestParser(LIMIT)
    parser.receive(CHUNKED + b"0\r\n\r\n" + GET + b"\r\n")
    assert parser.next_head() is not None
    assert parser.next_body() == b""
    assert (parser.body_read, parser.must_close, parser.unread) == (True, True, 0)


@pytest.mark.parametrize(
    ("keep_alive", "data"),
    [
        (True, GET + b"\r\n"),
        (False, GET + b"Connection: close\r\n\r\n"),
        (False, b"GET / HTTP/1.0\r\n\r\n"),
        (True, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        (True, GET + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"),
    ],
)
def test_who_wants_to_go_on(keep_alive: bool, data: bytes) -> None:
    parser = RequestParser(LIMIT)
    parser.receive(data)
    head = parser.next_head()
    assert head is not None
    assert head.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("waits", "data"),
    [
        (True, POST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"),
        (False, POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
        (False, POST + b"Expect: something\r\nContent-Length: 5\r\n\r\n"),
        (False, b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_who_waits_for_a_100(waits: bool, data: bytes) -> None:
    parser = RequestParser(LIMIT)
    parser.receive(data)
    head = parser.next_head()
    assert head is not None
    assert head.waits is waits


def test_fields_are_lower_case_and_trimmed() -> None:
    parser = RequestParser(LIMIT)
    parser.receive(b"GET http://b:1/x HTTP/1.1\r\nHost: a\r\nX-A:\t b c \t\r\n\r\n")
    head = parser.next_head()
    assert head is not None
    assert head.headers == [(b"host", b"b:1"), (b"x-a", b"b c")]


@given(
    st.lists(
        st.sampled_from(
            [GET + b"\r\n", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"\r\n", b"\n", b"\x00",
             POST + b"Content-Length: 5\r\n\r\nhello", b"POST / HTTP/1.1\r\n", b"Host: a\r\n",
             b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"hello", b" ", b":",
             b"5\r\n", b"a: b\r\n"]
        ),
        max_size=8,
    ),
    st.integers(1, 40),
)  # fmt: skip
def test_how_bytes_arrive_changes_no_meaning(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)
    whole, parts = read(data) if data else [], read(data, step)
    # Behind a chunked body it may be read or not, and the connection closed.
    shorter, longer = sorted((whole, parts), key=len)
    assert longer[: len(shorter)] == shorter
    if longer != shorter:
        assert b"chunked" in data


# --- what a connection remembers --------------------------------------------------------------


def heads(data: bytes, *more: bytes) -> list[RequestHead]:
    """The heads of requests without a body."""
    parser, found = RequestParser(LIMIT), []
    for piece in (data, *more):
        parser.receive(piece)
        while (head := parser.next_head()) is not None:
            found.append(head)
    return found


def shown_to_llhttp(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    shown: list[bytes] = []
    feed = RequestParser._feed_head

    def counted(self: RequestParser, head: bytes) -> None:
        shown.append(head)
        feed(self, head)

    monkeypatch.setattr(RequestParser, "_feed_head", counted)
    return shown


def test_fields_that_came_before_mean_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_to_llhttp(monkeypatch)
    section = b"Host: a\r\nX-Y: z\r\n\r\n"
    lines = [b"GET /a", b"GET /b?c", b"HEAD /a", b"\r\nGET /d"]
    found = heads(b"".join(line + b" HTTP/1.1\r\n" + section for line in lines))
    assert len(shown) == 1
    assert [(one.method, one.target) for one in found] == [
        *((b"GET", b"/a"), (b"GET", b"/b?c"), (b"HEAD", b"/a"), (b"GET", b"/d"))
    ]
    for one in found:
        assert one.headers == [(b"host", b"a"), (b"x-y", b"z")]
        assert (one.version, one.keep_alive, one.waits) == ("1.1", True, False)


@pytest.mark.parametrize(
    "second",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_what_differs_is_read(second: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_to_llhttp(monkeypatch)
    first = GET + b"\r\n"
    alone = heads(second)
    assert heads(first + second)[1:] == alone
    assert len(shown) == 3


@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a\r\nConnection: close\r\n",
        b"Host: a\r\nContent-Length: 3\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n",
        b"Host: a\r\nX: " + b"y" * 1100 + b"\r\n",
    ],
)
def test_what_says_more_is_not_remembered(fields: bytes) -> None:
    parser = RequestParser(4096)
    parser.receive(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    assert parser.next_head() is not None
    assert parser._known == {}


def test_only_a_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = RequestParser(LIMIT)
    for number in range(50):
        parser.receive(GET + b"X: %d\r\n\r\n" % number)
        assert parser.next_head() is not None
    assert list(parser._known) == [b"Host: a\r\nX: %d\r\n\r\n" % n for n in range(46, 50)]


@given(st.lists(st.sampled_from(range(12)), min_size=2, max_size=12))
def test_nothing_that_came_before_changes_a_meaning(order: list[int]) -> None:
    sections = [b"Host: a\r\n\r\n", b"Host: a\r\nExpect: 100-continue\r\n\r\n",
                b"Host: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"]  # fmt: skip
    lines = [b"GET /1 HTTP/1.1\r\n", b"HEAD /2 HTTP/1.1\r\n", b"PURGE /3 HTTP/1.1\r\n",
             b"GET http://b/4 HTTP/1.1\r\n"]  # fmt: skip
    requests = [lines[one % 4] + sections[one // 4] for one in order]
    assert heads(b"".join(requests)) == [heads(one)[0] for one in requests]

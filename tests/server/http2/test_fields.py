"""A request's fields: which are malformed (RFC 9113 §8), and what is made of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.faults import Malformed
from proxy.server.http2.fields import Head, check_trailers, read_head
from tests.server.http2.driving import GET

METHOD, SCHEME, AUTHORITY, PATH = GET
MALFORMED = [
    # §8.2.1: names
    (*GET, (b"X", b"y")),
    (*GET, (b"", b"y")),
    (*GET, (b"x y", b"y")),
    (*GET, (b"x\0", b"y")),
    (*GET, (b"x:", b"y")),
    (*GET, (b"\xff", b"y")),
    # and values
    (*GET, (b"x", b"a\rb")),
    (*GET, (b"x", b"a\nb")),
    (*GET, (b"x", b"a\0b")),
    (*GET, (b"x", b"a\x1bb")),
    (*GET, (b"x", b" a")),
    (*GET, (b"x", b"a\t")),
    (*GET[:3], (b":path", b"/\n")),
    # §8.2.2: the connection's fields
    (*GET, (b"connection", b"keep-alive")),
    (*GET, (b"proxy-connection", b"close")),
    (*GET, (b"keep-alive", b"1")),
    (*GET, (b"transfer-encoding", b"chunked")),
    (*GET, (b"upgrade", b"h2c")),
    (*GET, (b"te", b"gzip")),
    (*GET, (b"te", b"trailers, gzip")),
    # §8.3: pseudo-header fields
    (*GET, (b":path", b"/")),
    (*GET, (b":status", b"200")),
    (*GET, (b":protocol", b"websocket")),
    (*GET, (b":x", b"y")),
    (METHOD, SCHEME, AUTHORITY, (b"x", b"y"), PATH),
    (SCHEME, AUTHORITY, PATH),
    (METHOD, AUTHORITY, PATH),
    (METHOD, SCHEME, AUTHORITY),
    (METHOD, SCHEME, PATH),
    (METHOD, SCHEME, AUTHORITY, (b":path", b"")),
    (METHOD, (b":scheme", b""), AUTHORITY, PATH),
    ((b":method", b""), SCHEME, AUTHORITY, PATH),
    ((b":method", b"G T"), SCHEME, AUTHORITY, PATH),
    # §8.3.1: the authority
    (METHOD, SCHEME, (b":authority", b""), PATH),
    (METHOD, SCHEME, (b":authority", b"user@a"), PATH),
    (METHOD, SCHEME, (b":authority", b"a/b"), PATH),
    (*GET, (b"host", b"b")),
    (*GET, (b"host", b"a"), (b"host", b"a")),
    (METHOD, SCHEME, PATH, (b"host", b"a"), (b"host", b"b")),
    (METHOD, SCHEME, PATH, (b"host", b"")),
    # §8.5: CONNECT
    ((b":method", b"CONNECT"), SCHEME, AUTHORITY, PATH),
    ((b":method", b"CONNECT"),),
    # §8.1.1: Content-Length
    (*GET, (b"content-length", b"")),
    (*GET, (b"content-length", b"+1")),
    (*GET, (b"content-length", b"1, 1")),
    (*GET, (b"content-length", b"1"), (b"content-length", b"1")),
    (*GET, (b"content-length", b"9" * 30)),
    (),
]


def head(*fields: tuple[bytes, bytes]) -> Head:
    return read_head(fields, most_bytes=16384)


@pytest.mark.parametrize("fields", MALFORMED)
def test_malformed(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(Malformed):
        head(*fields)


def test_the_authority_takes_the_place_of_host() -> None:
    assert head(*GET, (b"a", b"b")).fields == ((b"host", b"a"), (b"a", b"b"))
    assert head(*GET, (b"a", b"b"), (b"host", b"A")).fields == ((b"host", b"a"), (b"a", b"b"))
    assert head(*GET[:2], PATH, (b"host", b"[::1]:80")).fields == ((b"host", b"[::1]:80"),)


def test_crumbs_are_one_cookie() -> None:
    crumbs = [(b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d")]
    assert head(*GET, *crumbs).fields[1:] == ((b"x", b"y"), (b"cookie", b"a=b; c=d"))


def test_what_means_something_here() -> None:
    said = head(
        *GET, (b"content-length", b"007"), (b"expect", b"100-Continue"), (b"te", b"Trailers")
    )
    assert (said.length, said.expects_continue, said.refused) == (7, True, 0)
    assert head(*GET, (b"priority", b"u=1"), (b"priority", b"i")).priority == (1, True)
    assert head(*GET).priority == (3, True)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (((b":method", b"CONNECT"), (b":authority", b"a:1")), 501),
        (((b":method", b"OPTIONS"), SCHEME, AUTHORITY, (b":path", b"*")), 0),
        ((METHOD, SCHEME, AUTHORITY, (b":path", b"*")), 400),
        ((METHOD, SCHEME, AUTHORITY, (b":path", b"x")), 400),
        ((METHOD, SCHEME, AUTHORITY, (b":path", b"http://b/")), 400),
        ((METHOD, SCHEME, AUTHORITY, (b":path", b"/\xff")), 400),
        ((*GET, *[(b"x", b"y")] * 124), 0),
        ((*GET, *[(b"x", b"y")] * 125), 431),
        ((*GET, (b"x", b"y" * 16384)), 431),
    ],
)
def test_what_the_app_must_not_see(fields: tuple[tuple[bytes, bytes], ...], status: int) -> None:
    assert head(*fields).refused == status


def test_trailers() -> None:
    check_trailers([(b"x", b"y")])
    for bad in ([PATH], [(b"X", b"y")], [(b"x", b"a\nb")], [(b"connection", b"close")]):
        with pytest.raises(Malformed):
            check_trailers(bad)


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=4))
def test_nothing_else_is_raised(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        read = head(*GET, *fields)
    except Malformed:
        return
    assert all(b"\n" not in name + value for name, value in read.fields)

"""Raw frames, and what must come of them: RFC 9113's rules as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2 import frames
from proxy.server.http2.faults import ErrorCode, StreamFault
from proxy.server.http2.fields import Head
from proxy.server.http2.frames import ACK, END_HEADERS, END_STREAM, PADDED, WITH_PRIORITY
from proxy.server.http2.streams import Stream
from tests.server.http2.driving import (
    GET,
    POST,
    Driven,
    Told,
    block,
    data,
    frame,
    headers,
    reset,
    settings,
    update,
)

PROTOCOL, FLOW, CLOSED = ErrorCode.PROTOCOL_ERROR, ErrorCode.FLOW_CONTROL_ERROR, 5
SIZE, COMPRESSION, CALM = ErrorCode.FRAME_SIZE_ERROR, ErrorCode.COMPRESSION_ERROR, 11
OPEN = headers(1, POST, end=False)
LENGTH_5 = (*POST, (b"content-length", b"5"))
SIBLING = headers(99)

# what comes, and the connection error it is
CONNECTION_ERRORS = [
    (frame(frames.DATA, b"a"), PROTOCOL),  # §6.1: not on the connection
    (data(1, b"a"), PROTOCOL),  # §5.1: idle
    (OPEN + data(2, b"a"), PROTOCOL),
    (headers(0), PROTOCOL),  # §6.2
    (headers(2), PROTOCOL),  # §5.1.1: clients' numbers are odd
    (headers(5) + headers(3), PROTOCOL),  # and rise
    (headers(1, end=True) + reset(1) + headers(1), None),  # a stream error, see below
    (frame(frames.HEADERS, b"\xff", 1, END_HEADERS), COMPRESSION),  # §4.3
    (frame(frames.HEADERS, b"\xc6", 1, END_HEADERS), COMPRESSION),  # an index beyond the table
    (frame(frames.HEADERS, b"\x80", 1, END_HEADERS), COMPRESSION),
    (frame(frames.HEADERS, block(GET) + b"\x20", 1, END_HEADERS), COMPRESSION),
    (frame(frames.HEADERS, b"\x3f\xe2\x1f", 1, END_HEADERS), COMPRESSION),  # more than 4096
    (frame(frames.HEADERS, b"\x05a", 1, END_HEADERS | PADDED), PROTOCOL),  # §6.2
    (frame(frames.HEADERS, b"", 1, END_HEADERS | PADDED), SIZE),
    (frame(frames.HEADERS, b"abcd", 1, END_HEADERS | WITH_PRIORITY), SIZE),
    (OPEN + frame(frames.DATA, b"\x02a", 1, PADDED), PROTOCOL),  # §6.1
    (frame(frames.PRIORITY, bytes(5)), PROTOCOL),  # §6.3
    (frame(frames.PRIORITY, bytes(4), 1), SIZE),  # idle, so that it can't be reset
    (frame(frames.RST_STREAM, bytes(4)), PROTOCOL),  # §6.4
    (frame(frames.RST_STREAM, bytes(4), 1), PROTOCOL),
    (OPEN + frame(frames.RST_STREAM, bytes(3), 1), SIZE),
    (frame(frames.SETTINGS, b"", 1), PROTOCOL),  # §6.5
    (frame(frames.SETTINGS, bytes(5)), SIZE),
    (frame(frames.SETTINGS, bytes(6), 0, ACK), SIZE),
    (settings((2, 2)), PROTOCOL),  # §6.5.2
    (settings((4, 2**31)), FLOW),
    (settings((5, 2**14 - 1)), PROTOCOL),
    (settings((5, 2**24)), PROTOCOL),
    (settings((9, 2)), PROTOCOL),  # RFC 9218 §2.1
    (OPEN + update(1, 2**31 - 1 - 65535) + settings((4, 65536)), FLOW),  # §6.9.2
    (settings(*[(4, 0)] * 33), CALM),
    (frame(frames.PUSH_PROMISE, bytes(4), 1, END_HEADERS), PROTOCOL),  # §8.4
    (frame(frames.PING, bytes(7)), SIZE),  # §6.7
    (frame(frames.PING, bytes(8), 1), PROTOCOL),
    (frame(frames.GOAWAY, bytes(8), 1), PROTOCOL),  # §6.8
    (frame(frames.GOAWAY, bytes(7)), SIZE),
    (update(0, 0), PROTOCOL),  # §6.9
    (update(0, 2**31 - 1), FLOW),  # §6.9.1
    (update(1, 1), PROTOCOL),
    (frame(frames.WINDOW_UPDATE, bytes(3), 1), SIZE),
    (frame(frames.CONTINUATION, b"", 1, END_HEADERS), PROTOCOL),  # §6.10
    (headers(1, whole=False) + headers(3), PROTOCOL),
    (headers(1, whole=False) + frame(frames.PING, bytes(8)), PROTOCOL),
    (headers(1, whole=False) + frame(0x55, b""), PROTOCOL),
    (headers(1, whole=False) + update(0, 1), PROTOCOL),
    (update(0, 1) * 9 + headers(1, whole=False) + update(0, 1), PROTOCOL),  # in two turns
    (headers(1, whole=False) + frame(frames.CONTINUATION, b"", 3, END_HEADERS), PROTOCOL),
    (headers(1, whole=False) + frame(frames.CONTINUATION, bytes(16384), 1) * 2, CALM),
    (frame(frames.PRIORITY_UPDATE, bytes(4)), PROTOCOL),  # RFC 9218 §7.1
    (frame(frames.PRIORITY_UPDATE, b"\0\0\0\2u=1"), PROTOCOL),
    (frame(frames.PRIORITY_UPDATE, b"\0\0\0\1", 1), PROTOCOL),
    (frame(frames.PRIORITY_UPDATE, bytes(3)), SIZE),
    (frame(0x55, bytes(16385)), SIZE),  # §4.2
]


@pytest.mark.parametrize(("came", "code"), CONNECTION_ERRORS)
def test_connection_errors(came: bytes, code: int | None) -> None:
    driven = Driven()
    driven.give(came)
    assert driven.connection.failed == code
    goaways = [one for one in driven.sent() if one.kind == frames.GOAWAY]
    assert [frames.word_of(one.payload[4:]) for one in goaways] == ([] if code is None else [code])
    driven.give(SIBLING)  # nothing is looked at any more
    assert (99 in driven.told.heads) == (code is None)


# what comes, and the stream errors it is
STREAM_ERRORS = [
    (headers(1, GET[1:]), [(1, PROTOCOL)]),  # §8.1.1; more in test_fields.py
    (headers(1, GET[1:]) + headers(1), [(1, PROTOCOL)]),  # what crosses a reset is passed over
    (headers(1, GET[1:]) + data(1, b"abc"), [(1, PROTOCOL)]),
    (headers(1) + data(1, b"a"), [(1, CLOSED)]),  # §5.1: half-closed
    (headers(1) + headers(1), [(1, CLOSED)]),
    (headers(1) + reset(1) + headers(1), [(1, CLOSED)]),  # closed by the client
    (OPEN + reset(1) + data(1, b"a"), [(1, CLOSED)]),
    (OPEN + frame(frames.PRIORITY, bytes(4), 1), [(1, SIZE)]),  # §6.3
    (OPEN + update(1, 0), [(1, PROTOCOL)]),  # §6.9
    (OPEN + update(1, 2**31 - 1), [(1, FLOW)]),  # §6.9.1
    (OPEN + data(1, bytes(16384)) * 4, [(1, FLOW)]),
    (headers(1, LENGTH_5), [(1, PROTOCOL)]),  # §8.1.1: Content-Length and DATA
    (headers(1, LENGTH_5, end=False) + data(1, b"123456"), [(1, PROTOCOL)]),
    (headers(1, LENGTH_5, end=False) + data(1, b"1234", end=True), [(1, PROTOCOL)]),
    (headers(1, LENGTH_5, end=False) + headers(1, ((b"a", b"b"),)), [(1, PROTOCOL)]),
    (OPEN + headers(1, ((b"a", b"b"),), end=False), [(1, PROTOCOL)]),  # §8.1: no trailers
    (OPEN + headers(1, GET), [(1, PROTOCOL)]),  # pseudo-header fields in trailers
    (OPEN + headers(1, ((b"A", b"b"),)), [(1, PROTOCOL)]),
    (b"".join(headers(one) for one in range(1, 203, 2)), [(201, ErrorCode.REFUSED_STREAM)]),
]


@pytest.mark.parametrize(("came", "resets"), STREAM_ERRORS)
def test_stream_errors_leave_siblings_alone(came: bytes, resets: list[tuple[int, int]]) -> None:
    driven = Driven()
    driven.give(came)
    assert driven.resets() == resets
    assert driven.connection.failed is None
    if len(driven.connection.streams) < 100:
        driven.give(headers(201))
        assert 201 in driven.told.heads


# what comes, and is fine
FINE = [
    headers(1) + frame(frames.PRIORITY, bytes(5), 1),
    frame(frames.PRIORITY, b"\0\0\0\1\0", 1),  # of itself: deprecated, and not looked at
    frame(frames.PRIORITY_UPDATE, b"\0\0\0\1u=1") + headers(1),
    frame(0x55, b"whatever", 7, 0xFF),  # §5.5
    settings((0x55, 1)),
    headers(1) + reset(1) + reset(1) + update(1, 5),  # late ones, §5.1
    headers(3) + update(1, 1) + reset(1),
    headers(1, whole=False) + frame(frames.CONTINUATION, block([(b"a", b"b")]), 1, END_HEADERS),
    frame(frames.HEADERS, b"\x02" + bytes(5) + block(GET) + bytes(2), 1, 0x2D),
    OPEN + frame(frames.DATA, b"\x02a" + bytes(2), 1, PADDED | END_STREAM),
    headers(1, LENGTH_5, end=False) + data(1, b"123") + data(1, b"45", end=True),
    headers(1, LENGTH_5, end=False) + data(1, b"12345") + headers(1, ((b"a", b"b"),)),
    OPEN + settings((4, 0)) + update(1, 2**31 - 1),
    frame(frames.PING, bytes(8), 0, ACK),
    frame(frames.GOAWAY, bytes(8)) + headers(1),
    frame(frames.SETTINGS, b"", 0, ACK),
]


@pytest.mark.parametrize("came", FINE)
def test_what_is_fine(came: bytes) -> None:
    driven = Driven()
    driven.give(came)
    assert driven.connection.failed is None
    assert driven.resets() == []


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n",
        frames.PREFACE[:-1] + b"x",
        frames.PREFACE + frame(frames.PING, bytes(8)),
        frames.PREFACE + headers(1),
        frames.PREFACE + frame(frames.SETTINGS, b"", 0, ACK),
    ],
)
def test_a_connection_begins_with_preface_and_settings(first: bytes) -> None:
    driven = Driven(greeted=False)
    driven.give(first)
    assert driven.connection.failed == PROTOCOL


@given(st.lists(st.integers(1, 40)))
def test_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """The same is heard whatever the reads were."""
    came = frames.PREFACE + settings() + OPEN + data(1, b"abc") + data(1, b"def", end=True)
    came += headers(3, whole=False) + frame(frames.CONTINUATION, b"", 3, END_HEADERS)
    driven = Driven(greeted=False)
    for size in [*cuts, len(came)]:
        piece, came = came[:size], came[size:]
        driven.give(piece)
    assert driven.told.bodies == {1: b"abcdef", 3: b""}
    assert driven.told.ended == [1, 3]
    assert not driven.connection.partial


def test_nothing_is_looked_at_once_it_has_failed() -> None:
    driven = Driven()
    driven.give(update(0, 0))
    assert driven.connection.failed == PROTOCOL
    size = driven.connection.sender.outflow.size
    driven.give(update(0, 1))
    assert driven.connection.sender.outflow.size == size


def test_whether_something_is_half_here() -> None:
    driven = Driven()
    for came, partial in ((b"\0", True), (headers(1)[1:], False), (headers(3, whole=False), True)):
        driven.give(came)
        assert driven.connection.partial == partial


def test_work_is_done_in_small_parts() -> None:
    driven = Driven()
    driven.connection.receive(b"".join(headers(one) for one in range(1, 41, 2)))
    assert driven.connection.step(5)
    assert 0 < len(driven.told.heads) < 20
    while driven.connection.step(5):
        pass
    assert len(driven.told.heads) == 20
    many = (*GET, *[(b"a%d" % one, b"b") for one in range(100)])
    driven.connection.receive(headers(41, many) + headers(43, GET))
    assert driven.connection.step(50)
    assert 43 not in driven.told.heads


def test_a_head_for_the_app() -> None:
    driven = Driven()
    driven.give(headers(1, (*LENGTH_5, (b"priority", b"u=1")), end=False))
    head = driven.told.heads[1]
    assert (head.method, head.target, head.length, head.refused) == (b"POST", b"/", 5, 0)
    assert driven.connection.streams[1].priority == (1, False)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (((b":method", b"CONNECT"), (b":authority", b"a:1")), 501),
        ((*GET[:3], (b":path", b"@evil")), 400),
        ((*GET, *[(b"a%d" % one, b"b") for one in range(200)]), 431),
    ],
)
def test_a_head_the_app_must_not_see(fields: list[tuple[bytes, bytes]], status: int) -> None:
    driven = Driven()
    driven.give(headers(1, fields), headers(3, fields, end=False))
    assert driven.told.heads == {}
    sent = driven.sent()
    assert [(one.kind, one.stream_id) for one in sent] == [(1, 1), (1, 3), (3, 3)]
    assert sent[0].flags & END_STREAM
    assert b"%d" % status in sent[0].payload or status == 400
    assert frames.word_of(sent[2].payload) == ErrorCode.NO_ERROR
    assert driven.connection.streams == {}


def test_an_announced_priority_counts_for_its_stream() -> None:
    driven = Driven()
    driven.give(frame(frames.PRIORITY_UPDATE, b"\0\0\0\3u=0"), headers(1), headers(3))
    driven.give(frame(frames.PRIORITY_UPDATE, b"\0\0\0\1u=7, i"))
    streams = driven.connection.streams
    assert (streams[1].priority, streams[3].priority) == ((7, True), (0, False))


def test_what_the_handler_refuses_is_reset() -> None:
    class Full(Told):
        def request(self, stream: Stream, head: Head) -> None:
            raise StreamFault(ErrorCode.REFUSED_STREAM, "full")

    driven = Driven()
    driven.connection._handler = Full()
    driven.give(headers(1))
    assert driven.resets() == [(1, ErrorCode.REFUSED_STREAM)]


def test_leaving() -> None:
    driven = Driven()
    driven.give(headers(1))
    driven.connection.say_goaway(soon=True)
    driven.connection.refusing = True
    driven.connection.say_goaway()
    driven.give(headers(3))
    sent = driven.sent()
    lasts = [frames.word_of(one.payload) for one in sent if one.kind == frames.GOAWAY]
    assert lasts == [2**31 - 1, 1]
    assert [one.stream_id for one in sent if one.kind == frames.RST_STREAM] == [3]


def test_a_block_of_the_same_bytes_is_decoded_once() -> None:
    driven = Driven()
    driven.give(*(headers(one) for one in range(1, 21, 2)))
    heads = list(driven.told.heads.values())
    assert all(one is heads[0] for one in heads)

"""Streams' ends, and the windows of what they received."""

from __future__ import annotations

from collections.abc import Callable

from proxy.server.http2 import frames
from proxy.server.http2.faults import ErrorCode
from tests.server.http2.driving import GET, POST, Driven, data, headers, reset, update


def test_a_response_that_ends_before_its_request_resets_it_without_error() -> None:
    driven = Driven()
    driven.give(headers(1, POST, end=False))
    driven.connection.sender.body(driven.connection.streams[1], b"", end=True)
    assert driven.resets() == [(1, ErrorCode.NO_ERROR)]
    driven.give(data(1, b"still under way"), data(1, b"", end=True))
    assert driven.resets() == []
    assert driven.connection.failed is None


def test_bodies_are_credited_when_they_are_read() -> None:
    driven = Driven()
    driven.give(headers(1, POST, end=False), data(1, bytes(16384)) * 3)
    assert driven.sent() == []
    driven.connection.credit(driven.connection.streams[1], 3 * 16384)
    told = [(one.kind, one.stream_id, frames.word_of(one.payload)) for one in driven.sent()]
    assert told == [(frames.WINDOW_UPDATE, 1, 3 * 16384)]


def test_padding_and_bodies_nobody_reads_are_credited_at_once() -> None:
    driven = Driven()
    driven.give(headers(1, POST, end=False), reset(1))
    driven.give(headers(3, POST, end=False))
    padded = data(3, bytes((255,)) + bytes(256), flags=frames.PADDED)
    for _ in range(3000):
        driven.give(padded)
        driven.connection.credit(driven.connection.streams[3], 1)
    assert driven.connection.failed is None
    assert {one.kind for one in driven.sent()} == {frames.WINDOW_UPDATE}


def test_bodies_of_faulty_streams_are_credited_too() -> None:
    driven = Driven()
    for stream in range(1, 121, 2):
        driven.give(headers(stream), data(stream, bytes(16000)))
    assert driven.connection.failed is None
    assert len(driven.resets()) == 60


def test_more_than_the_connections_window_is_a_fault() -> None:
    driven = Driven()
    for stream in range(1, 21, 2):
        driven.give(headers(stream, POST, end=False), data(stream, bytes(16000)) * 4)
    assert driven.connection.failed == ErrorCode.FLOW_CONTROL_ERROR


def test_nothing_is_kept_of_a_connection_that_is_over() -> None:
    driven = Driven()
    driven.give(headers(1), headers(3))
    streams = list(driven.connection.streams.values())
    for stream in streams:
        driven.connection.sender.body(stream, bytes(100_000), end=False)
    driven.connection.abandon()
    assert driven.told.gone == [1, 3]
    assert [(stream.unsent, list(stream.pieces)) for stream in streams] == [(0, [])] * 2
    assert driven.connection.streams == {}


def test_resets_of_either_side_are_counted() -> None:
    made_us_reset: dict[str, Callable[[int], bytes]] = {
        "an increment of nothing": lambda one: headers(one) + update(one, 0),
        "a window too large": lambda one: headers(one) + update(one, 2**31 - 1),
        "half-closed": lambda one: headers(one) + data(one, b"a"),
        "malformed": lambda one: headers(one, GET[1:]),
        "a head refused": lambda one: headers(one, (*GET[:3], (b":path", b"x"))),
        "a Content-Length unmet": lambda one: headers(one, (*GET, (b"content-length", b"1"))),
        "reset by the client": lambda one: headers(one) + reset(one),
    }
    for why, flood in made_us_reset.items():
        driven = Driven()
        for stream in range(1, 2001, 2):
            driven.give(flood(stream))
            if driven.connection.failed is not None:
                break
        assert driven.connection.failed == ErrorCode.ENHANCE_YOUR_CALM, why
        assert len(driven.told.heads) <= 201, why


def test_one_that_is_over_tells_nobody_of_what_comes_after() -> None:
    driven = Driven()
    driven.give(headers(1, POST, end=False), headers(3))
    core = driven.connection
    stream = core.streams[1]
    core.abandon()
    assert driven.told.gone == [1, 3]
    core.sender.head(stream, b"", end=True)
    core.reset(stream, ErrorCode.NO_ERROR)
    assert driven.told.gone == [1, 3]

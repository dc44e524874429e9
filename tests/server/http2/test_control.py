"""Frames that carry neither head nor body; their faults are in test_connection.py's table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.server.http2 import frames
from proxy.server.http2.faults import ErrorCode
from tests.server.http2.driving import POST, Driven, data, frame, headers, reset, settings, update


def test_settings_and_pings_are_answered() -> None:
    driven = Driven()
    driven.give(settings((4, 1)), frame(frames.PING, b"12345678"))
    answers = driven.sent()
    assert [(one.kind, one.flags, one.payload) for one in answers] == [
        (frames.SETTINGS, frames.ACK, b""),
        (frames.PING, frames.ACK, b"12345678"),
    ]
    driven.give(frame(frames.PING, b"12345678", 0, frames.ACK))
    assert driven.sent() == []


def test_windows_are_those_the_client_says() -> None:
    driven = Driven()
    driven.give(headers(1), settings((4, 100), (5, 20_000)), headers(3), update(3, 7), update(0, 5))
    streams, sender = driven.connection.streams, driven.connection.sender
    assert (streams[1].outflow.size, streams[3].outflow.size) == (100, 107)
    assert (sender.outflow.size, sender.most_in_frame) == (65540, 20_000)


def test_a_client_may_leave_and_still_be_answered() -> None:
    driven = Driven()
    driven.give(headers(1), frame(frames.GOAWAY, bytes(8)))
    assert driven.connection.leaving
    assert driven.connection.failed is None
    assert 1 in driven.connection.streams


def test_not_any_number_of_priorities_is_kept() -> None:
    driven = Driven()
    for number in range(1, 401, 2):
        driven.give(frame(frames.PRIORITY_UPDATE, number.to_bytes(4, "big") + b"u=1"))
    assert len(driven.connection.announced) == 100


FLOODS: dict[str, Callable[[int], bytes]] = {
    "settings": lambda _: settings((4, 1)),
    "settings acknowledged": lambda _: frame(frames.SETTINGS, b"", 0, frames.ACK),
    "pings": lambda _: frame(frames.PING, bytes(8)),
    "pings answered": lambda _: frame(frames.PING, bytes(8), 0, frames.ACK),
    "priorities": lambda one: frame(frames.PRIORITY, bytes(5), 2 * one + 1),
    "priority updates": lambda one: frame(frames.PRIORITY_UPDATE, b"\0\0\0\1u=1"),
    "window updates": lambda _: update(0, 1),
    "window updates of a stream": lambda _: update(1, 1),
    "resets of a stream that is over": lambda _: reset(3),
    "empty DATA": lambda _: data(1, b""),
    "goodbyes": lambda _: frame(frames.GOAWAY, bytes(8)),
    "unknown frames": lambda _: frame(0x55, b"x"),
}


@pytest.mark.parametrize("kind", list(FLOODS))
def test_floods(kind: str) -> None:
    driven = Driven()
    driven.give(headers(1, POST, end=False), headers(3), reset(3))
    for count in range(2000):
        driven.give(FLOODS[kind](count))
        driven.sent()
        if driven.connection.failed is not None:
            assert count <= 600
            break
    assert driven.connection.failed == ErrorCode.ENHANCE_YOUR_CALM


def test_a_flood_of_continuation() -> None:
    for piece, most in ((b"", 11), (b"\0", 121)):
        driven = Driven()
        driven.give(headers(1, whole=False))
        driven.give(frame(frames.CONTINUATION, piece, 1) * most)
        assert driven.connection.failed == ErrorCode.ENHANCE_YOUR_CALM

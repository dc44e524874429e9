"""What leaves, and when: windows, turns, whole answers, ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2 import frames
from proxy.server.http2.heads import write_head, write_trailers
from tests.server.http2.driving import Driven, frame, headers, reset, settings, update

BLOCK = write_head(200, []).block


def opened(*streams: int, window: int = 65535) -> Driven:
    driven = Driven()
    driven.give(settings((4, window)), *(headers(one) for one in streams))
    driven.sent()
    return driven


def bodies(driven: Driven, most: int = 1 << 24) -> list[tuple[int, int]]:
    """(stream, size) of the DATA that left."""
    return [(f.stream_id, len(f.payload)) for f in driven.sent(most) if f.kind == frames.DATA]


def test_a_small_answer_is_one_piece() -> None:
    driven = opened(1)
    stream, sender = driven.connection.streams[1], driven.connection.sender
    assert sender.whole(stream, BLOCK, b"hello")
    first, second = driven.sent()
    assert (first.kind, first.flags, first.payload) == (1, frames.END_HEADERS, BLOCK)
    assert (second.kind, second.flags, second.payload) == (0, frames.END_STREAM, b"hello")
    assert driven.told.gone == [1]
    assert stream.response_ended
    assert sender.outflow.size == 65535 - 5


@pytest.mark.parametrize("window", [0, 4])
def test_without_room_it_is_not(window: int) -> None:
    driven = opened(1, window=window)
    assert not driven.connection.sender.whole(driven.connection.streams[1], BLOCK, b"hello")
    assert driven.sent() == []


def test_streams_take_turns_and_stop_at_their_windows() -> None:
    driven = opened(1, 3, window=100_000)
    driven.give(update(0, 1 << 20))
    sender, streams = driven.connection.sender, driven.connection.streams
    for number in (1, 3):
        sender.body(streams[number], bytes(200_000), end=True)
    sent = bodies(driven)
    assert sum(size for number, size in sent if number == 1) == 100_000
    assert sum(size for number, size in sent if number == 3) == 100_000
    assert [number for number, _ in sent] == [1] * 4 + [3] * 4 + [1] * 3 + [3] * 3
    assert sender.idle
    driven.give(update(3, 100_000))
    assert sum(size for _, size in bodies(driven)) == 100_000
    assert driven.told.gone == [3]


def test_the_connections_window_is_shared_fairly() -> None:
    driven = opened(1, 3, window=1 << 20)
    sender, streams = driven.connection.sender, driven.connection.streams
    for number in (1, 3):
        sender.body(streams[number], bytes(1 << 20), end=True)
    order = []
    for _ in range(4):
        sent = bodies(driven)
        order += [number for number, _ in sent]
        assert sum(size for _, size in sent) == 65535
        assert sender.idle
        driven.give(update(0, 65535))
    assert order.count(1) == pytest.approx(order.count(3), abs=4)


def test_a_window_may_become_negative() -> None:
    driven = opened(1)
    sender, stream = driven.connection.sender, driven.connection.streams[1]
    sender.body(stream, bytes(60_000), end=False)
    assert sum(size for _, size in bodies(driven)) == 60_000
    driven.give(settings((4, 10)))
    assert stream.outflow.size == 10 - 60_000
    sender.body(stream, b"abc", end=True)
    driven.give(update(1, 60_000 - 10))
    assert bodies(driven) == []
    driven.give(update(1, 3))
    assert bodies(driven) == [(1, 3)]


def test_a_larger_first_window_opens_those_that_wait() -> None:
    driven = opened(1, window=0)
    driven.connection.sender.body(driven.connection.streams[1], bytes(1000), end=True)
    assert bodies(driven) == []
    driven.give(settings((4, 400)))
    assert bodies(driven) == [(1, 400)]


@pytest.mark.parametrize("size", [0, 5, 16384, 16385])
@pytest.mark.parametrize("trailers", [b"", write_trailers([(b"a", b"b")])])
def test_the_end_is_said_once_and_last(size: int, trailers: bytes) -> None:
    driven = opened(1)
    sender, stream = driven.connection.sender, driven.connection.streams[1]
    sender.head(stream, BLOCK)
    sender.body(stream, bytes(size), end=not trailers)
    if trailers:
        sender.body(stream, b"", end=True, trailers=trailers)
    sent = driven.sent()
    ends = [bool(one.flags & frames.END_STREAM) for one in sent]
    assert ends == [False] * (len(sent) - 1) + [True]
    assert sent[-1].kind == (frames.HEADERS if trailers else frames.DATA)
    assert driven.told.gone == [1]
    assert sum(len(one.payload) for one in sent if one.kind == frames.DATA) == size


def test_the_end_needs_no_window() -> None:
    driven = opened(1, window=0)
    driven.connection.sender.outflow.size = 0
    driven.connection.sender.body(driven.connection.streams[1], b"", end=True)
    assert [one.flags for one in driven.sent()] == [frames.END_STREAM]


def test_a_large_head_is_cut() -> None:
    driven = opened(1)
    block = write_head(200, [(b"a", b"b" * 40_000)]).block
    stream = driven.connection.streams[1]
    assert not driven.connection.sender.whole(stream, block, b"")
    driven.connection.sender.head(stream, block, end=True)
    assert [one.kind for one in driven.sent()] == [1, 9, 9]


def test_control_frames_do_not_wait_for_bodies() -> None:
    driven = opened(1)
    sender = driven.connection.sender
    sender.body(driven.connection.streams[1], bytes(1000), end=True)
    driven.give(frame(frames.PING, b"12345678"))
    assert sender.backlog == 1
    assert [one.kind for one in driven.sent()] == [frames.PING, frames.DATA]


def test_larger_frames_where_the_client_takes_them() -> None:
    driven = opened(1, window=1 << 20)
    driven.give(settings((5, 1 << 20)), update(0, 1 << 20))
    driven.sent()
    driven.connection.sender.body(driven.connection.streams[1], bytes(1 << 17), end=True)
    raw = b"".join(driven.connection.sender.take(1 << 20))
    assert int.from_bytes(raw[:3], "big") == 1 << 16


def test_a_stream_that_is_reset_is_passed_over() -> None:
    driven = opened(1, 3)
    sender, streams = driven.connection.sender, dict(driven.connection.streams)
    for number in (1, 3):
        sender.body(streams[number], bytes(10), end=True)
    driven.give(reset(1))
    assert bodies(driven) == [(3, 10)]
    assert streams[1].unsent == 0


@given(st.lists(st.tuples(st.sampled_from([1, 3, 5]), st.integers(0, 70_000)), max_size=20))
def test_no_window_is_ever_exceeded(steps: list[tuple[int, int]]) -> None:
    driven = opened(1, 3, 5, window=1000)
    sender, streams = driven.connection.sender, driven.connection.streams
    windows, connection = dict.fromkeys((1, 3, 5), 1000), 65535
    for number, size in steps:
        sender.body(streams[number], bytes(size), end=False)
        driven.give(update(number, 500))
        windows[number] += 500
        for one, sent in bodies(driven, 5000):
            windows[one] -= sent
            connection -= sent
        assert min(windows.values()) >= 0
        assert connection >= 0

"""One stream, and what is remembered of those that are over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.faults import ConnectionFault, StreamFault
from proxy.server.http2.streams import End, Ended, Stream


@given(st.lists(st.binary(max_size=50)), st.data())
def test_what_is_taken_is_what_was_put(pieces: list[bytes], draw: st.DataObject) -> None:
    stream = Stream(1, 0, None)
    for piece in pieces:
        stream.put(piece)
    taken = b""
    while stream.unsent:
        size = draw.draw(st.integers(1, stream.unsent))
        got = b"".join(stream.take(size))
        assert len(got) == size
        taken += got
    assert taken == b"".join(pieces)
    assert not stream.pieces


def test_nothing_is_copied_until_it_leaves() -> None:
    stream, body = Stream(1, 0, None), bytearray(b"abcd")
    stream.put(body)
    body[0] = ord("x")
    assert b"".join(stream.take(2)) == b"xb"
    stream.drop()
    assert stream.unsent == 0


def test_how_a_stream_ended_decides_what_is_late() -> None:
    ended = Ended()
    ended.add(1, End.COMPLETE)
    ended.add(3, End.RESET_BY_CLIENT)
    ended.add(5, End.RESET_BY_US)
    with pytest.raises(ConnectionFault):
        ended.check_late(1)
    with pytest.raises(StreamFault):
        ended.check_late(3)
    ended.check_late(5)
    with pytest.raises(StreamFault):
        ended.check_late(7)


def test_a_reset_that_crossed_ours_is_known_once() -> None:
    ended = Ended()
    ended.add(1, End.RESET_BY_US)
    assert ended.reset_again(1)
    assert not ended.reset_again(1)


def test_only_the_last_are_remembered() -> None:
    ended = Ended()
    for number in range(1, 2001, 2):
        ended.add(number, End.COMPLETE)
    assert ended.get(1) is None
    assert ended.get(1999) is End.COMPLETE

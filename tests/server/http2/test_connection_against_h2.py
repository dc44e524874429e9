"""The h2 library as the oracle: the same frames to both, and where they differ it is argued.

A difference that no row below explains fails the test. When there is one, the rest of its
sequence is not compared: from then on the two are in different states.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.server.http2 import frames
from proxy.server.http2.frames import Frame, FrameReader
from tests.server.http2 import oracle
from tests.server.http2.driving import GET, Driven, data, headers
from tests.server.http2.oracle import SEQUENCES, Outcome

_BLOCKS = {frames.HEADERS, frames.CONTINUATION}

Argument = Callable[[Frame, Outcome, Outcome], bool]

ARGUED: dict[str, Argument] = {
    "a malformed request is a stream error (§8.1.1); h2 ends the connection": (
        lambda frame, ours, theirs: (
            frame.kind in _BLOCKS and len(ours.resets) == 1 and theirs.fault and not ours.told
        )
    ),
    "we refuse heads h2 leaves to the app: user information, other controls, TE, a repeated"
    " Content-Length, a target that is no path; and one that trailers do not meet": (
        lambda frame, ours, theirs: (
            frame.kind in _BLOCKS
            and len(ours.resets) == 1
            and any(one.startswith(("request", "end")) for one in theirs.told)
        )
    ),
    "what the app must not see is answered, and the app not told": (
        lambda frame, ours, theirs: (
            frame.kind in _BLOCKS
            and "gone" in "".join(ours.told)
            and "request" in "".join(theirs.told)
        )
    ),
    "a frame on a stream we have reset is passed over (§5.1); h2 resets it again": (
        lambda frame, ours, theirs: (
            frame.kind in {frames.DATA, *_BLOCKS}
            and ours == Outcome(False, (), ())
            and theirs.resets == (frame.stream_id,)
        )
    ),
    "an increment of nothing is a stream error on a stream (§6.9), and none on one that is over;"
    " h2 ends the connection": (
        lambda frame, ours, theirs: (
            frame.kind == frames.WINDOW_UPDATE
            and frame.stream_id != 0
            and frames.word_of(frame.payload) == 0
            and theirs.fault
        )
    ),
    "PRIORITY of a wrong size is a stream error (§6.3); h2 ends the connection": (
        lambda frame, ours, theirs: (
            frame.kind == frames.PRIORITY
            and len(frame.payload) != 5
            and ours.resets == (frame.stream_id,)
        )
    ),
    "padding may fill a frame whole (§6.1, §6.2); h2 ends the connection": (
        lambda frame, ours, theirs: (
            frame.kind in {frames.DATA, frames.HEADERS}
            and frame.flags & frames.PADDED > 0
            and frames.content_of(frame) == b""
            and theirs.fault
        )
    ),
    "the reserved bit of an increment is passed over (§6.9); h2 reads it": (
        lambda frame, ours, theirs: (
            frame.kind == frames.WINDOW_UPDATE and frame.payload[0] & 0x80 > 0 and theirs.fault
        )
    ),
    "RST_STREAM on an idle stream is a connection error (§6.4); h2 passes over it": (
        lambda frame, ours, theirs: frame.kind == frames.RST_STREAM and ours.fault
    ),
    "a frame of a kind that means nothing to a server is passed over (§5.5); h2 reads ALTSVC": (
        lambda frame, ours, theirs: frame.kind > frames.CONTINUATION and not ours.fault
    ),
    "SETTINGS_NO_RFC7540_PRIORITIES is 0 or 1 (RFC 9218 §2.1); h2 does not know it": (
        lambda frame, ours, theirs: (
            frame.kind == frames.SETTINGS and b"\0\x09" in frame.payload and ours.fault
        )
    ),
    "a setting counts each time it comes (§6.5.3); h2 looks at its last value only": (
        lambda frame, ours, theirs: (
            frame.kind == frames.SETTINGS and len(frame.payload) > 6 and ours.fault
        )
    ),
    "SETTINGS_ENABLE_CONNECT_PROTOCOL means nothing to a server (RFC 8441 §3); h2 checks it": (
        lambda frame, ours, theirs: (
            frame.kind == frames.SETTINGS and b"\0\x08" in frame.payload and theirs.fault
        )
    ),
}


def parsed(one: bytes) -> Frame:
    reader = FrameReader()
    reader.feed(frames.PREFACE + one)
    found = reader.next()
    assert found is not None
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEQUENCES)
def test_both_think_the_same_or_it_is_argued(sequence: list[bytes]) -> None:
    found = oracle.compare(sequence)
    if found is not None:
        place, ours, theirs = found
        frame = parsed(sequence[place])
        reasons = [why for why, argued in ARGUED.items() if argued(frame, ours, theirs)]
        assert reasons, (sequence[: place + 1], frame, ours, theirs)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(noise: bytes) -> None:
    driven = Driven()
    driven.give(headers(1), data(1, b"x") + noise, noise)
    driven.sent()


def test_the_comparison_can_fail() -> None:
    assert oracle.compare([headers(1), data(1, b"a")]) is None
    found = oracle.compare([headers(1, (*GET, (b":authority", b"u@b"))[:2] + GET[3:])])
    assert found is not None

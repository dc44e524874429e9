"""The same frames to our connection and to the h2 library: what does each make of them?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hypothesis import strategies as st

from proxy.server.http2 import frames
from proxy.server.http2.core import CONNECTION_WINDOW
from proxy.server.http2.frames import FrameReader
from tests.server.http2 import driving
from tests.server.http2.driving import GET, POST, Driven


class Outcome(NamedTuple):
    """What one frame led to.

    `fault` is the connection's end; `resets` are the streams that were reset for it, and `told`
    is what the application heard.
    """

    fault: bool
    resets: tuple[int, ...]
    told: tuple[str, ...]


class Ours:
    def __init__(self) -> None:
        self.driven = Driven(greeted=False)
        self.driven.give(frames.PREFACE)

    def give(self, data: bytes) -> Outcome:
        told = self.driven.told
        heads, ended, gone = len(told.heads), len(told.ended), len(told.gone)
        sizes = {one: len(body) for one, body in told.bodies.items()}
        self.driven.clock.now += 3600  # budgets have tests of their own
        self.driven.give(data)
        resets = tuple(stream for stream, _ in self.driven.resets())
        heard = [f"request {one}" for one in list(told.heads)[heads:]]
        for one, body in told.bodies.items():
            heard += [f"body {one}"] if len(body) > sizes.get(one, 0) else []
        heard += [f"end {one}" for one in told.ended[ended:]]
        heard += [f"gone {one}" for one in told.gone[gone:] if one not in resets]
        return Outcome(self.driven.connection.failed is not None, resets, tuple(sorted(heard)))


class Theirs:
    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        codes = h2.settings.SettingCodes
        self.connection.local_settings = h2.settings.Settings(
            client=False, initial_values={codes.MAX_CONCURRENT_STREAMS: 100}
        )
        self.connection.initiate_connection()
        self.connection.increment_flow_control_window(CONNECTION_WINDOW - 65535)
        self.connection.receive_data(frames.PREFACE)
        self.connection.data_to_send()

    def give(self, data: bytes) -> Outcome:
        try:
            events = self.connection.receive_data(data)
        except h2.exceptions.ProtocolError:
            return Outcome(True, (), ())
        resets = tuple(self._resets())
        told = [self._told(event) for event in events]
        return Outcome(False, resets, tuple(sorted(one for one in told if one)))

    def _resets(self) -> list[int]:
        reader = FrameReader()
        reader.feed(frames.PREFACE + self.connection.data_to_send())
        found = []
        while (one := reader.next()) is not None:
            found += [one.stream_id] if one.kind == frames.RST_STREAM else []
        return found

    def _told(self, event: h2.events.Event) -> str:
        match event:
            case h2.events.RequestReceived():
                return f"request {event.stream_id}"
            case h2.events.DataReceived():
                return f"body {event.stream_id}" if event.data else ""
            case h2.events.StreamEnded():
                return f"end {event.stream_id}"
            case h2.events.StreamReset():
                return f"gone {event.stream_id}" if event.remote_reset else ""
        return ""


# --- frames to try -------------------------------------------------------------------------------

STREAMS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7])
FIELDS = st.sampled_from(
    [
        GET,
        GET,
        POST,
        (*POST, (b"content-length", b"5")),
        (*POST, (b"content-length", b"5x")),
        (*POST, (b"content-length", b"5"), (b"content-length", b"5")),
        (*POST, (b"content-length", b"5"), (b"content-length", b"6")),
        (*GET, (b"x", b"y")),
        (*GET, (b"X", b"y")),
        (*GET, (b"", b"y")),
        (*GET, (b"x y", b"y")),
        (*GET, (b"x:", b"y")),
        (*GET, (b"\xff", b"y")),
        (*GET, (b"x", b"a\rb")),
        (*GET, (b"x", b"a\nb")),
        (*GET, (b"x", b"a\0b")),
        (*GET, (b"x", b"a\x01b")),
        (*GET, (b"x", b" a")),
        (*GET, (b"x", b"a\t")),
        (*GET, (b"x", b"\xff")),
        (*GET, (b"connection", b"close")),
        (*GET, (b"keep-alive", b"1")),
        (*GET, (b"proxy-connection", b"close")),
        (*GET, (b"transfer-encoding", b"chunked")),
        (*GET, (b"upgrade", b"h2c")),
        (*GET, (b"te", b"trailers")),
        (*GET, (b"te", b"gzip")),
        (*GET, (b"host", b"a")),
        (*GET, (b"host", b"b")),
        (*GET, (b"host", b"a"), (b"host", b"a")),
        (*GET, (b":path", b"/")),
        (*GET, (b":status", b"200")),
        (*GET, (b":protocol", b"websocket")),
        (*GET, (b":unknown", b"a")),
        ((b"x", b"y"), *GET),
        (*GET[:3], (b"x", b"y"), GET[3]),
        (*GET[:3], (b":path", b"")),
        (*GET[:2], GET[3]),
        (*GET[:2], GET[3], (b"host", b"a")),
        (*GET[:2], (b":authority", b""), GET[3]),
        (*GET[:2], (b":authority", b"u@a"), GET[3]),
        (GET[0], *GET[2:]),
        GET[1:],
        GET[:3],
        ((b":method", b""), *GET[1:]),
        ((b":method", b"G T"), *GET[1:]),
        ((b":method", b"CONNECT"), (b":authority", b"a:1")),
        ((b":method", b"CONNECT"), *GET[1:]),
        ((b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")),
        (*GET[:3], (b":path", b"x")),
        (*GET[:3], (b":path", b"/\xff")),
        (*GET, *[(b"cookie", b"a=b")] * 3),
        (*GET, *[(b"x", b"y")] * 200),
        ((b"x", b"y"),),
        ((b"content-length", b"5"),),
        (),
    ]
)
SIZES = st.sampled_from([0, 1, 5, 5, 5, 6, 1000, 16384, 16385])
WORDS = st.sampled_from([0, 1, 1000, 2**31 - 1, 2**31, 2**31 + 5, 2**32 - 1])
SETTINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 77]),
        st.sampled_from([0, 1, 2, 100, 16383, 16384, 65535, 2**24 - 1, 2**24, 2**31 - 1, 2**31]),
    ),
    max_size=3,
)


FLAGS = st.sampled_from([0, 1, 4, 5, 5, 5, 8, 13, 37, 255])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """HEADERS, with padding and priority if its flags say so."""
    flags = draw(FLAGS)
    coded = driving.block(draw(FIELDS), draw(st.sampled_from([0, 0, 0x10, 0x40])))
    before = bytes(5) if flags & frames.WITH_PRIORITY else b""
    if flags & frames.PADDED:
        before, coded = b"\x02" + before, coded + bytes(2)
    return driving.frame(frames.HEADERS, before + coded, draw(STREAMS), flags)


def of_kind(
    kinds: st.SearchStrategy[int] | int,
    payloads: st.SearchStrategy[bytes],
    streams: st.SearchStrategy[int] = STREAMS,
    flags: st.SearchStrategy[int] = FLAGS,
) -> st.SearchStrategy[bytes]:
    """Frames of these kinds."""
    kind = st.just(kinds) if isinstance(kinds, int) else kinds
    return st.builds(driving.frame, kind, payloads, streams, flags)


def zeros(*sizes: int) -> st.SearchStrategy[bytes]:
    return st.sampled_from(sizes).map(bytes)


ONE_FRAME = st.one_of(
    heads(),
    heads(),
    heads(),
    of_kind(frames.HEADERS, st.binary(max_size=8)),
    of_kind(frames.DATA, SIZES.map(bytes)),
    of_kind(frames.DATA, SIZES.map(bytes)),
    of_kind(frames.PRIORITY, zeros(4, 5)),
    of_kind(frames.RST_STREAM, zeros(3, 4, 4, 4)),
    of_kind(
        frames.SETTINGS,
        SETTINGS.map(lambda pairs: driving.settings(*pairs)[9:]),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([0, 0, 1]),
    ),
    of_kind(frames.PING, zeros(8, 8, 7), st.sampled_from([0, 0, 1])),
    of_kind(frames.WINDOW_UPDATE, WORDS.map(lambda word: word.to_bytes(4, "big"))),
    of_kind(frames.CONTINUATION, FIELDS.map(driving.block)),
    of_kind(frames.PUSH_PROMISE, zeros(8)),
    of_kind(st.sampled_from([0x0A, 0x0C, 0x20, 0xFF]), SIZES.map(bytes)),
)
SEQUENCES = st.lists(ONE_FRAME, min_size=1, max_size=10)


def compare(sequence: Sequence[bytes]) -> tuple[int, Outcome, Outcome] | None:
    """The first frame of which both think differently, and what each thinks; or None."""
    ours, theirs = Ours(), Theirs()
    greeting = driving.settings()
    for place, data in enumerate(itertools.chain([greeting], sequence)):
        mine, other = ours.give(data), theirs.give(data)
        if mine.fault != other.fault or (not mine.fault and mine != other):
            return place - 1, mine, other
        if mine.fault:
            return None
    return None

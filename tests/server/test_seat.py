"""Which protocol a connection gets by its first bytes, and the end of one that says nothing."""

from __future__ import annotations

import asyncio

import pytest

from proxy.server import seat
from proxy.server.seat import PREFACE, Protocols, Seat
from proxy.server.serving import Limits
from proxy.server.state import ClientProtocol, Peer, ServerState
from tests.server import talk
from tests.server.http1.test_exchange import served
from tests.server.toy import ToyApp


class Spoken(ClientProtocol):
    """Remembers what it was given."""

    name = ""

    def __init__(self, state: ServerState, peer: Peer) -> None:
        super().__init__(state, peer)
        self.bytes = b""
        self.drained = False

    def data_received(self, data: bytes) -> None:
        self.bytes += data

    def begin_drain(self) -> None:
        self.drained = True

    def cut(self) -> None:
        pass


class Http1(Spoken):
    pass


class Http2(Spoken):
    pass


class Wire(asyncio.Transport):
    """A transport that only knows its protocol."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.protocol: asyncio.BaseProtocol | None = None
        self.closed = self.paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        class Socket:
            family = 2

        return Socket if name == "socket" else super().get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Working:
    """Has the turn in which a preface comes."""

    party: str | None = "192.0.2.9"

    def __init__(self, state: ServerState, one: Seat) -> None:
        self.state, self.one = state, one

    def work(self) -> bool:
        self.one.data_received(PREFACE + b"more")
        self.state.turns.charge(1.0)
        return False


def seated(state: ServerState | None = None) -> tuple[ServerState, Seat, Wire]:
    state = state or ServerState(ToyApp(b""), Limits())
    assert state.admission.admit("192.0.2.1")
    one, wire = Seat(state, Protocols(Http1, Http2), "192.0.2.1"), Wire()
    one.connection_made(wire)
    return state, one, wire


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        (Http1, b"GET / HTTP/1.1\r\n"),
        (Http1, b"PUT"),
        (Http1, b"PRI * HTTP/1.1\r\n"),
        (Http1, PREFACE[:-1] + b"X"),
        (Http2, PREFACE),
        (Http2, PREFACE + b"more"),
        (None, b"P"),
        (None, b"PRI * HT"),
        (None, PREFACE[:-1]),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
async def test_first_bytes(expected: type[Spoken] | None, data: bytes, step: int) -> None:
    state, one, wire = seated()
    for start in range(0, len(data), step):
        receiver = wire.protocol or one
        assert isinstance(receiver, asyncio.Protocol)
        receiver.data_received(data[start : start + step])
    if expected is None:
        assert wire.protocol is None
        assert state.connections == {one}
    else:
        assert isinstance(wire.protocol, expected)
        assert wire.protocol.bytes == data
        assert wire.protocol.peer == Peer(("192.0.2.1", 1), ("192.0.2.2", 2))
        assert state.connections == {wire.protocol}
        assert state.admission.count == 1
        wire.protocol.connection_lost(None)
    one.connection_lost(None)
    assert (state.connections, state.admission.count) == (set(), 0)


async def test_one_that_speaks_http2_waits_for_its_turn_and_reads_no_more() -> None:
    state, one, wire = seated()
    state.turns.take(Working(state, one))
    assert (wire.protocol, wire.paused) == (None, True)
    await asyncio.sleep(0)
    assert isinstance(wire.protocol, Http2)
    assert (wire.protocol.bytes, wire.paused) == (PREFACE + b"more", False)


async def test_one_that_leaves_while_it_waits_is_handed_to_nobody() -> None:
    state, one, wire = seated()
    state.turns.take(Working(state, one))
    wire.close()
    one.connection_lost(None)
    await asyncio.sleep(0)
    assert wire.protocol is None
    assert (state.connections, state.admission.count) == (set(), 0)


async def test_a_protocol_that_comes_in_a_drain_is_told_of_it() -> None:
    state, one, wire = seated()
    state.draining = True
    one.data_received(b"GET ")
    assert isinstance(wire.protocol, Spoken)
    assert wire.protocol.drained


async def test_one_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "FIRST_BYTES_TIMEOUT", 0.1)
    async with served(ToyApp(b"")) as (_, port), talk.connected(port) as (reader, writer):
        writer.write(b"PRI")
        async with asyncio.timeout(30):
            assert await reader.read() == b""


async def test_one_that_says_nothing_holds_up_no_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "LAST_MOMENT", 0.1)
    async with served(ToyApp(b"")) as (serving, port), talk.connected(port):
        async with asyncio.timeout(30):
            while not serving.connections:
                await asyncio.sleep(0.01)
            await serving.drain(60)

"""What quic.py takes aioquic's inner parts to be; a release that changes them fails here."""

from __future__ import annotations

import inspect
import ssl
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamDataReceived

from proxy.server.http2.budgets import Budget
from proxy.server.http3 import quic as ours
from proxy.server.http3.opening import configure
from proxy.server.http3.quic import Quic
from proxy.server.tls import TLSFiles
from tests.server.http3.conftest import certificate

CLIENT, SERVER = ("127.0.0.1", 1), ("127.0.0.1", 2)


class Pair:
    """A client and a server, with no network but what is carried by hand."""

    def __init__(self, directory: Path, *, window: int = 1 << 24) -> None:
        self.now = 100.0
        self.client = QuicConnection(
            configuration=QuicConfiguration(
                alpn_protocols=["h3"],
                verify_mode=ssl.CERT_NONE,
                max_stream_data=window,
                max_data=window,
            )
        )
        self.server = Quic(
            configure(TLSFiles((), *certificate(directory))),
            original_id=self.client.original_destination_connection_id,
            retry_id=None,
            max_streams=10,
            budget=Budget(lambda: self.now),
        )
        self.client.connect(SERVER, now=self.now)
        self.carry(4)

    def carry(self, turns: int = 1, *, answers: bool = True) -> None:
        for _ in range(turns):
            self.now += 0.03
            for data, _ in self.client.datagrams_to_send(self.now):
                self.server.receive_datagram(data, CLIENT, self.now)
            self.server.hold_flight()
            for data, _ in self.server.datagrams_to_send(self.now):
                if answers:
                    self.client.receive_datagram(data, SERVER, self.now)
            for one in (self.client, self.server):
                at = one.get_timer()
                if at is not None and at <= self.now:
                    one.handle_timer(self.now)

    def opened(self, size: int = 1) -> int:
        stream = self.client.get_next_available_stream_id()
        self.client.send_stream_data(stream, bytes(size))
        self.carry(2)
        return stream


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_what_is_overridden_is_there_with_its_parameters() -> None:
    for name, method in inspect.getmembers(Quic, inspect.isfunction):
        if name in vars(Quic) and hasattr(QuicConnection, name) and name != "__init__":
            theirs = inspect.signature(getattr(QuicConnection, name)).parameters
            assert list(inspect.signature(method).parameters) == list(theirs), name


def test_room_ends_at_what_may_wait_and_comes_back_with_acknowledgements(pair: Pair) -> None:
    stream = pair.opened()
    assert pair.server.room(stream) == ours.MOST_UNSENT
    pair.server.send_stream_data(stream, bytes(ours.MOST_UNSENT))
    assert pair.server.room(stream) == 0
    assert not pair.server.all_taken
    pair.carry(40)
    assert pair.server.room(stream) == ours.MOST_UNSENT
    assert pair.server.sent == ours.MOST_UNSENT
    pair.server.send_stream_data(stream, b"", end_stream=True)
    pair.carry(3)
    assert pair.server.all_taken
    assert pair.server.room(stream) == 0
    assert not pair.server.can_send(stream)


def test_a_closed_window_leaves_what_may_wait(tmp_path: Path) -> None:
    pair = Pair(tmp_path, window=10_000)
    stream = pair.opened()
    total = 0
    client: Any = pair.client
    client._write_stream_limits = client._write_connection_limits = lambda **_: None
    for _ in range(100):
        room = pair.server.room(stream)
        pair.server.send_stream_data(stream, bytes(room))
        total += room
        pair.carry()
    assert total == 10_000 + ours.MOST_UNSENT


def test_who_acknowledges_nothing_leaves_what_may_be_held(pair: Pair) -> None:
    stream = pair.opened()
    total = 0
    for _ in range(200):
        room = pair.server.room(stream)
        pair.server.send_stream_data(stream, bytes(room))
        total += room
        pair.carry(answers=False)
    assert total <= ours.MOST_HELD


def test_streams_share_what_may_be_held(pair: Pair) -> None:
    """Everything is sent and acknowledged but the first bytes of each stream."""
    streams = [pair.opened() for _ in range(10)]
    for _ in range(400):
        for stream in streams:
            pair.server.send_stream_data(stream, bytes(pair.server.room(stream)))
            sender: Any = pair.server._streams[stream].sender
            held_back = sender.on_data_delivery

            def deliver(
                delivery: object,
                start: int,
                stop: int,
                fin: bool,
                to: Any = held_back,  # noqa: ANN401
            ) -> None:
                if start:
                    to(delivery, start, stop, fin)

            if not hasattr(sender, "held_back"):
                sender.held_back, sender.on_data_delivery = True, deliver
        pair.carry()
    held = [
        one.sender._buffer_stop - one.sender._buffer_start
        for number, one in pair.server._streams.items()
        if number in streams
    ]
    assert min(held) > 2 * ours.MOST_UNSENT
    assert sum(held) < ours.MOST_SHARED


def test_the_congestion_window_is_held(pair: Pair) -> None:
    control: Any = pair.server._loss._cc
    control.congestion_window = 1 << 30
    pair.server.hold_flight()
    assert control.congestion_window == pair.server._loss.congestion_window == ours.MOST_IN_FLIGHT


def test_windows_open_only_as_they_are_read(pair: Pair) -> None:
    stream = pair.client.get_next_available_stream_id()
    pair.client.send_stream_data(stream, bytes(1 << 20))
    pair.carry(60)
    received = sum(
        len(event.data)
        for event in iter(pair.server.next_event, None)
        if isinstance(event, StreamDataReceived)
    )
    assert received == ours.STREAM_WINDOW
    pair.server.credit(stream, ours.STREAM_WINDOW)
    pair.carry(60)
    received = sum(
        len(event.data)
        for event in iter(pair.server.next_event, None)
        if isinstance(event, StreamDataReceived)
    )
    assert received == ours.STREAM_WINDOW


def test_streams_open_only_as_others_end(pair: Pair) -> None:
    for _ in range(12):
        stream = pair.client.get_next_available_stream_id()
        pair.client.send_stream_data(stream, b"a", end_stream=True)
    pair.carry(4)
    open_now = [one for one in pair.server._streams if not one & 3]
    assert len(open_now) == 10
    for stream in open_now:
        pair.server.send_stream_data(stream, b"", end_stream=True)
    pair.carry(6)
    assert max(one for one in pair.server._streams if not one & 3) == 44


def test_a_stream_that_was_reset_keeps_nothing(pair: Pair) -> None:
    stream = pair.opened()
    pair.server.send_stream_data(stream, bytes(60_000))
    pair.server.reset_stream(stream, 0)
    pair.server.drop_unsent(stream)
    assert not pair.server._streams[stream].sender._buffer
    assert not pair.server.can_send(stream)
    pair.carry(40)
    assert pair.client._close_event is None


def test_an_end_is_seen_whoever_makes_it(pair: Pair) -> None:
    assert not pair.server.ending
    pair.client.close()
    pair.carry()
    assert pair.server.ending


def test_a_client_is_sent_no_more_than_three_times_what_it_sent(tmp_path: Path) -> None:
    client = QuicConnection(
        configuration=QuicConfiguration(alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    )
    client.connect(SERVER, now=1.0)
    first = client.datagrams_to_send(1.0)[0][0]
    server = Quic(
        configure(TLSFiles((), *certificate(tmp_path))),
        original_id=client.original_destination_connection_id,
        retry_id=None,
        max_streams=10,
        budget=Budget(monotonic),
    )
    server.receive_datagram(first, CLIENT, 1.0)
    sent = 0
    for second in range(20):
        now = 1.0 + second
        at = server.get_timer()
        if at is not None and at <= now:
            server.handle_timer(now)
        sent += sum(len(data) for data, _ in server.datagrams_to_send(now))
    assert 0 < sent <= 3 * len(first)

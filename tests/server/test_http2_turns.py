"""Streams take turns: against h2's own client, without a network."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from proxy.server.http2_turns import Turns


def connections(streams: int) -> tuple[h2.connection.H2Connection, h2.connection.H2Connection]:
    """A client with so many requests, and a server that has sent the heads of the answers."""
    client = h2.connection.H2Connection()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    for _ in range(streams):
        client.send_headers(client.get_next_available_stream_id(), fields, end_stream=True)
    for event in server.receive_data(client.data_to_send()):
        if isinstance(event, h2.events.RequestReceived):
            server.send_headers(event.stream_id, [(":status", "200")])
    client.receive_data(server.data_to_send())
    return client, server


def emptied(turns: Turns) -> list[tuple[int, int]]:
    """Gives turns until all wait: which stream, how many bytes."""
    order = []
    while (stream_id := turns.next()) is not None:
        order.append((stream_id, turns.frame(stream_id)))
    return order


def test_streams_take_turns_and_stop_at_their_windows() -> None:
    client, server = connections(2)
    client.increment_flow_control_window(1 << 20)  # the connection's; the streams' stay
    server.receive_data(client.data_to_send())
    turns = Turns(server)
    for stream_id in (1, 3):
        turns.add(stream_id)
        turns[stream_id].put(bytes(200_000))
        turns.offer(stream_id)
        turns.offer(stream_id)
    assert emptied(turns) == [(1, 65_535), (3, 65_535)]
    client.receive_data(server.data_to_send())
    client.increment_flow_control_window(1 << 20, 3)
    server.receive_data(client.data_to_send())
    turns.offer_all()
    assert emptied(turns)[:4] == [(1, 0), (3, 65_536), (3, 65_536), (3, 3393)]


def test_the_end_goes_out_with_the_last_bytes_even_when_there_are_none() -> None:
    client, server = connections(2)
    turns = Turns(server)
    for stream_id, body in ((1, b"abc"), (3, b"")):
        turns.add(stream_id)
        turns[stream_id].put(body)
        turns[stream_id].end()
        assert turns.frame(stream_id) == len(body)
        assert not turns[stream_id].finished
        turns.settle(stream_id)
        assert turns[stream_id].finished
    assert turns.next() is None
    events = client.receive_data(server.data_to_send())
    assert [one.stream_id for one in events if isinstance(one, h2.events.StreamEnded)] == [1, 3]


def test_a_stream_that_is_gone_is_dropped() -> None:
    _, server = connections(1)
    turns = Turns(server)
    turns.add(1)
    turns[1].put(b"a")
    outbox = turns[1]
    server.reset_stream(1)
    assert turns.frame(1) == 0
    assert outbox.closed
    turns.remove(1)
    assert 1 not in turns
    assert turns.frame(1) == 0
    turns.settle(1)

"""Files that go straight to the transport, where a stream has its connection for itself."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy.server.files import FileToSend
from proxy.server.http2 import frames, straight, writing
from proxy.server.http2.protocol import Http2
from proxy.server.http2.straight import FRAME, MOST, PAYLOAD, FramedScratch, content_of
from proxy.server.http2.streams import Stream
from proxy.server.zero_copy import LENT
from tests.server import talk
from tests.server.http2.serving import connected, until
from tests.server.http2.test_files import count_wakes

CONTENT = random.Random(12).randbytes(3 * 2**20 + 5)
SIZE = len(CONTENT)


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("straight") / "file"
    path.write_bytes(CONTENT)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def taken_apart(framed: bytes) -> tuple[list[int], bytes]:
    """The sizes of DATA frames of stream 5, none of which ends it, and what is in them."""
    reader = frames.FrameReader()
    reader.feed(frames.PREFACE + framed)
    sizes, content = [], b""
    while (one := reader.next()) is not None:
        assert (one.kind, one.flags, one.stream_id) == (frames.DATA, 0, 5)
        sizes.append(len(one.payload))
        content += one.payload
    return sizes, content


@given(offset=st.integers(0, SIZE - 1), size=st.integers(1, MOST))
def test_frames_are_made_where_they_are_read(number: int, offset: int, size: int) -> None:
    left = SIZE - offset
    file = FileToSend(number, offset, left, more=True)
    framed = bytes(FramedScratch().read(file, 5, size, left))
    sizes, content = taken_apart(framed)
    assert content == CONTENT[offset : offset + size]
    assert sizes[:-1] == [PAYLOAD] * (len(sizes) - 1)
    assert content_of(len(framed)) == len(content)


def test_a_frame_is_no_larger_than_any_client_takes() -> None:
    assert PAYLOAD + frames.HEADER_SIZE == FRAME < frames.MAX_FRAME_SIZE


def test_frames_that_are_kept_are_not_written_over(number: int) -> None:
    scratch = FramedScratch()
    file = FileToSend(number, 0, SIZE, more=True)
    kept = scratch.read(file, 5, 20_000, SIZE)
    before = bytes(kept)
    scratch.give_away()
    file.passed(20_000)
    scratch.read(file, 5, MOST, SIZE - 20_000)
    assert bytes(kept) == before


class Lends:
    """Lends the file, and puts three bytes behind; `taken` are the pieces it hears of."""

    def __init__(self, number: int, *, tells_length: bool = True) -> None:
        self.number, self.tells_length = number, tells_length
        self.taken: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % (SIZE + 3))]
        told = headers if self.tells_length else []
        await send({"type": "http.response.start", "status": 200, "headers": told})
        message: dict[str, Any] = {"type": LENT, "file": self.number, "offset": 0, "count": SIZE}
        await send({**message, "more_body": True, "taken": self.taken.append})
        await send({"type": "http.response.body", "body": b"end"})


def watch(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(stream, bytes) of what goes straight."""
    passed: list[tuple[int, int]] = []
    send = Http2.send_straight

    def noted(self: Http2, stream: Stream, file: FileToSend, left: int) -> int:
        sent = send(self, stream, file, left)
        passed.extend([(stream.id, sent)] if sent else [])
        return sent

    monkeypatch.setattr(Http2, "send_straight", noted)
    return passed


async def test_a_lone_stream_goes_straight(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = watch(monkeypatch)
    app = Lends(number)
    async with connected(app) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        assert client.answers[stream].body == CONTENT + b"end"
    assert sum(size for _, size in passed) > SIZE - 2 * 2**16  # all but what the head went with
    assert sum(app.taken) == SIZE


async def test_windows_are_kept(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = watch(monkeypatch)
    async with connected(Lends(number), window=False) as (side, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        [held] = side.protocols[0].connection.streams.values()
        assert held.outflow.size == side.protocols[0].connection.sender.outflow.size == 0
        for more, of_stream in ((30_000, 50_000), (30_000, 5), (1, 1)):
            client.connection.increment_flow_control_window(more)
            client.connection.increment_flow_control_window(of_stream, stream)
            client.flush()
        await until(lambda: sum(size for _, size in passed) == 50_006)
        assert held.outflow.size == 0
        assert side.protocols[0].connection.sender.outflow.size == 9995


def widen(client: talk.H2, by: int, *streams: int) -> None:
    """The connection's window, and those of the streams, in one piece."""
    client.connection.increment_flow_control_window(by)
    for stream in streams:
        client.connection.increment_flow_control_window(by, stream)
    client.flush()


async def until_read(client: talk.H2, *wanted: tuple[int, int]) -> None:
    """Until so many bytes of each stream are here."""
    while any(len(client.answers[stream].body) < count for stream, count in wanted):
        await client.read_some()


async def test_a_small_window_that_grows_is_used_at_once(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whole halves of it, and without a turn of the app's task."""
    passed, woken = watch(monkeypatch), count_wakes(monkeypatch)
    async with connected(Lends(number), window=False) as (side, client):
        stream = client.request("/")
        await until_read(client, (stream, 65535))
        await until(lambda: side.protocols[0].waiting)
        passed.clear()
        woken.clear()
        for count in range(1, 11):
            for half in (32767, 32768):
                widen(client, half, stream)
                await until_read(client, (stream, 65535 * count + half))
        assert [size for _, size in passed] == [32767, 32768] * 10
        passed.clear()
        widen(client, 65535, stream)
        await until_read(client, (stream, 65535 * 12))
        assert [size for _, size in passed] == [32767, 32768]
        assert client.answers[stream].body == CONTENT[: 65535 * 12]
        assert not woken


async def test_the_app_looks_where_the_bytes_are_not_in_memory(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = count_wakes(monkeypatch)
    async with connected(Lends(number), window=False) as (side, client):
        stream = client.request("/")
        await until_read(client, (stream, 65535))
        await until(lambda: side.protocols[0].waiting)
        woken.clear()
        with monkeypatch.context() as cold:
            cold.setattr(FileToSend, "is_near", lambda *_: False)
            cold.setattr(FileToSend, "looks_near", lambda *_: False)
            widen(client, 32767, stream)
            await until_read(client, (stream, 65535 + 32767))
        assert woken
        widen(client, SIZE, stream)
        await client.over(stream)
        assert client.answers[stream].body == CONTENT + b"end"


async def test_a_file_that_was_cut_meanwhile_resets_its_stream(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    opened = os.open(path, os.O_RDONLY)
    try:
        async with connected(Lends(opened), window=False) as (side, client):
            stream = client.request("/")
            await until_read(client, (stream, 65535))
            await until(lambda: side.protocols[0].waiting)
            os.truncate(path, 65535)
            widen(client, 32767, stream)
            await client.over(stream)
            assert client.answers[stream].reset is not None
    finally:
        os.close(opened)


async def test_who_waits_for_its_own_window_stands_in_nobodys_way(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = watch(monkeypatch)
    async with connected(Lends(number), window=False) as (side, client):
        client.connection.increment_flow_control_window(65535)
        streams = [client.request("/") for _ in range(2)]
        await until_read(client, *((stream, 65535) for stream in streams))
        await until(lambda: len(side.protocols[0].waiting) == 2)
        passed.clear()
        widen(client, 32767, streams[1])
        await until_read(client, (streams[1], 65535 + 32767))
        assert passed == [(streams[1], 32767)]
        passed.clear()
        widen(client, 2 * SIZE, *streams)  # where both could go, they take turns
        await client.over(*streams)
        assert all(client.answers[stream].body == CONTENT + b"end" for stream in streams)


async def test_others_get_their_turn(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the client and the kernel would take all of it at once."""
    sent: list[int] = []

    def takes_all(self: Http2, stream: Stream, file: FileToSend, left: int) -> int:
        sent.append(min(left, MOST))
        return sent[-1]

    monkeypatch.setattr(Http2, "send_straight", takes_all)
    monkeypatch.setattr(straight, "_FAIR_SHARE", MOST)
    in_a_turn: list[int] = []

    async def take_turns() -> None:
        while True:
            before = len(sent)
            await asyncio.sleep(0)
            in_a_turn.append(len(sent) - before)

    others = asyncio.create_task(take_turns())
    async with connected(Lends(number, tells_length=False)) as (_, client):
        client.request("/")
        while sum(sent) < SIZE - 2**17:
            await client.read_some()
    others.cancel()
    assert len(sent) > 3
    assert max(in_a_turn) == 1


class Noting:
    """A transport, and the sizes of what it was given to write."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.sizes: list[int] = []

    def write(self, data: memoryview) -> None:
        self.sizes.append(len(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


@pytest.mark.parametrize(("more", "sizes"), [(100, [109]), (2000, [0, 2009])])
async def test_a_few_bytes_more_leave_with_the_rest(
    number: int, monkeypatch: pytest.MonkeyPatch, more: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(writing, "FOUR_RECORDS", FRAME)
    async with connected(begins_and_waits) as (side, client):
        stream = client.request("/")
        await until_read(client, (stream, 1))
        [connection] = side.protocols
        noting = Noting(connection.transport)
        monkeypatch.setattr(connection, "transport", noting)
        [own] = connection.connection.streams.values()
        size = PAYLOAD + more
        assert connection.send_straight(own, FileToSend(number, 0, SIZE, more=True), size) == size
        assert noting.sizes == [FRAME + sizes[0], *sizes[1:]]
        monkeypatch.undo()


async def begins_and_waits(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await receive()
    await receive()


async def test_nothing_goes_straight_past_what_waits(number: int) -> None:
    async with connected(begins_and_waits) as (side, client):
        stream = client.request("/")
        while not client.answers[stream].body:
            await client.read_some()
        [connection] = side.protocols
        [own] = connection.connection.streams.values()
        file = FileToSend(number, 0, SIZE, more=True)
        assert connection.send_straight(own, file, 3) == 3
        [exchange] = connection._handlers.exchanges.values()
        connection.waiting.add(exchange)
        assert connection.send_straight(own, file, 3) == 0
        connection.waiting.clear()
        connection.connection.sender.control(frames.SETTINGS_ACK)
        assert connection.send_straight(own, file, 3) == 0


async def test_what_the_transport_keeps_is_whole(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though other connections are written to from the same buffer meanwhile."""
    monkeypatch.setattr(Http2, "has_room", lambda _: True)
    given_away: list[bool] = []
    give_away = FramedScratch.give_away

    def noted(self: FramedScratch) -> None:
        given_away.append(True)
        give_away(self)

    monkeypatch.setattr(FramedScratch, "give_away", noted)
    async with connected(Lends(number)) as (side, slow):
        await until(lambda: side.protocols)
        own = side.protocols[0].transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        stream = slow.request("/")
        while not given_away:
            await slow.read_some()
        async with connected(Lends(number)) as (_, other):
            await other.over(other.request("/"))
        await slow.over(stream)
        assert slow.answers[stream].body == CONTENT + b"end"


def test_the_buffer_is_one_for_all() -> None:
    assert isinstance(writing._FRAMED, FramedScratch)

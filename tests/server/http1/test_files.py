"""Files that apps lend to the server: by sendfile in clear, by reading over TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from proxy.origins.resident import PageCache
from proxy.server import room
from proxy.server.http1 import files
from proxy.server.zero_copy import LENT, PATH, TAKEN, ZERO_COPY
from tests.server import talk
from tests.server.http1.test_exchange import (
    GET,
    HEAD,
    OLD,
    App,
    _trust,
    body,
    saying,
    served,
    start,
)

CONTENT = random.Random(9).randbytes(3 * 2**20 + 77)
SIZE = len(CONTENT)
KEPT = GET.replace(b"Connection: close\r\n", b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(CONTENT)
    return made


@pytest.fixture
def number(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def length(count: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % count


def lent(
    file: object, offset: int | None, count: int | None, *, more: bool = False
) -> dict[str, Any]:
    fields = {"offset": offset, "count": count}
    given = {name: value for name, value in fields.items() if value is not None}
    return {"type": ZERO_COPY, "file": file, "more_body": more, **given}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def answer(app: App, request: bytes = GET) -> tuple[bytes, bytes]:
    async with served(app) as (_, port):
        head, _, rest = (await talk.http1(port, request)).partition(b"\r\n\r\n")
    return head, rest


async def test_the_whole_by_its_path(path: Path) -> None:
    before = descriptors()
    sent = [start(200, length(SIZE)), {"type": PATH, "path": str(path)}]
    assert (await answer(saying(*sent)))[1] == CONTENT
    assert descriptors() == before


@pytest.mark.parametrize(
    ("offset", "count"), [(0, SIZE), (5, 100_000), (SIZE - 1, 1), (0, None), (None, None), (7, 0)]
)
async def test_a_part_by_its_descriptor(number: int, offset: int | None, count: int | None) -> None:
    os.lseek(number, 1000, os.SEEK_SET)
    first = 1000 if offset is None else offset
    expected = CONTENT[first:] if count is None else CONTENT[first : first + count]
    sent = [start(200, length(len(expected))), lent(number, offset, count)]
    assert (await answer(saying(*sent)))[1] == expected
    assert os.lseek(number, 0, os.SEEK_CUR) == (SIZE if offset is None else 1000)


async def test_a_file_object_between_other_bytes(path: Path) -> None:
    with path.open("rb") as file:
        sent = [
            start(200, length(200_010)),
            body(b"begin", more=True),
            lent(file, None, 100_000, more=True),
            lent(file, None, 100_000, more=True),
            body(b"ended"),
        ]
        _, rest = await answer(saying(*sent))
    assert rest == b"begin" + CONTENT[:200_000] + b"ended"


async def test_framing_where_no_length_is_known(number: int) -> None:
    pieces = [start(), lent(number, 0, 70_000, more=True), lent(number, 0, 3)]
    head, rest = await answer(saying(*pieces))
    assert b"transfer-encoding: chunked" in head
    expected = b"11170\r\n" + CONTENT[:70_000] + b"\r\n3\r\n" + CONTENT[:3] + b"\r\n0\r\n\r\n"
    assert rest == expected
    head, rest = await answer(saying(start(), lent(number, 0, 70_000)))
    assert b"content-length: 70000" in head
    assert (await answer(saying(*pieces), OLD))[1] == CONTENT[:70_000] + CONTENT[:3]


async def test_a_head_alone(number: int) -> None:
    head, rest = await answer(saying(start(200, length(SIZE)), lent(number, 0, SIZE)), HEAD)
    assert (b"content-length: %d" % SIZE in head, rest) == (True, b"")


@pytest.mark.parametrize(
    "message",
    [
        {"type": PATH, "path": "/nowhere/at/all"},
        {"type": PATH, "path": "/dev/null"},
        {"type": ZERO_COPY, "file": 0, "offset": -1, "count": 1},
    ],
)
async def test_what_cant_be_sent_is_500(message: dict[str, Any]) -> None:
    before = descriptors()
    head, rest = await answer(saying(start(200, length(5)), message))
    assert (head.split(b" ")[1], rest) == (b"500", b"")
    assert descriptors() == before


@pytest.mark.parametrize("count", [4, 6])
async def test_a_count_that_is_not_the_length_is_500(number: int, count: int) -> None:
    head, _ = await answer(saying(start(200, length(5)), lent(number, 0, count)))
    assert head.split(b" ")[1] == b"500"


async def test_a_file_that_ends_early_breaks_off(path: Path, number: int) -> None:
    head, rest = await answer(saying(start(200, length(109)), lent(number, SIZE - 100, 109)))
    assert (head.split(b" ")[1], rest) == (b"500", b"")  # seen before anything was sent

    async def shrinks(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, length(SIZE + SIZE)))
        await send(lent(number, 0, SIZE, more=True))
        os.truncate(path, 2**20)
        await send(lent(number, 0, SIZE))

    assert SIZE <= len((await answer(shrinks))[1]) < SIZE + SIZE


async def test_only_tcp_in_clear_has_the_extensions(number: int) -> None:
    offered: list[set[str]] = []

    async def sends(scope: Scope, receive: Receive, send: Send) -> None:
        offered.append(set(scope["extensions"]))
        await send(start(200, length(SIZE)))
        await send({**lent(number, 0, SIZE), "type": LENT})

    tls, trusting = _trust()
    async with served(sends, tls=tls) as (_, port), talk.connected(port, trusting) as (got, asks):
        asks.write(GET)
        assert (await got.read()).endswith(CONTENT)
    async with served(sends) as (_, port):
        assert (await talk.http1(port, GET)).endswith(CONTENT)
    assert offered == [{LENT, TAKEN}, {ZERO_COPY, PATH, LENT, TAKEN}]
    refused = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    async with served(refused, tls=tls) as (_, port), talk.connected(port, trusting) as (got, asks):
        asks.write(GET)
        assert (await got.read()).startswith(b"HTTP/1.1 500")


async def test_a_slow_reader_gets_all_and_then_its_next_answer(number: int) -> None:
    app = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    before = descriptors()
    async with served(app) as (serving, port):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            one.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(one, ("127.0.0.1", port))
            await loop.sock_sendall(one, KEPT + GET)
            got = b""
            while piece := await loop.sock_recv(one, 200_000):
                got += piece
                await asyncio.sleep(0)
        assert got.count(CONTENT) == 2
        assert serving.tally.finished == 2
    assert descriptors() == before


@pytest.mark.parametrize("secure", [False, True])
async def test_a_reader_that_stops_costs_no_buffer_and_hears_its_end(
    path: Path, secure: bool
) -> None:
    large = path.with_name("large")
    with large.open("wb") as file:
        file.truncate(2**30)
    ended: list[str] = []
    taken = [0]

    async def sends(scope: Scope, receive: Receive, send: Send) -> None:
        with large.open("rb") as file:
            await send(start(200, length(2**30)))
            message = {**lent(file, 0, 2**30), "type": LENT}
            try:
                await send({**message, "taken": lambda count: taken.append(taken[-1] + count)})
            except ConnectionResetError:
                ended.append("gone")
                raise

    tls, trusting = _trust()
    before = descriptors()
    async with served(sends, tls=tls if secure else None) as (serving, port):
        async with talk.connected(port, trusting if secure else None) as (_, writer):
            cast("asyncio.Transport", writer.transport).pause_reading()
            writer.write(GET)
            last = -1
            while last < taken[-1] or not taken[-1]:
                last = taken[-1]
                await asyncio.sleep(0.3)
            [connection] = serving._state.connections
            assert connection.transport.get_write_buffer_size() == 0
            assert taken[-1] < 2**26
            writer.transport.abort()
        async with asyncio.timeout(30):
            while not ended:
                await asyncio.sleep(0.01)
    assert descriptors() == before


async def test_a_cancelled_sender_ends_its_connection(number: int) -> None:
    """As a drain does whose time is up, or an app that waits no longer."""

    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, length(64 * SIZE)))
        async with asyncio.timeout(0.2):
            while True:
                await send(lent(number, 0, SIZE, more=True))

    before = descriptors()
    async with served(gives_up) as (serving, port), talk.connected(port) as (reader, writer):
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(GET)
        async with asyncio.timeout(30):
            while serving.connections:
                await asyncio.sleep(0.01)
        assert serving.tally.failed == 1
        del reader
    assert descriptors() == before


async def test_many_at_once(number: int) -> None:
    app = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    before = descriptors()
    async with served(app) as (_, port):
        answers = await asyncio.gather(*(talk.http1(port, GET) for _ in range(30)))
    assert all(one.endswith(CONTENT) for one in answers)
    assert descriptors() == before


async def test_without_a_descriptor_left_it_is_read_and_written(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(transport: object) -> None:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(files, "Room", full)
    app = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    assert (await answer(app))[1] == CONTENT


async def test_a_file_system_without_sendfile(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def cant(*_: int) -> int:
        raise OSError(errno.EINVAL, "no such thing")

    monkeypatch.setattr(os, "sendfile", cant)
    app = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    assert (await answer(app))[1] == CONTENT


async def test_a_disk_that_fails_is_not_taken_for_the_client(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Exception] = []

    async def sends(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, length(SIZE)))
        try:
            await send(lent(number, 0, SIZE))
        except RuntimeError as error:
            raised.append(error)
            raise

    def fails(*_: int) -> int:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "sendfile", fails)
    assert (await answer(sends))[1] == b""
    assert len(raised) == 1


async def test_pages_are_fetched_before_they_are_sent(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sendfile would wait for the disk, and all connections with it."""
    writing = os.open(path, os.O_RDWR)
    os.fsync(writing)
    os.posix_fadvise(writing, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(writing)
    cache, cold = PageCache(), []
    send_by_kernel = os.sendfile

    def watched(out: int, source: int, offset: int, count: int) -> int:
        if not cache.holds(source, offset, count):
            cold.append(offset)
        return send_by_kernel(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", watched)
    app = saying(start(200, length(SIZE)), lent(number, 0, SIZE))
    assert (await answer(app))[1] == CONTENT
    assert not cold


async def test_a_lender_fetches_by_itself(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[tuple[int, int]] = []

    class Lender:
        def fileno(self) -> int:
            return number

        async def fetch(self, offset: int, count: int) -> None:
            fetched.append((offset, count))

    monkeypatch.setattr(PageCache, "holds", lambda *_, **__: False)
    monkeypatch.setattr(PageCache, "holds_much", lambda *_: False)
    app = saying(start(200, length(SIZE)), lent(Lender(), 0, SIZE))
    assert (await answer(app))[1] == CONTENT
    assert fetched[0] == (0, 2**20)
    assert sum(count for _, count in fetched) >= SIZE


def test_room_needs_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    class Transport(asyncio.Transport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return one

    with socket.socket() as one:
        monkeypatch.setattr(os, "dup", full)
        with pytest.raises(OSError, match="too many"):
            room.Room(Transport())


async def test_copies_wait_until_what_was_before_has_arrived(number: int) -> None:
    """Before the last of a response is sent, nothing of it may be the file's own memory."""
    ended: list[float] = []
    told: list[int] = []

    class Copied:
        copied = 10_000

        def fileno(self) -> int:
            return number

    async def sends(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, length(160_001)))
        await send({**lent(number, 0, 150_000, more=True), "type": LENT})
        copied = {**lent(Copied(), 150_000, 10_000, more=True), "type": LENT}
        await send({**copied, "taken": told.append})
        ended.append(asyncio.get_running_loop().time())
        await send(body(b"x"))

    loop = asyncio.get_running_loop()
    async with served(sends) as (_, port):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            one.setblocking(False)
            await loop.sock_connect(one, ("127.0.0.1", port))
            await loop.sock_sendall(one, GET)
            async with asyncio.timeout(30):
                while not told:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert sum(told) == 10_000
            assert not ended
            got = b""
            while piece := await loop.sock_recv(one, 200_000):
                got += piece
        assert got.endswith(CONTENT[:160_000] + b"x")
        assert ended


async def test_the_last_of_what_is_lent_may_be_copies(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    sendfile = os.sendfile

    def noting(out: int, source: int, offset: int, count: int) -> int:
        sent.append(sendfile(out, source, offset, count))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", noting)
    some = type("Some", (), {"copied": 100_000, "fileno": lambda _: number})()
    message = {**lent(some, 7, SIZE - 7), "type": LENT}
    assert (await answer(saying(start(200, length(SIZE - 7)), message)))[1] == CONTENT[7:]
    assert sum(sent) == SIZE - 7 - 100_000


async def test_a_client_that_takes_what_the_kernel_holds_is_not_stalled(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = iter((300_000, 300_000, 230_000, 150_000, 150_000, 5))
    told: list[int] = []
    monkeypatch.setattr(room.Room, "untaken", lambda _: next(queue))
    copied = type("Copied", (), {"copied": 10, "fileno": lambda _: number})()
    message = {**lent(copied, 0, 10), "type": LENT, "taken": told.append}
    assert (await answer(saying(start(200, length(10)), message)))[1] == CONTENT[:10]
    assert told == [10, 0, 0]


async def test_the_kernel_holds_more_for_a_client_that_is_quick(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as little as before for one that makes us wait, and for what follows the file."""
    held: list[int] = []
    hold = room.Room.hold

    def noted(self: room.Room, unsent: int) -> None:
        held.append(unsent)
        hold(self, unsent)

    monkeypatch.setattr(room.Room, "hold", noted)
    waits = iter((0.01, 0.5, 0.01))
    wait_for = files._wait_for

    async def took(outlet: files.Outlet, room: room.Room) -> float:
        await wait_for(outlet, room)
        return next(waits, 0.01)

    monkeypatch.setattr(files, "_wait_for", took)
    send, blocked = os.sendfile, [True, True, True]

    def blocks_at_first(out: int, source: int, offset: int, count: int) -> int:
        if blocked:
            blocked.pop()
            raise BlockingIOError
        return send(out, source, offset, min(count, 4096))

    monkeypatch.setattr(os, "sendfile", blocks_at_first)
    app = saying(start(200, length(4096)), lent(number, 0, 4096))
    assert (await answer(app))[1] == CONTENT[:4096]
    assert held == [room.UNSENT_QUICK, room.UNSENT, room.UNSENT_QUICK, room.UNSENT]


async def test_no_more_is_encrypted_than_there_is_room_for(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read for nothing is read again, and the client gets every byte once."""
    asked = [0]

    def now_and_then(self: room.Room) -> bool:
        asked[0] += 1
        return asked[0] % 3 != 2

    taken: list[int] = []
    monkeypatch.setattr(room.Room, "there", now_and_then)
    message = {**lent(number, 0, SIZE), "type": LENT, "taken": taken.append}
    tls, trusting = _trust()
    app = saying(start(200, length(SIZE)), message)
    async with served(app, tls=tls) as (_, port), talk.connected(port, trusting) as (got, asks):
        asks.write(GET)
        assert (await got.read()).endswith(CONTENT)
    assert sum(taken) == SIZE
    assert taken[0] == room.ENOUGH

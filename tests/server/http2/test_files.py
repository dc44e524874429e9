"""Files that the app lends: read when there is room, over HTTP/2."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import h2.settings
import pytest
from starlette.types import Receive, Scope, Send

from proxy.server.files import FileToSend
from proxy.server.http2 import exchange, writing
from proxy.server.room import Room
from proxy.server.zero_copy import LENT
from tests.server.http2.serving import connected, until

CONTENT = random.Random(10).randbytes(2**20 + 33)
SIZE = len(CONTENT)


class Lends:
    """Lends a file in two stretches, and puts some bytes behind."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self.heard = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % (SIZE + 3))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = SIZE // 2
        try:
            for offset, count in ((0, half), (half, SIZE - half)):
                message = {"type": LENT, "file": self.number, "offset": offset, "count": count}
                await send({**message, "more_body": True, "taken": self.take})
            await send({"type": "http.response.body", "body": b"end"})
        except ConnectionResetError:
            self.heard = "gone"
            raise

    def take(self, count: int) -> None:
        self.taken += count


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Lends]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    number = os.open(path, os.O_RDONLY)
    yield Lends(number)
    os.close(number)


async def test_the_bytes_on_several_streams(app: Lends) -> None:
    async with connected(app) as (_, client):
        streams = [client.request("/") for _ in range(5)]
        await client.over(*streams)
        assert all(client.answers[one].body == CONTENT + b"end" for one in streams)
        head = client.request("/", "HEAD")
        await client.over(head)
        assert client.answers[head].status == 200
        assert not client.answers[head].body


async def test_what_waits_to_be_written_takes_its_room(
    app: Lends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that is open by a byte is read for once, not until the buffer is full."""
    sizes: list[int] = []
    read = FileToSend.read

    async def noted(self: FileToSend, size: int, left: int) -> bytes:
        sizes.append(size)
        return await read(self, size, left)

    read_into = FileToSend.read_into

    def noted_into(self: FileToSend, buffers: Sequence[memoryview], left: int) -> int:
        sizes.append(sum(map(len, buffers)))
        return read_into(self, buffers, left)

    monkeypatch.setattr(FileToSend, "read", noted)
    monkeypatch.setattr(FileToSend, "read_into", noted_into)
    async with connected(app, window=False) as (_, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        for more in (1, 1, 2):
            client.connection.increment_flow_control_window(more)
            client.connection.increment_flow_control_window(more, stream)
            client.flush()
            wanted = len(client.answers[stream].body) + more
            while len(client.answers[stream].body) < wanted:
                await client.read_some()
    assert sum(sizes) == 65539
    assert sizes[-3:] == [1, 1, 2]


async def test_a_closed_window_holds_nothing_and_reopens(app: Lends) -> None:
    async with connected(app, window=False) as (side, client):
        stream = client.request("/")
        while len(client.answers[stream].body) < 65535:
            await client.read_some()
        await until(lambda: app.taken == 65535)
        [held] = side.protocols[0].connection.streams.values()
        assert held.unsent == 0
        for _ in range(20):
            client.connection.increment_flow_control_window(60_000)
            client.connection.increment_flow_control_window(60_000, stream)
        client.flush()
        await client.over(stream)
        assert client.answers[stream].body == CONTENT + b"end"


async def test_no_more_is_read_than_a_small_window_has_room_for(app: Lends) -> None:
    """Else it is read byte by byte until enough waits, and meanwhile nobody has a turn."""
    async with connected(app, window=False) as (side, client):
        stream = client.request("/")
        await until(lambda: app.taken == 65535)
        client.connection.increment_flow_control_window(60_000)
        client.connection.increment_flow_control_window(3, stream)
        client.flush()
        await until(lambda: app.taken > 65535)
        while len(client.answers[stream].body) < 65538:
            await client.read_some()
        assert app.taken == 65538
        [held] = side.protocols[0].connection.streams.values()
        assert held.unsent == 0


async def test_a_client_that_leaves_while_its_window_is_closed(app: Lends) -> None:
    async with connected(app, window=False) as (side, client):
        stream = client.request("/")
        await until(lambda: app.taken == 65535)
        client.connection.reset_stream(stream)
        client.flush()
        await until(lambda: app.heard)
        assert app.heard == "gone"
        await until(lambda: side.state.tally.running == 0)


async def test_a_full_kernel_is_waited_for(app: Lends, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is read meanwhile."""
    full, asked = True, 0

    class Full(Room):
        def there(self) -> bool:
            nonlocal asked
            asked += 1
            return not full and super().there()

    monkeypatch.setattr(writing, "Room", Full)
    async with connected(app) as (side, client):
        stream = client.request("/")
        await until(lambda: asked > 3)
        assert app.taken <= 2**14  # what goes with the head
        full = False
        await client.over(stream)
        assert client.answers[stream].body == CONTENT + b"end"
        assert not side.protocols[0].waiting


async def test_a_file_that_ends_early_resets_its_stream(app: Lends) -> None:
    path = f"/proc/self/fd/{app.number}"
    os.truncate(path, 70_000)
    async with connected(app) as (_, client):
        stream = client.request("/")
        await client.over(stream)
        assert client.answers[stream].reset is not None or client.answers[stream].status == 500


async def test_a_file_that_is_given_may_be_closed_late(app: Lends) -> None:
    """What was opened for a path is closed, what was given is not."""
    file = await FileToSend.of({"type": LENT, "file": app.number, "offset": 3, "count": 5})
    file.close()
    assert os.pread(app.number, 5, 3) == CONTENT[3:8]
    assert await asyncio.to_thread(os.lseek, app.number, 0, os.SEEK_CUR) == 0


def count_wakes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time an app was woken."""
    done: list[int] = []
    wake = exchange._wake

    def note(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            done.append(1)
        wake(waiting)

    monkeypatch.setattr(exchange, "_wake", note)
    return done


@pytest.mark.parametrize(("more", "most"), [(True, 0), (False, 100)])
async def test_a_window_that_grows_by_a_byte_wakes_its_reader_once(
    app: Lends, monkeypatch: pytest.MonkeyPatch, more: bool, most: int
) -> None:
    """When there is room, and not again when the byte has left; not at all where that goes at once,
    as it does but for what ends the response."""

    async def lends(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": LENT, "file": app.number, "offset": 0, "more_body": more})

    done = count_wakes(monkeypatch)
    async with connected(lends, window=False) as (side, client):
        client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1})
        client.flush()
        stream = client.request("/")
        await until(lambda: side.protocols and side.protocols[0].waiting)
        while len(client.answers[stream].body) < 1:
            await client.read_some()
        done.clear()
        for count in range(2, 102):
            client.connection.increment_flow_control_window(1, stream)
            client.flush()
            while len(client.answers[stream].body) < count:
                await client.read_some()
        assert bytes(client.answers[stream].body) == CONTENT[:101]
        assert len(done) <= most

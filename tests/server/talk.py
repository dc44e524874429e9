"""Clients that do what a well-behaved library would not: raw HTTP/1.1 and HTTP/2 by hand."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events


@contextlib.asynccontextmanager
async def connected(
    port: int, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    name = "localhost" if tls is not None else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def http1(port: int, request: bytes, seconds: float = 30) -> bytes:
    """Sends the bytes and gives back all that comes until the server closes."""
    async with asyncio.timeout(seconds), connected(port) as (reader, writer):
        writer.write(request)
        return await reader.read()


async def get(port: int, path: str, seconds: float = 30) -> bytes:
    """The body of a GET on a connection of its own; raises on anything but a complete 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await http1(port, request.encode(), seconds)
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0].startswith(b"http/1.1 200"), head
    (length,) = [int(one.split(b":")[1]) for one in lines if one.startswith(b"content-length")]
    assert len(body) == length, f"{len(body)} of {length} bytes"
    return body


async def begun(port: int, path: str, *, count: int) -> list[asyncio.Task[bytes]]:
    """So many downloads, the head of each of which is here; what each gives is its body."""
    heads = [asyncio.Event() for _ in range(count)]

    async def download(head: asyncio.Event) -> bytes:
        async with asyncio.timeout(60), connected(port) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            fields = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert fields.startswith(b"http/1.1 200"), fields
            length = int(fields.partition(b"content-length:")[2].split()[0])
            head.set()
            body = await reader.read(-1)
            assert len(body) == length, f"{len(body)} of {length} bytes"
            return body

    tasks = [asyncio.create_task(download(one)) for one in heads]
    async with asyncio.timeout(60):
        for head, task in zip(heads, tasks, strict=True):
            waiting = asyncio.create_task(head.wait())
            await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
    return tasks


@dataclass
class Answer:
    """What came on one stream."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class H2:
    """One HTTP/2 connection. `window` false leaves the windows as they are: the server blocks."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, window: bool = True
    ) -> None:
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.connection = h2.connection.H2Connection(config)
        self.reader, self.writer, self.window = reader, writer, window
        self.answers: dict[int, Answer] = {}
        self.goaways: list[int] = []
        self.closed = False
        self._unframed = b""
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.connection.data_to_send())

    def request(
        self,
        path: bytes | str,
        method: str = "GET",
        *,
        end: bool = True,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> int:
        raw = path.encode() if isinstance(path, str) else path
        fields = [
            (b":method", method.encode()),
            (b":scheme", b"http"),
            (b":authority", b"a"),
            (b":path", raw),
        ]
        stream_id = self.connection.get_next_available_stream_id()
        self.send(stream_id, [*fields, *(headers or [])], end=end)
        return stream_id

    def send(self, stream_id: int, fields: list[tuple[bytes, bytes]], *, end: bool = True) -> None:
        self.connection.send_headers(stream_id, fields, end_stream=end)
        self.answers[stream_id] = Answer()
        self.flush()

    async def read_some(self) -> None:
        """Reads once and takes it in."""
        data = await self.reader.read(65536)
        if not data:
            self.closed = True
            return
        self._unframed += data
        while frame := self._next_frame():
            if frame[3] == 7:  # GOAWAY, after which h2's client would hear of nothing else
                self.goaways.append(int.from_bytes(frame[13:17], "big"))
                continue
            for event in self.connection.receive_data(frame):
                self._take(event)
        self.flush()

    def _next_frame(self) -> bytes:
        """The next whole frame that came, or nothing."""
        size = 9 + int.from_bytes(self._unframed[:3], "big")
        if len(self._unframed) < size:
            return b""
        frame, self._unframed = self._unframed[:size], self._unframed[size:]
        return frame

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                answer = self.answers[event.stream_id]
                answer.headers = {bytes(name): bytes(value) for name, value in event.headers}
                answer.status = int(answer.headers[b":status"])
            case h2.events.TrailersReceived():
                answer = self.answers[event.stream_id]
                answer.trailers = {bytes(name): bytes(value) for name, value in event.headers}
            case h2.events.DataReceived():
                self.answers[event.stream_id].body += event.data
                if self.window:
                    self.connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case h2.events.StreamEnded():
                self.answers[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.answers[event.stream_id].reset = int(event.error_code or 0)

    async def over(self, *streams: int, seconds: float = 30) -> None:
        """Reads until all these streams are over, or the connection is."""
        async with asyncio.timeout(seconds):
            while not (self.closed or all(self.answers[one].over for one in streams)):
                await self.read_some()

    async def until_closed(self, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not self.closed:
                await self.read_some()


@contextlib.asynccontextmanager
async def http2(
    port: int, tls: ssl.SSLContext | None = None, *, window: bool = True
) -> AsyncGenerator[H2, None]:
    async with connected(port, tls) as (reader, writer):
        yield H2(reader, writer, window=window)

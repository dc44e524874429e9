"""A client for HTTP/3: aioquic's own, on a socket, with the knobs that tests turn."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol, QuicStreamHandler
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Answer:
    """What came on one stream."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    interim: list[bytes] = field(default_factory=list)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    ended: bool = False
    reset: int | None = None
    stopped: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[b":status"])

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Client(QuicConnectionProtocol):
    """One connection. `keep` false only counts the bytes of bodies."""

    def __init__(self, quic: QuicConnection, stream_handler: QuicStreamHandler | None) -> None:
        super().__init__(quic, stream_handler)
        self.quic = self._quic
        self.http = H3Connection(self._quic)
        checks: Any = self.http
        checks._check_content_length = lambda stream: None  # it knows no HEAD
        self.answers: dict[int, Answer] = {}
        self.closed: ConnectionTerminated | None = None
        self.control = b""
        self.keep = True
        self._changed = asyncio.Event()

    def request(
        self, path: str | bytes, method: str = "GET", headers: Headers = (), *, end: bool = True
    ) -> int:
        """Sends a request; returns its stream."""
        pseudo = [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path if isinstance(path, bytes) else path.encode()),
        ]
        return self.raw_request([*pseudo, *headers], end=end)

    def raw_request(self, headers: Headers, *, end: bool = True) -> int:
        stream = self.quic.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.http.send_headers(stream, list(headers), end_stream=end)
        self.transmit()
        return stream

    def raw_stream(self, data: bytes, *, one_way: bool = False, end: bool = False) -> int:
        """Opens a stream and writes bytes on it as they are."""
        stream = self.quic.get_next_available_stream_id(is_unidirectional=one_way)
        self.answers[stream] = Answer()
        self.quic.send_stream_data(stream, data, end)
        self.transmit()
        return stream

    async def over(self, *streams: int, seconds: float = 30) -> None:
        """Waits until these are complete or reset."""
        await self.until(lambda: all(self.answers[one].over for one in streams), seconds)

    async def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                assert self.closed is None, self.closed
                self._changed.clear()
                await self._changed.wait()

    async def pause(self) -> None:
        """Until the server has seen what was sent, or for a moment."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await self._changed.wait()

    async def until_closed(self, seconds: float = 30) -> int:
        async with asyncio.timeout(seconds):
            while self.closed is None:
                self._changed.clear()
                await self._changed.wait()
        return self.closed.error_code

    async def get(self, path: str, method: str = "GET", headers: Headers = ()) -> Answer:
        stream = self.request(path, method, headers)
        await self.over(stream)
        return self.answers[stream]

    def quic_event_received(self, event: QuicEvent) -> None:
        answer = self.answers.get(getattr(event, "stream_id", -1))
        if isinstance(event, ConnectionTerminated):
            self.closed = event
        elif isinstance(event, StreamReset) and answer is not None:
            answer.reset = event.error_code
        elif isinstance(event, StopSendingReceived) and answer is not None:
            answer.stopped = event.error_code
        elif isinstance(event, StreamDataReceived) and event.stream_id == 3:
            self.control += event.data
        for one in self.http.handle_event(event):
            self._take(one)
        self._changed.set()

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            answer = self.answers.setdefault(event.stream_id, Answer())
            found = dict(event.headers)
            if found.get(b":status", b"")[:1] == b"1":
                answer.interim.append(found[b":status"])
            elif answer.headers:
                answer.trailers = found
            else:
                answer.headers = found
            answer.ended = event.stream_ended
        elif isinstance(event, DataReceived):
            answer = self.answers[event.stream_id]
            answer.size += len(event.data)
            if self.keep:
                answer.body += event.data
            answer.ended = event.stream_ended


def stop_reading(client: Client) -> None:
    """From now on no window is widened, though all that comes is acknowledged."""
    connection: Any = client.quic

    def write_no_limits(*args: object, **more: object) -> None:
        del args, more

    connection._write_connection_limits = write_no_limits
    connection._write_stream_limits = write_no_limits


@contextlib.asynccontextmanager
async def talking(
    port: int, *, window: int = 2**20, host: str = "127.0.0.1"
) -> AsyncGenerator[Client, None]:
    """A connection to a server whatever its certificate."""
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3"],
        verify_mode=ssl.CERT_NONE,
        server_name="localhost",
        max_data=16 * window,
        max_stream_data=window,
    )
    async with connect(host, port, configuration=configuration, create_protocol=Client) as client:
        assert isinstance(client, Client)
        yield client

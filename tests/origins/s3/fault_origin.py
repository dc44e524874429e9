"""A store that answers what a test tells it to: wrong heads, cut bodies, silence, resets.

A test gives a function from a request to steps: bytes to send, or one of the signs below. After
the steps the connection stays open for the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict, Unpack

from proxy.origins.s3 import S3Options, S3Origin

HANG: Literal["hang"] = "hang"  # sends nothing more, until the client leaves
CLOSE: Literal["close"] = "close"
RESET: Literal["reset"] = "reset"  # closes with a TCP reset

Step = bytes | Literal["hang", "close", "reset"]

BODY = bytes(range(256)) * 16
MD5 = f'"{hashlib.md5(BODY, usedforsecurity=False).hexdigest()}"'
MODIFIED = "Mon, 23 Nov 2026 10:00:00 GMT"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    connection: int  # which one it came by, from 0

    @property
    def is_probe(self) -> bool:
        """Whether it is the one that `start` sends."""
        return self.target.endswith(".headgate-probe")

    @property
    def asked(self) -> tuple[int, int] | None:
        """Its range, if it is bytes=a-b or bytes=a-, as positions within BODY (stop excluded)."""
        value = self.headers.get("range")
        if value is None:
            return None
        first, _, last = value.removeprefix("bytes=").partition("-")
        return int(first), min(int(last or len(BODY)) + (1 if last else 0), len(BODY))


Respond = Callable[[Request], Sequence[Step]]


def answer(
    status: int, headers: dict[str, str] | None = None, body: bytes = b"", *, length: int | None = 0
) -> bytes:
    """An answer; its Content-Length is the body's, another, or (None) not there."""
    lines = [f"HTTP/1.1 {status} Because"]
    if length is not None:
        lines.append(f"Content-Length: {length or len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def error(status: int, code: str, headers: dict[str, str] | None = None) -> bytes:
    """An S3 error document."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><RequestId>R1</RequestId></Error>"
    return answer(status, headers, body.encode())


def good(request: Request, more: dict[str, str] | None = None, body: bytes = BODY) -> bytes:
    """What a store without faults answers; `body` is the object."""
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"ETag": etag, "Last-Modified": MODIFIED, **(more or {})}
    if request.method == "HEAD":
        return answer(200, headers, b"", length=len(body))
    if request.asked is None:
        return answer(200, headers, body)
    start, stop = request.asked
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return answer(206, headers, body[start:stop])


@dataclass
class FaultOrigin:
    """Running on `port`. `requests` are those seen, without the one that `start` sends."""

    respond: Respond = field(default=lambda request: [good(request)])
    probe: Sequence[Step] = field(default_factory=lambda: [error(404, "NoSuchKey")])
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    def reset_idle(self) -> None:
        """Cuts all connections with a reset the client sees only when it next uses them."""
        for writer in self._writers:
            _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        self._writers.add(writer)
        try:
            while request := await _read_request(reader, number):
                if not request.is_probe:
                    self.requests.append(request)
                for step in self.probe if request.is_probe else self.respond(request):
                    if step == HANG:
                        await reader.read()
                    if step in (HANG, CLOSE):
                        return
                    if step == RESET:
                        _reset(writer)
                        return
                    assert isinstance(step, bytes)
                    writer.write(step)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader, number: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    headers = {n.lower(): v for n, _, v in (f.partition(": ") for f in fields if f)}
    return Request(method, target, headers, number)


@contextlib.asynccontextmanager
async def fault_origin(respond: Respond | None = None) -> AsyncIterator[FaultOrigin]:
    """A running one."""
    store = FaultOrigin() if respond is None else FaultOrigin(respond)
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    store.port = server.sockets[0].getsockname()[1]
    try:
        yield store
    finally:
        server.close()
        for writer in list(store._writers):
            writer.close()
        while store._writers:
            await asyncio.sleep(0)


class More(TypedDict, total=False):
    """Options that tests change; see S3Options."""

    bucket: str
    prefix: str
    region: str | None
    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None
    profile: str | None
    unsigned: bool
    connect_timeout: float
    first_byte_timeout: float
    stall_timeout: float
    max_connections: int
    slot_timeout: float
    ca_bundle: str | None


@contextlib.asynccontextmanager
async def s3_origin(endpoint: str | None, **more: Unpack[More]) -> AsyncIterator[S3Origin]:
    """A started origin at `endpoint`, closed in the end."""
    usual = S3Options(
        bucket="media",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="AKTEST",
        secret_access_key="very-secret",
    )
    origin = S3Origin(dataclasses.replace(usual, **more))
    try:
        await origin.start()
        yield origin
    finally:
        await origin.aclose()

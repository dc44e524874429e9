"""HTTP/3 for httpx: a transport over aioquic, so that what is tested of one version is of all."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from tests.server.http3.client import Client, talking


class Http3Transport(httpx.AsyncBaseTransport):
    """One connection to a server, whatever its certificate."""

    def __init__(self, port: int) -> None:
        self._talking = talking(port)
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        self._client = await self._talking.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._talking.__aexit__(kind, error, trace)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises `httpx.RemoteProtocolError` for an answer that was reset."""
        assert self._client is not None
        body = await request.aread()
        dropped = {b"host", b"connection", b"transfer-encoding", b"keep-alive"}
        fields = [(name.lower(), value) for name, value in request.headers.raw]
        head = [
            (b":method", request.method.encode()),
            (b":scheme", b"https"),
            (b":authority", request.headers["host"].encode()),
            (b":path", request.url.raw_path),
            *(one for one in fields if one[0] not in dropped),
        ]
        stream = self._client.raw_request(head, end=not body)
        if body:
            self._client.http.send_data(stream, body, end_stream=True)
            self._client.transmit()
        await self._client.over(stream)
        answer = self._client.answers.pop(stream)
        if not answer.ended:
            raise httpx.RemoteProtocolError(f"the answer was reset: {answer.reset}")
        status = int(answer.headers.pop(b":status"))
        return httpx.Response(
            status,
            headers=list(answer.headers.items()),
            stream=httpx.ByteStream(bytes(answer.body)),
            extensions={"http_version": b"HTTP/3"},
        )

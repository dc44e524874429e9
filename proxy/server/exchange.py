"""One request and its response: what ASGI says on one side, a protocol's events on the other.

It takes the place of Hypercorn's `HTTPStream` for four reasons. There, `send` neither raises nor
waits once the client is gone, so that a body which never waits by itself spins for ever. A body
that breaks off is not told to the protocol. Header values go to the wire unchecked. And an
unread request body blocks the whole connection.

A response that can't be completed is always seen to be broken: the protocol gets `Failed`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from hypercorn.events import Closed
from hypercorn.protocol.events import (
    Body,
    EndBody,
    Event,
    Request,
    Response,
    StreamClosed,
    Trailers,
)
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ASGISendEvent, HTTPScope
from hypercorn.utils import suppress_body

from proxy.errors import HeadgateError
from proxy.server.boxes import Inbox
from proxy.server.state import Tally

logger = logging.getLogger(__name__)

__all__ = [
    "Broken",
    "ClosedSoon",
    "Exchange",
    "Failed",
    "Tally",
    "checked_headers",
    "promised_length",
]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5: all controls but the tab
# A connection's business, never the app's (RFC 9110 §7.6.1, RFC 9113 §8.2.2); "connection" has
# one use, "close", and only HTTP/1.1 lets it pass.
_HOP_BY_HOP = {b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"}


@dataclass(frozen=True)
class Failed(Event):
    """The response can't be completed: break it off so that the client sees it."""


class ClosedSoon(Closed):
    """Close after the client has read what was sent: something it sent is still unread."""


class Broken(Closed):
    """Close with a reset, since a plain end would look like a complete body."""


def checked_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers as they may be sent, names in lower case.

    Raises `ValueError` for a name that is no token and for a value with a control byte.
    """
    checked = []
    for raw, value in headers:
        name = bytes(raw).lower()
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no header name")
        if _UNSAFE.search(value):
            raise ValueError(f"the value of {name!r} holds a control byte")
        if name not in _HOP_BY_HOP:
            checked.append((name, bytes(value).strip(b" \t")))
    return checked


def promised_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """The Content-Length among the headers, or None."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return None


class Exchange(HTTPStream):
    """One request in the hands of the app.

    Set before the request is handled: `tally`, which counts it; `left`, called when the app has
    returned; `waits`, whether a full inbox may hold up the caller (HTTP/1.1) or not (HTTP/2,
    whose window bounds it).
    """

    tally: Tally
    waits = False

    def prepare(
        self,
        tally: Tally,
        *,
        left: Callable[[], None] = lambda: None,
        credit: Callable[[int], Awaitable[None]] | None = None,
        waits: bool = False,
    ) -> None:
        """Completes the making; the base class fixes the arguments of the first half."""
        self.tally = tally
        self.inbox = Inbox(credit)
        self.waits = waits
        self._left = left
        self._to_come: int | None = None
        self._bodyless = False
        self._trailers_follow = False

    async def handle(self, event: Event) -> None:
        """Takes one event of the protocol."""
        if self.closed:
            return
        if isinstance(event, Request):
            self.scope = self._make_scope(event)
            self.tally.running += 1
            self.task_group.spawn(self._run)
        elif isinstance(event, Body):
            self.inbox.put(event.data)
            if self.waits:
                await self.inbox.room()
        elif isinstance(event, EndBody):
            self.inbox.end()
        elif isinstance(event, StreamClosed):
            self.closed = True
            self.inbox.close()

    def _make_scope(self, event: Request) -> HTTPScope:
        path, _, query = event.raw_path.partition(b"?")
        scope: dict[str, object] = {
            "type": "http",
            "http_version": event.http_version,
            # 2.4: send raises OSError once the client is gone
            "asgi": {"spec_version": "2.4", "version": "3.0"},
            "method": event.method,
            "scheme": self.scheme,
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": self.config.root_path,
            "headers": event.headers,
            "client": self.client,
            "server": self.server,
            "state": event.state.copy(),
            # Only HTTP/2: on HTTP/1.1 they need chunks, and a chunked body can't say its length.
            "extensions": {"http.response.trailers": {}} if event.http_version == "2" else {},
        }
        return cast("HTTPScope", scope)

    async def _run(self) -> None:
        """The app's whole call, counted by how it ended."""
        ending = "cut"
        try:
            await self._call_app()
            ending = "finished" if self.state is ASGIHTTPState.CLOSED else "failed"
        except Exception as error:
            ending = "failed"
            if not (self.closed or isinstance(error, HeadgateError)):  # the app has logged its own
                logger.exception("the app failed")
        finally:
            self.tally.running -= 1
            setattr(self.tally, ending, getattr(self.tally, ending) + 1)
            self._left()
            await self._app_left()

    async def _call_app(self) -> None:
        receive = cast("Any", self.inbox.receive)
        await self.app(self.scope, receive, self.app_send, _no_threads, _no_threads)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """ASGI's send. Raises `ConnectionResetError` once the client is gone (ASGI HTTP 2.4),
        `ValueError` for a header that can't be sent, `RuntimeError` for a wrong sequence or a
        body that does not fit its Content-Length."""
        if message is None:
            return
        if self.state is ASGIHTTPState.CLOSED:
            raise RuntimeError("the response has already ended")
        self._check_client()
        kind = message["type"]
        if kind == "http.response.start" and self.state is ASGIHTTPState.REQUEST:
            await self._send_start(cast("dict[str, Any]", message))
        elif kind == "http.response.body" and self.state is ASGIHTTPState.RESPONSE:
            await self._send_body(cast("dict[str, Any]", message))
        elif kind == "http.response.trailers" and self.state is ASGIHTTPState.TRAILERS:
            await self._send_trailers(cast("dict[str, Any]", message))
        else:
            raise RuntimeError(f"{kind} can't be sent now ({self.state.name})")

    def _check_client(self) -> None:
        if self.closed and self.state is not ASGIHTTPState.CLOSED:
            raise ConnectionResetError("the client is gone")

    async def _send_start(self, message: dict[str, Any]) -> None:
        status = int(message["status"])
        headers = checked_headers(message.get("headers", []))
        self._bodyless = suppress_body(self.scope["method"], status)
        self._to_come = None if self._bodyless else promised_length(headers)
        offered = cast("dict[str, Any]", self.scope)["extensions"]
        self._trailers_follow = "http.response.trailers" in offered and bool(
            message.get("trailers", False)
        )
        await self.send(Response(self.stream_id, headers, status))
        self.state = ASGIHTTPState.RESPONSE
        self._check_client()

    async def _send_body(self, message: dict[str, Any]) -> None:
        data, more = message.get("body", b""), message.get("more_body", False)
        if data and not self._bodyless:
            await self._count(len(data))
            await self.send(Body(self.stream_id, data))
        if not more:
            if self._to_come:
                await self._fail(f"the body ended {self._to_come} bytes short")
            if self._trailers_follow:
                self.state = ASGIHTTPState.TRAILERS
            else:
                await self._complete(EndBody(self.stream_id))
        self._check_client()

    async def _send_trailers(self, message: dict[str, Any]) -> None:
        """The fields behind the body, which end the response; all in one message."""
        trailers = checked_headers(message.get("headers", []))
        await self._complete(Trailers(self.stream_id, trailers))

    async def _count(self, size: int) -> None:
        if self._to_come is not None:
            self._to_come -= size
            if self._to_come < 0:
                await self._fail("the body is longer than its Content-Length")

    async def _complete(self, end: Event) -> None:
        await self.send(end)
        self._check_client()
        self.state = ASGIHTTPState.CLOSED
        await self.send(StreamClosed(self.stream_id))

    async def _fail(self, why: str) -> None:
        await self._break_off()
        raise RuntimeError(why)

    async def _break_off(self) -> None:
        self.closed = True
        self.inbox.close()
        await self.send(Failed(self.stream_id))

    async def _app_left(self) -> None:
        """Ends what the app left open: 500 if nothing was sent, else a visible break."""
        if self.closed or self.state is ASGIHTTPState.CLOSED:
            return
        try:
            if self.state is ASGIHTTPState.REQUEST:
                await self.send(Response(self.stream_id, [(b"content-length", b"0")], 500))
                await self._complete(EndBody(self.stream_id))
            else:
                await self._break_off()
        except OSError:
            self.closed = True


def _no_threads(*_: object) -> None:
    """Hypercorn's bridge for WSGI apps; ours is ASGI."""
    raise NotImplementedError

"""HTTP/1.1 on Hypercorn's h11 protocol, with what it lets through mended.

- Content-Length beside Transfer-Encoding is refused and the connection closed (RFC 9112 §6.1).
- `Upgrade: h2c` is ignored: a front proxy that forwards it would be bypassed. So is WebSocket.
- HTTP/2 with prior knowledge is taken as the first thing on a clear connection only.
- Method names keep their case (RFC 9110 §9.1); the app refuses what it does not know.
- The size of a head is checked when it is complete, not only between two reads.
- A body broken off ends the connection: short of its Content-Length, without a last chunk, or
  with a reset where only the end of the connection would end the body.
- During a drain every response says `Connection: close`, and a connection whose last response
  could not say so waits a moment for one more request.
"""

from __future__ import annotations

from http.client import responses

import h11
from hypercorn.events import Closed, Updated
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H2ProtocolAssumedError, H11Protocol

from proxy.server.exchange import Broken, ClosedSoon, Exchange, Failed, Tally
from proxy.server.requests import MOST_FIELDS, Refused, check_head, origin_form

_UNANSWERED = {h11.IDLE, h11.SEND_RESPONSE}
# Where the client stands while it owes no more of its request; the second after one that asked
# for an upgrade, which h11 does not export.
_REQUEST_READ = {"DONE", "MIGHT_SWITCH_PROTOCOL"}


class Http1(H11Protocol):
    """One HTTP/1.1 connection. Set `tally` before the first byte is handled."""

    tally: Tally
    connection: h11.Connection
    stream: Exchange | None

    async def stream_send(self, event: Event) -> None:
        """Sends one event of the exchange."""
        if isinstance(event, Response):
            await self._send_head(event)
        elif isinstance(event, Body):
            await self._send_h11_event(h11.Data(data=event.data))
        elif isinstance(event, EndBody):
            await self._send_h11_event(h11.EndOfMessage())
        elif isinstance(event, StreamClosed):
            await self._maybe_recycle()
        elif isinstance(event, Failed):
            await self._break_off()

    async def _send_head(self, event: Response) -> None:
        headers = [*event.headers, *self.config.response_headers("h11")]
        self._delimited = any(name == b"content-length" for name, _ in headers)
        if self.context.terminated.is_set() or not self._request_read():
            headers = [one for one in headers if one[0] != b"connection"]
            headers.append((b"connection", b"close"))
        reason = responses.get(event.status_code, "").encode("ascii")
        await self._send_h11_event(
            h11.Response(headers=headers, status_code=event.status_code, reason=reason)
        )

    def _request_read(self) -> bool:
        return self.connection.their_state.__name__ in _REQUEST_READ

    async def _break_off(self) -> None:
        chunked = self.connection.their_http_version == b"1.1"
        await self._close_stream()
        await self.can_read.set()
        await self.send(Closed() if self._delimited or chunked else Broken())

    async def _maybe_recycle(self) -> None:
        await self._close_stream()
        states = {self.connection.our_state, self.connection.their_state}
        if states == {h11.DONE}:
            self.connection.start_next_cycle()
            await self.can_read.set()
            await self.send(Updated(idle=True))
        else:
            await self.can_read.set()
            await self.send(Closed() if self._all_read() else ClosedSoon())

    def _all_read(self) -> bool:
        read = {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}
        return self.connection.their_state in read and not self.connection.trailing_data[0]

    async def _handle_events(self) -> None:
        try:
            while await self._handle_next():
                pass
        except (h11.RemoteProtocolError, Refused) as error:
            status = error.status if isinstance(error, Refused) else error.error_status_hint
            if self.connection.our_state in _UNANSWERED:
                await self._send_error_response(status)
            await self.send(ClosedSoon())

    async def _handle_next(self) -> bool:
        """Handles one event of h11; false when it needs more bytes or nobody wants more."""
        if self.connection.they_are_waiting_for_100_continue and self.stream is not None:
            head = h11.InformationalResponse(status_code=100, headers=[])
            await self._send_h11_event(head)
        event = self.connection.next_event()
        if isinstance(event, h11.Request):
            self._check(event)
            await self.send(Updated(idle=False))
            await self._create_stream(event)
        elif event is h11.PAUSED:
            await self.can_read.clear()
            await self.can_read.wait()
        elif event is h11.NEED_DATA or self.stream is None:
            return False
        elif isinstance(event, h11.Data):
            await self.stream.handle(Body(STREAM_ID, event.data))
        elif isinstance(event, h11.EndOfMessage):
            await self.stream.handle(EndBody(STREAM_ID))
        else:
            return False
        return True

    def _check(self, request: h11.Request) -> None:
        """Raises `Refused`, or turns to HTTP/2 when the client speaks it from the first byte."""
        first = self.keep_alive_requests == 0 and not self.ssl
        preface = (request.method, request.target, request.http_version) == (b"PRI", b"*", b"2.0")
        if preface and first:
            rest, _ = self.connection.trailing_data
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + rest)
        if request.http_version not in {b"1.0", b"1.1"}:
            raise Refused(505)
        names = [name for name, _ in request.headers]
        if b"transfer-encoding" in names and (
            b"content-length" in names or request.http_version == b"1.0"
        ):
            raise Refused(400)
        check_head(
            request.method,
            request.target,
            list(request.headers),
            most_bytes=self.config.h2_max_header_list_size,
            most_fields=MOST_FIELDS,
        )

    async def _create_stream(self, request: h11.Request) -> None:
        ends = (self.app, self.config, self.context, self.task_group)
        where = (self.ssl, self.client, self.server)
        self.stream = Exchange(*ends, *where, self.stream_send, STREAM_ID)
        self.stream.prepare(self.tally, waits=True)
        target, authority = origin_form(request.target)
        headers = list(request.headers)
        if authority is not None:  # it replaces Host (RFC 9112 §3.2.2)
            headers = [(b"host", authority), *(one for one in headers if one[0] != b"host")]
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii"),
                raw_path=target,
                state=self.connection_state,
            )
        )

    async def goodbye(self) -> None:
        """HTTP/1.1 has no word for it: the connection just ends."""

    async def begin_drain(self) -> None:
        """Nothing to say before the next response."""

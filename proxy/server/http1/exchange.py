"""One request and its response, as ASGI speaks of them (HTTP specification 2.4).

The head waits for the first piece of the body: both leave in one write, and a body that is whole
by then gets a Content-Length. A response that can't be completed is always seen to be broken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from proxy.errors import HeadgateError
from proxy.server.files import FileToSend
from proxy.server.http1.files import offer, send_file
from proxy.server.http1.heads import (
    BROKEN,
    COPIED,
    LAST_CHUNK,
    UNAVAILABLE,
    Fields,
    bare_answer,
    date_line,
    status_line,
    write_fields,
)
from proxy.server.http1.line import Line, make_scope
from proxy.server.http1.parser import RequestHead

logger = logging.getLogger(__name__)

_DISCONNECT = {"type": "http.disconnect"}


class Exchange:
    """One request in the hands of the app. `run` is its task."""

    __slots__ = (
        "_begun",
        "_body_ended",
        "_bodyless",
        "_change",
        "_chunked",
        "_connection",
        "_ended",
        "_fields",
        "_given",
        "_gone",
        "_head",
        "_pieces",
        "_sent_head",
        "_status",
        "_taken",
        "_task",
        "_to_come",
        "_told",
        "unread",
        "until_close",
    )  # fmt: skip

    def __init__(self, connection: Line, head: RequestHead, *, body_ended: bool) -> None:
        self._connection = connection
        self._head = head
        self._body_ended = body_ended
        self._told = False  # the app has been given the end of the body
        self._pieces: list[bytes] = []
        self.unread = 0
        self._change: asyncio.Event | None = None
        self._begun = self._gone = self._ended = False
        self._status = 0
        self._fields: Fields | None = None
        self._sent_head = self._bodyless = self._chunked = self.until_close = False
        self._to_come: int | None = None
        self._given = self._taken = 0
        self._task = asyncio.get_running_loop().create_task(self.run())

    @property
    def answered(self) -> bool:
        """Whether the head of the response has left."""
        return self._sent_head

    @property
    def complete(self) -> bool:
        """Whether all of the response was handed over."""
        return self._ended

    def cut(self) -> None:
        """Cancels the app."""
        self._task.cancel()
        if not self._begun:  # nor will it ever
            self._connection.exchange_over(complete=False)

    async def run(self) -> None:
        """The app's whole call, counted by how it ended."""
        self._begun = True
        connection, ending = self._connection, "cut"
        tally = connection.state.tally
        tally.running += 1
        try:
            scope = make_scope(self._head, connection.peer, self._taken_since)
            await connection.state.app(scope, self.receive, self.send)
            ending = "finished" if self._ended else "failed"
        except Exception as error:
            ending = "failed"
            if not (self._gone or isinstance(error, HeadgateError)):  # the app has logged its own
                logger.exception("the app failed")
        finally:
            tally.running -= 1
            setattr(tally, ending, getattr(tally, ending) + 1)
            self._leave(UNAVAILABLE if ending == "cut" else BROKEN)
            connection.exchange_over(complete=self._ended)

    def _leave(self, status: int) -> None:
        """Ends what the app left open: with a bare answer if nothing was sent, else visibly."""
        if self._ended or self._gone:
            return
        if self._sent_head:
            self._connection.break_off(reset=self.until_close)
        else:
            self._connection.transport.write(bare_answer(status))
        self.disconnect()

    # --- the request ------------------------------------------------------------------------

    def take_body(self, body: bytes, *, ended: bool) -> None:
        """A piece of the request's body."""
        if body and not self._ended:
            self._pieces.append(body)
            self.unread += len(body)
        self._body_ended = ended
        self._wake()

    def disconnect(self) -> None:
        """The client is gone, or what it sends can't be read. Safe twice."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._change is not None:
            self._change.set()

    async def receive(self) -> MutableMapping[str, Any]:
        """ASGI's receive."""
        while not (self._gone or self._ended):
            if self._pieces or (self._body_ended and not self._told):
                return self._take()
            if not self._body_ended:
                self._connection.wants_body(waits=self._head.waits)
                self._head.waits = False
            if self._change is None:
                self._change = asyncio.Event()
            self._change.clear()
            await self._change.wait()
        return dict(_DISCONNECT)

    def _take(self) -> dict[str, Any]:
        body = b"".join(self._pieces)
        self._pieces.clear()
        self.unread = 0
        self._told = self._body_ended
        self._connection.took_body()
        return {"type": "http.request", "body": body, "more_body": not self._body_ended}

    # --- the response -----------------------------------------------------------------------

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's send: returns when the client can be given more.

        Raises `ConnectionResetError` once the client is gone, `ValueError` for a header that
        can't be sent, `RuntimeError` for a wrong sequence or a body that does not fit its
        Content-Length.
        """
        if self._ended:
            raise RuntimeError("the response has already ended")
        if self._gone:
            raise ConnectionResetError("the client is gone")
        kind = message["type"]
        if kind == "http.response.body" and self._fields is not None:
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and self._fields is None:
            self._begin(int(message["status"]), message.get("headers", ()))
        elif kind in offer(self._connection.peer) and self._fields is not None:
            await self._send_file(message)
        else:
            raise RuntimeError(f"{kind} can't be sent now")

    def _taken_since(self) -> int:
        """How many bytes the client took since this was asked before."""
        before, self._taken = self._taken, self._given - self._connection.untaken()
        return max(0, self._taken - before)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        no_length = status < 200 or status == 204  # RFC 9110 §8.6
        self._fields = write_fields(headers, length_allowed=not no_length)
        status_line(status)  # raises for what is none
        self._status = status
        # RFC 9112 §6.3, 1
        self._bodyless = self._head.method == b"HEAD" or no_length or status == 304
        self._to_come = None if self._bodyless else self._fields.length

    def _frame(self, size: int, *, more: bool) -> tuple[bytes, bytes]:
        """What goes before and behind so many bytes; from now on they are taken as sent."""
        head = b"" if self._sent_head else self._make_head(size, more=more)
        self._count(size, more=more)
        self._sent_head = True
        last = b""
        if self._chunked:
            head += b"%x\r\n" % size if size else b""
            last = (b"\r\n" if size else b"") + (b"" if more else LAST_CHUNK)
        return head, last

    async def _send_file(self, message: MutableMapping[str, Any]) -> None:
        file = await FileToSend.of(message)
        try:
            if self._bodyless or not file.count:
                await self._send_body(b"", more=file.more)
                return
            await file.ready()
            head, last = self._frame(file.count, more=file.more)
            await send_file(self._connection, head, file)
        finally:
            file.close()
        if last:
            self._connection.transport.write(last)
        if not file.more:
            self._ended = True
            self._wake()

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        size = 0 if self._bodyless else len(body)
        head, last = self._frame(size, more=more)
        connection = self._connection
        self._given += size
        if size <= COPIED:
            connection.transport.write(b"".join((head, body if size else b"", last)))
        else:
            if head:
                connection.transport.write(head)
            await connection.write_large(body)
            if last and not self._gone:
                connection.transport.write(last)
        if not more:  # only now: who gives up before has sent a part
            self._ended = True
            self._wake()
        if connection.must_wait(size):
            await connection.wait()
        if self._gone and not self._ended:
            raise ConnectionResetError("the client is gone")

    def _count(self, size: int, *, more: bool) -> None:
        """Compares what is sent with what was promised; a wrong body breaks off."""
        if self._to_come is None:
            return
        self._to_come -= size
        why = ""
        if self._to_come < 0:
            why = "the body is longer than its Content-Length"
        elif self._to_come and not more:
            why = f"the body ended {self._to_come} bytes short"
        if why:
            if self._sent_head:
                self._connection.break_off(reset=False)
                self.disconnect()
            raise RuntimeError(why)

    def _make_head(self, size: int, *, more: bool) -> bytes:
        """The head, with the framing that suits the body (RFC 9112 §6.3)."""
        fields, framing = self._fields, b""
        assert fields is not None  # noqa: S101  # `send` has seen to it
        if not self._bodyless and fields.length is None:
            if not more:
                framing = b"content-length: %d\r\n" % size
            elif self._head.version == "1.1":
                self._chunked, framing = True, b"transfer-encoding: chunked\r\n"
            else:
                self.until_close = True
        connection = self._connection
        if fields.close or self.until_close or not connection.goes_on(self._head):
            connection.closes_after_this()
            framing += b"connection: close\r\n"
        elif self._head.version == "1.0":
            framing += b"connection: keep-alive\r\n"
        date = b"" if fields.dated else date_line()
        lines = (fields.lines, connection.also, date, framing)
        return b"".join((status_line(self._status), *lines, b"\r\n"))

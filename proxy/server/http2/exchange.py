"""One request and its response over HTTP/2 or HTTP/3, as ASGI speaks of them.

The head waits for the first piece of the body (ASGI says it must), so that a small answer leaves
as one piece. `send` returns when little is left that waits for the client: the app's buffer is
the only one. A response that can't be completed resets its stream, in the same turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.errors import HeadgateError
from proxy.server.files import FileToSend
from proxy.server.http2.faults import ErrorCode
from proxy.server.http2.fields import Head
from proxy.server.http2.owner import Owner
from proxy.server.http2.straight import Straight
from proxy.server.http2.streams import Stream
from proxy.server.zero_copy import LENT, OFFER_ELSEWHERE, TAKEN

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]

# The app may go on when less than this waits: two full frames, so that there is one to send
# while it fetches more.
LOW_WATER = 2 * 2**14
# What is read of a file at once if the client has room, and what if not, to go with the head.
_COPIED, _FIRST = 4 * 2**14, 2**14
_EXTENSIONS: dict[str, dict[str, Any]] = {"http.response.trailers": {}, **OFFER_ELSEWHERE}
_ASGI = {"version": "3.0", "spec_version": "2.4"}  # 2.4: send raises OSError once the client left


class _Phase(Enum):
    START = "waits for the head"
    BODY = "waits for the body"
    TRAILERS = "waits for the trailers"
    DONE = "has all of the response"


class Exchange:
    """A stream in the hands of the app.

    Attributes:
        started: whether the app has been called.
        gone: whether the stream ended before its response did.
    """

    __slots__ = (
        "_asked", "_block", "_body", "_body_ended", "_bodyless", "_given", "_head", "_owner",
        "_phase", "_receiving", "_sending", "_straight", "_stream", "_to_come", "_told",
        "_trailers_follow", "gone", "over", "started",
    )  # fmt: skip

    def __init__(self, owner: Owner, stream: Stream, head: Head) -> None:
        self._owner, self._stream, self._head = owner, stream, head
        self._body: list[bytes] = []
        self._body_ended = stream.request_ended
        self._told = self.over = self.gone = self.started = False
        self._receiving: asyncio.Future[None] | None = None
        self._sending: asyncio.Future[None] | None = None
        self._straight: Straight | None = None
        self._phase = _Phase.START
        self._block = b""
        self._to_come: int | None = None
        self._asked: tuple[int, int | None] = (0, None)
        self._given = 0
        self._bodyless = self._trailers_follow = False

    # --- what the connection tells ------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Bytes of the request's body."""
        self._body.append(data)
        _wake(self._receiving)

    def end_body(self) -> None:
        """The request is complete."""
        self._body_ended = True
        _wake(self._receiving)

    def moved(self) -> None:
        """Bytes of the response were written.

        Who waits for room to read more of a file is woken by `try_again` only: there is no more of
        it for bytes that have left.
        """
        if self._stream.unsent < LOW_WATER and self not in self._owner.waiting:
            _wake(self._sending)

    def end(self, *, told: bool = True) -> int:
        """The stream is over; returns how many bytes of its request were left unread.

        The app is not `told` where many end at once: then `tell` it.
        """
        self.over = True
        self.gone = not self._stream.response_ended
        unread = sum(map(len, self._body))
        self._body.clear()
        if told:
            self.tell()
        return unread

    def tell(self) -> None:
        """Has the app hear that the stream is over."""
        _wake(self._receiving)
        _wake(self._sending)

    # --- the app's side -------------------------------------------------------------------------

    async def run(self) -> None:
        """The app's whole call, counted by how it ended."""
        self.started = True
        tally, ending = self._owner.state.tally, "cut"
        tally.running += 1
        try:
            await self._owner.state.app(self._scope(), self.receive, self.send)
            ending = "finished" if self._phase is _Phase.DONE else "failed"
        except Exception as error:
            ending = "failed"
            if not (self.gone or isinstance(error, HeadgateError)):  # the app has logged its own
                logger.exception("the app failed")
        finally:
            if self.gone:
                ending = "failed"
            tally.running -= 1
            setattr(tally, ending, getattr(tally, ending) + 1)
            self._close(503 if ending == "cut" else 500)

    def _close(self, status: int) -> None:
        """Ends what the app left open: with that status if nothing was sent, else visibly."""
        if self.over:
            return
        connection = self._owner.connection
        if self._phase is _Phase.START:
            connection.sender.head(self._stream, self._owner.blocks.bare(status), end=True)
        else:
            connection.reset(self._stream, ErrorCode.INTERNAL_ERROR)
        self._owner.flush_soon()

    def _scope(self) -> dict[str, Any]:
        head, peer = self._head, self._owner.peer
        raw_path, _, query = head.target.partition(b"?")
        path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
        return {
            "type": "http",
            "http_version": self._owner.version,
            "asgi": _ASGI,
            "method": head.method.decode("ascii"),
            "scheme": peer.scheme,
            "path": path.decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": list(head.fields),
            "client": peer.client,
            "server": peer.server,
            "state": {},
            "extensions": {**_EXTENSIONS, TAKEN: {"since": self._taken_since}},
        }

    async def receive(self) -> Message:
        """ASGI's receive: the body as it comes, its window reopened, and the client's leaving."""
        if self._head.expects_continue and self._phase is _Phase.START and not self._body_ended:
            self._say_continue()
        while not (self._body or self.over or (self._body_ended and not self._told)):
            self._receiving = asyncio.get_running_loop().create_future()
            await self._receiving
        if self.over:
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self._told = self._body_ended
        if body:
            self._owner.connection.credit(self._stream, len(body))
            self._owner.flush_soon()
        return {"type": "http.request", "body": body, "more_body": not self._body_ended}

    def _say_continue(self) -> None:
        """RFC 9110 §10.1.1: the client waits until somebody wants its body."""
        self._head = self._head._replace(expects_continue=False)
        if not self._body and not self.over:
            self._owner.connection.sender.head(self._stream, self._owner.blocks.interim)
            self._owner.flush_soon()

    async def send(self, message: Message) -> None:
        """ASGI's send. Raises `ConnectionResetError` once the client is gone (ASGI HTTP 2.4),
        `ValueError` for a header that can't be sent, `RuntimeError` for a wrong sequence or a
        body that does not fit its Content-Length."""
        kind, phase = message["type"], self._phase
        if phase is _Phase.DONE:
            raise RuntimeError("the response has already ended")
        self._check_client()
        if kind == "http.response.body" and phase is _Phase.BODY:
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and phase is _Phase.START:
            self._take_head(message)
        elif kind == LENT and phase is _Phase.BODY:
            await self._send_file(message)
        elif kind == "http.response.trailers" and phase is _Phase.TRAILERS:
            await self._send_trailers(self._owner.blocks.trailers(message.get("headers", ())))
        else:
            raise RuntimeError(f"{kind} can't be sent now: the stream {phase.value}")

    def _taken_since(self) -> int:
        """How many bytes the client took since this was asked before.

        A stream that waits for the whole connection takes part in what all of them are taken, so
        that those that come after it by their priority are not given up meanwhile.
        """
        (own, beside), stream = self._asked, self._stream
        self._asked = self._given - stream.unsent, self._owner.taken_beside(stream)
        taken, now = self._asked[0] - own, self._asked[1]
        if beside is not None and now is not None:
            taken = part_of(now - beside, taken, self._owner.readers())
        return max(0, taken)

    def _check_client(self) -> None:
        if self.gone:
            raise ConnectionResetError("the client is gone")

    def _take_head(self, message: Message) -> None:
        status = int(message["status"])
        written = self._owner.blocks.head(status, message.get("headers", ()))
        self._bodyless = self._head.method == b"HEAD" or status in (204, 304)
        self._to_come = None if self._bodyless else written.length
        self._trailers_follow = bool(message.get("trailers", False))
        self._block = written.block + self._owner.also
        self._phase = _Phase.BODY

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        if self._bodyless:
            data = b""
        if self._to_come is not None:
            self._count(len(data), more=more)
        end = not more and not self._trailers_follow
        if not more:
            self._phase = _Phase.DONE if end else _Phase.TRAILERS
        sender = self._owner.connection.sender
        self._owner.flush_soon()
        if self._block:
            block, self._block = self._block, b""
            if end and self._bodyless:
                sender.head(self._stream, block, end=True)
                return
            if end and not self._owner.paused and sender.whole(self._stream, block, data):
                return
            sender.head(self._stream, block)
        self._given += len(data)
        sender.body(self._stream, data, end=end)
        await self._sent(end=end)

    async def _send_file(self, message: Message) -> None:
        """Reads a file as the client has room for it: one that does not read costs no buffer."""
        file = await FileToSend.of(message)
        try:
            left = 0 if self._bodyless else file.count
            if not left:
                await self._send_body(b"", more=file.more)
            while left:
                if not self._block:
                    left = await self._send_straight(file, left)
                room = self._room()
                if not (left and (room or self._block)):
                    continue
                data = await file.read(min(left, room or _FIRST), left)
                left -= len(data)
                await self._send_body(data, more=file.more or left > 0)
                file.passed(len(data))
                del data
        finally:
            file.close()

    async def _send_straight(self, file: FileToSend, left: int) -> int:
        """Waits for room, and sends what goes without taking turns, but never the end; returns how
        many bytes are left then."""
        fits = self._to_come is None or self._to_come >= left
        if not (file.more and fits):
            await self._wait_for_room(None)
            return left
        straight = Straight(self._owner, self._stream, file, left)
        try:
            await self._wait_for_room(straight)
            await straight.in_turns()
        finally:
            if self._to_come is not None:
                self._to_come -= left - straight.left
        self._check_client()
        return straight.left

    def _room(self) -> int:
        """How many bytes could be written at once, beyond those that wait already."""
        return min(self._owner.room_for(self._stream), _COPIED)

    async def _wait_for_room(self, straight: Straight | None) -> None:
        """Waits for windows and transport, or until all has gone straight meanwhile; raises
        `ConnectionResetError` if the client leaves."""
        while self.over or not self._room():
            if self.over:
                raise ConnectionResetError("the client is gone")
            if straight is not None and not straight.left:
                return
            self._sending = asyncio.get_running_loop().create_future()
            self._straight = straight
            self._owner.waiting.add(self)
            try:
                await self._sending
            finally:
                self._owner.waiting.discard(self)
                self._straight = None

    def has_room(self) -> bool:
        """Whether there is room, of who waits for it."""
        return not self.over and self._room() > 0

    def try_again(self) -> None:
        """The connection can write, or its windows grew: what goes straight goes at once, so that
        the app is woken for little else than its next stretch."""
        straight, waiting = self._straight, self._owner.waiting
        if straight is None:
            waits = not self._room()
        else:
            waiting.discard(self)
            waits = straight.go_on()
            waiting.add(self)
        if not waits:
            _wake(self._sending)

    def _count(self, size: int, *, more: bool) -> None:
        """Holds the body against its Content-Length."""
        self._to_come = (self._to_come or 0) - size
        if self._to_come < 0:
            self._fail("the body is longer than its Content-Length")
        if self._to_come and not more:
            self._fail(f"the body ended {self._to_come} bytes short")

    def _fail(self, why: str) -> None:
        if not self.over:
            self._owner.connection.reset(self._stream, ErrorCode.INTERNAL_ERROR)
            self._owner.flush_soon()
        raise RuntimeError(why)

    async def _send_trailers(self, trailers: bytes) -> None:
        """The fields behind the body, which end the response; all in one message."""
        self._phase = _Phase.DONE
        self._owner.flush_soon()
        self._owner.connection.sender.body(self._stream, b"", end=True, trailers=trailers)
        await self._sent(end=True)

    async def _sent(self, *, end: bool) -> None:
        """Waits until the client has taken most of what it was given, at the end all of it."""
        stream = self._stream
        while not self.over and (end or stream.unsent >= LOW_WATER):
            self._sending = asyncio.get_running_loop().create_future()
            await self._sending
        self._check_client()


def part_of(taken: int, own: int, readers: int) -> int:
    """A stream's part in what a client took of all streams, of which so many wait: what of its own
    was written meanwhile, unless that is more, since the kernel may hold what nobody took."""
    return max(min(own, taken), taken // readers)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)

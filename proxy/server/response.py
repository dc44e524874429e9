"""Sends a plan: a loop with two cases, literal bytes and spans.

The first buffer is read before the status is sent, so that an origin that fails at once is told
with the right status. After that a fault can only break the body off: it is raised to the server,
which must end the connection or the stream visibly short of its Content-Length.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from time import monotonic

from starlette.types import Receive, Send

from proxy.errors import ClientGone, OriginBroke
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import OpenObject
from proxy.origins.lending import Piece, Stretch
from proxy.semantics.fields import Field
from proxy.semantics.plan import Part, Plan
from proxy.semantics.representation import Span
from proxy.server.begun import Begun
from proxy.server.disconnect import UntilDisconnect
from proxy.server.patience import Patience, Progress
from proxy.server.zero_copy import BYTES_OF_PROGRESS, FEWEST_LENT, message_of, pieces_of

# A reader as fast as we are never makes send() wait: after this much the others get their turn.
BYTES_PER_TURN = 1024 * 1024


Extra = tuple[Field, ...] | Callable[[], tuple[Field, ...]]


async def send_plan(
    plan: Plan,
    opened: OpenObject | None,
    extra: Extra,
    channel: tuple[Receive, Send],
    progress: Progress,
    stall_timeout: float,
    *,
    kept: list[bytes] | None = None,
    lends: bool = False,
) -> None:
    """Sends the whole plan, or raises `ClientGone` or an `OriginFault`; `progress` says how far.

    Args:
        plan: what to send.
        opened: what its spans are read from; not closed here.
        extra: fields put before the plan's own; a function is asked for them when the head is
            sent, after what was read for it.
        channel: ASGI's receive and send.
        progress: filled in as it goes.
        stall_timeout: seconds in which a client must take 64 KiB, or it is given up.
        kept: gets every buffer of a body that is read, unless it is None. What is kept must not be
            lent.
        lends: whether files may be lent to the server (`proxy.server.zero_copy`).
    """
    receive, send = channel
    sender = _Sender(plan, extra, send, progress, stall_timeout)
    if not plan.parts or (len(plan.parts) == 1 and isinstance(plan.parts[0], bytes)):
        await sender.body(b"".join(part for part in plan.parts if isinstance(part, bytes)))
        return
    body = _small_body(plan.parts, opened)
    if body is not None:
        await sender.body(body, kept)
        return
    pieces = _pieces(plan.parts, opened, lends=lends)
    async with aclosing(pieces):
        try:
            first = Begun(anext(pieces))
        except StopAsyncIteration:
            raise OriginBroke(f"no byte of a body of {plan.length} came") from None
        if first.done and sender.is_last(first.result):
            await sender.body(first.result, kept)
            async for piece in pieces:  # there is none, but who reads does not know it yet
                await sender.body(piece, kept)
        else:
            async with UntilDisconnect(receive) as watch:
                await sender.all(first, pieces, watch, kept)
    if not progress.complete:
        raise OriginBroke(f"the body ended {plan.length - progress.sent} bytes early")


class _Sender:
    """Turns pieces into ASGI messages and counts them against what was promised."""

    __slots__ = (
        "_extra", "_left", "_patience", "_plan", "_progress", "_send", "_taken", "_turn",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        extra: Extra,
        send: Send,
        progress: Progress,
        stall_timeout: float,
    ) -> None:
        self._plan, self._extra, self._send = plan, extra, send
        self._progress, self._patience = progress, Patience(progress, stall_timeout)
        self._left = plan.length
        self._turn = self._taken = 0

    def is_last(self, piece: Piece) -> bool:
        """Whether nothing is left to send after this piece."""
        return self._left <= len(piece)

    async def all(
        self,
        first: Begun[Piece],
        others: AsyncIterator[Piece],
        watch: UntilDisconnect,
        kept: list[bytes] | None,
    ) -> None:
        """Sends what comes, and ends the watch before the last of it."""
        try:
            piece = first.result if first.done else await first
            while True:
                if self.is_last(piece):
                    watch.end()
                await self.body(piece, kept)
                piece = await anext(others)
        except StopAsyncIteration:
            pass

    async def body(self, piece: Piece, kept: list[bytes] | None = None) -> None:
        """Sends one piece, after the head if it is the first; the last one ends the message.

        What was sent is put into `kept`.
        """
        size = len(piece)
        self._left -= size
        if self._left < 0:
            raise OriginBroke(f"the body is {-self._left} bytes longer than promised")
        progress = self._progress
        progress.waiting_since = monotonic()
        seconds = self._patience.seconds_for(piece)
        try:
            sending = Begun(self._say(piece))
            if not sending.done:
                await self._patience.wait(sending, seconds)
        except TimeoutError:
            raise ClientGone(f"read too slowly for {seconds:g} s") from None
        except OSError as error:
            raise ClientGone(f"the connection broke: {error}") from None
        finally:
            if isinstance(piece, Stretch):
                piece.taken = self._taken
        progress.waiting_since = 0.0
        progress.sent += size - self._taken
        self._taken = 0
        progress.complete = self._left == 0
        if not isinstance(piece, Stretch):  # of what is lent, the server sees to it
            if kept is not None:
                kept.append(piece)
            self._turn += size
            if self._turn >= BYTES_PER_TURN and self._left:
                self._turn = 0
                await asyncio.sleep(0)

    def _note_taken(self, count: int) -> None:
        """Some of a stretch was taken."""
        self._taken += count
        self._progress.sent += count
        self._patience.note(count or BYTES_OF_PROGRESS)

    async def _say(self, piece: Piece) -> None:
        progress, send = self._progress, self._send
        if not progress.started:
            progress.started, progress.status = True, self._plan.status
            progress.first_byte = monotonic()
            extra = self._extra() if callable(self._extra) else self._extra
            fields = [*extra, *self._plan.fields]
            await send(
                {"type": "http.response.start", "status": progress.status, "headers": fields}
            )
        await send(message_of(piece, self._note_taken, more=self._left > 0))


def _small_body(parts: tuple[Part, ...], opened: OpenObject | None) -> bytes | None:
    """A body that is one span, small, and at hand."""
    if len(parts) != 1 or not isinstance(parts[0], Span) or parts[0].length >= FEWEST_LENT:
        return None
    return bytes_at_hand(opened, parts[0])


def _pieces(
    parts: tuple[Part, ...], opened: OpenObject | None, *, lends: bool
) -> AsyncGenerator[Piece, None]:
    if opened is None:
        raise OriginBroke("a plan with spans and no object to read them from")
    if len(parts) == 1 and isinstance(parts[0], Span):
        return pieces_of(opened, parts[0], lends=lends)
    return _mixed(parts, opened)


async def _mixed(parts: tuple[Part, ...], opened: OpenObject) -> AsyncGenerator[Piece, None]:
    for part in parts:
        if isinstance(part, Span):
            async with aclosing(opened.read(part)) as buffers:
                async for buffer in buffers:
                    yield buffer
        else:
            yield part

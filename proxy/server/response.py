"""Sends a plan: a loop with two cases, literal bytes and spans.

The first buffer is read before the status is sent, so that an origin that fails at once is told
with the right status. After that a fault can only break the body off: it is raised to the server,
which must end the connection or the stream visibly short of its Content-Length.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

from starlette.types import Receive, Send

from proxy.errors import ClientGone, OriginBroke
from proxy.origins.base import OpenObject
from proxy.semantics.fields import Field
from proxy.semantics.plan import Part, Plan
from proxy.semantics.representation import Span
from proxy.server.begun import Begun
from proxy.server.disconnect import UntilDisconnect

# The stall timeout is for this much: a slow reader is not a stalled one, and a large buffer may
# take it several of them. With the default of 60 s the floor is 1.1 kB/s.
BYTES_PER_STALL = 64 * 1024

# A reader as fast as we are never makes send() wait: after this much the others get their turn.
BYTES_PER_TURN = 1024 * 1024


@dataclass(slots=True)
class Progress:
    """How far a response has come.

    `first_byte` is by `time.monotonic`, in seconds, or 0; so is `waiting_since`: when the client
    was offered bytes that it has not taken yet.
    """

    status: int = 0
    started: bool = False
    sent: int = 0
    complete: bool = False
    first_byte: float = 0.0
    waiting_since: float = 0.0


async def send_plan(
    plan: Plan,
    opened: OpenObject | None,
    extra: tuple[Field, ...],
    channel: tuple[Receive, Send],
    progress: Progress,
    stall_timeout: float,
    kept: list[bytes] | None = None,
) -> None:
    """Sends the whole plan, or raises `ClientGone` or an `OriginFault`; `progress` says how far.

    Args:
        plan: what to send.
        opened: what its spans are read from; not closed here.
        extra: fields put before the plan's own.
        channel: ASGI's receive and send.
        progress: filled in as it goes.
        stall_timeout: seconds in which a client must take 64 KiB, or it is given up.
        kept: gets every buffer of a body that is read, unless it is None.
    """
    receive, send = channel
    sender = _Sender(plan, extra, send, progress, stall_timeout)
    if not plan.parts or (len(plan.parts) == 1 and isinstance(plan.parts[0], bytes)):
        await sender.body(b"".join(part for part in plan.parts if isinstance(part, bytes)))
        return
    async with aclosing(_buffers(plan.parts, opened)) as buffers:
        try:
            first = Begun(anext(buffers))
        except StopAsyncIteration:
            raise OriginBroke(f"no byte of a body of {plan.length} came") from None
        if first.done and sender.is_last(first.result):
            await sender.body(first.result, kept)
            async for buffer in buffers:  # there is none, but who reads does not know it yet
                await sender.body(buffer, kept)
        else:
            async with UntilDisconnect(receive) as watch:
                await sender.all(first, buffers, watch, kept)
    if not progress.complete:
        raise OriginBroke(f"the body ended {plan.length - progress.sent} bytes early")


class _Sender:
    """Turns buffers into ASGI messages and counts them against what was promised."""

    __slots__ = ("_extra", "_left", "_plan", "_progress", "_send", "_stall_timeout", "_turn")

    def __init__(
        self,
        plan: Plan,
        extra: tuple[Field, ...],
        send: Send,
        progress: Progress,
        stall_timeout: float,
    ) -> None:
        self._plan, self._extra, self._send = plan, extra, send
        self._progress, self._stall_timeout = progress, stall_timeout
        self._left = plan.length
        self._turn = 0

    def is_last(self, buffer: bytes) -> bool:
        """Whether nothing is left to send after this buffer."""
        return self._left <= len(buffer)

    async def all(
        self,
        first: Begun[bytes],
        others: AsyncIterator[bytes],
        watch: UntilDisconnect,
        kept: list[bytes] | None,
    ) -> None:
        """Sends what comes, and ends the watch before the last of it."""
        try:
            buffer = first.result if first.done else await first
            while True:
                if self.is_last(buffer):
                    watch.end()
                await self.body(buffer, kept)
                buffer = await anext(others)
        except StopAsyncIteration:
            pass

    async def body(self, buffer: bytes, kept: list[bytes] | None = None) -> None:
        """Sends one buffer, after the head if it is the first; the last one ends the message.

        What was sent is put into `kept`.
        """
        self._left -= len(buffer)
        if self._left < 0:
            raise OriginBroke(f"the body is {-self._left} bytes longer than promised")
        progress = self._progress
        progress.waiting_since = monotonic()
        try:
            sending = Begun(self._say(buffer))
            if not sending.done:
                async with asyncio.timeout(self._patience(len(buffer))):
                    await sending
        except TimeoutError:
            raise ClientGone(f"read too slowly for {self._patience(len(buffer)):g} s") from None
        except OSError as error:
            raise ClientGone(f"the connection broke: {error}") from None
        progress.waiting_since = 0.0
        progress.sent += len(buffer)
        progress.complete = self._left == 0
        if kept is not None:
            kept.append(buffer)
        self._turn += len(buffer)
        if self._turn >= BYTES_PER_TURN and self._left:
            self._turn = 0
            await asyncio.sleep(0)

    def _patience(self, length: int) -> float:
        return self._stall_timeout * max(1.0, length / BYTES_PER_STALL)

    async def _say(self, buffer: bytes) -> None:
        progress, send = self._progress, self._send
        if not progress.started:
            progress.started, progress.status = True, self._plan.status
            progress.first_byte = monotonic()
            fields = [*self._extra, *self._plan.fields]
            await send(
                {"type": "http.response.start", "status": progress.status, "headers": fields}
            )
        await send({"type": "http.response.body", "body": buffer, "more_body": self._left > 0})


def _buffers(parts: tuple[Part, ...], opened: OpenObject | None) -> AsyncGenerator[bytes, None]:
    if opened is None:
        raise OriginBroke("a plan with spans and no object to read them from")
    if len(parts) == 1 and isinstance(parts[0], Span):
        return opened.read(parts[0])
    return _mixed(parts, opened)


async def _mixed(parts: tuple[Part, ...], opened: OpenObject) -> AsyncGenerator[bytes, None]:
    for part in parts:
        if isinstance(part, Span):
            async with aclosing(opened.read(part)) as buffers:
                async for buffer in buffers:
                    yield buffer
        else:
            yield part

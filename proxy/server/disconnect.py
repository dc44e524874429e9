"""Noticing at once that a client has left (ASGI 3, `http.disconnect`)."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

from proxy.errors import ClientGone


class UntilDisconnect:
    """Cancels the block inside when the client leaves, and turns that into `ClientGone`.

    Whatever the block waits for (the origin, a slow client's window) is given up in the same
    turn of the event loop, so that nothing is read for somebody who is no longer there. Request
    bodies are read and thrown away meanwhile: no method that is served has one.
    """

    __slots__ = ("_gone", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._watcher = asyncio.create_task(self._watch())
        return self

    def end(self) -> None:
        """Stops watching, before the last of a response is sent.

        From then on servers say "disconnect" because nothing more is to come (ASGI), and a client
        that has everything may leave at once. What is left to go wrong, `send` tells by itself.
        """
        if self._watcher is not None:
            self._watcher.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        if self._gone and self._task is not None:
            remaining = self._task.uncancel()
            if kind is asyncio.CancelledError and not remaining:
                raise ClientGone("the client closed the connection") from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()

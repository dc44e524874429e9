"""Responses as they end, as a stream of server-sent events: what `headgate trace` shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.admin.answers import FIELDS, BadParameter, only, problem
from proxy.observability import process_metrics
from proxy.observability.fleet import Fleet
from proxy.observability.live import make_filter

# Who looks at the same time, and what waits for each: bounds on memory, far above any use.
MOST_LOOKING = 8
QUEUE_LENGTH = 1000
# Seconds of silence after which a sign of life is sent; it shows a client that is gone, too.
_SIGN_OF_LIFE = 5.0

PARAMETERS = ("status", "path", "slower")


class Tracing:
    """The endpoint, and who looks."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._looking = 0

    async def trace(self, request: Request) -> Response:
        """Responses as they end, one event each: those with a status, below a path, slower than."""
        given = only(request, PARAMETERS)
        try:
            make_filter(**given)
        except ValueError as error:
            raise BadParameter(str(error)) from None
        if self._looking >= MOST_LOOKING:
            return problem(429, f"{MOST_LOOKING} look at it already.")
        if request.method == "HEAD":
            return Response(headers={**FIELDS, "content-type": "text/event-stream"})
        return EventStream(self._events(given))

    async def _events(self, given: Mapping[str, str]) -> AsyncGenerator[str, None]:
        waiting = _Waiting(self._fleet)
        self._looking += 1
        try:
            yield ": connected\n\n"
            with self._fleet.listen("trace", given, waiting.take):
                while True:
                    yield await waiting.next()
        finally:
            self._looking -= 1


class EventStream(Response):
    """A stream that ends as soon as its client leaves. (Starlette's own sees that only when it
    next has something to send, and leaves its generator to the garbage collector.)"""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(headers={**FIELDS, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the client leaves or the door is closed."""
        del scope
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        tasks = [asyncio.create_task(self._send(send)), asyncio.create_task(until_left(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            async for text in events:
                body = text.encode()
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})


async def until_left(receive: Receive) -> None:
    """Waits until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Waiting:
    """Lines on their way to one client."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_LENGTH)
        self._dropped = 0

    def take(self, event: dict[str, Any]) -> None:
        """Takes what a worker sent."""
        self._dropped += event["dropped"]
        for record in event["records"]:
            try:
                self._queue.put_nowait(record)
            except asyncio.QueueFull:
                self._dropped += 1
                self._fleet.count(process_metrics.TRACE_LINES_DROPPED, 1)

    async def next(self) -> str:
        """The next event, or a sign of life."""
        try:
            async with asyncio.timeout(_SIGN_OF_LIFE):
                record = await self._queue.get()
        except TimeoutError:
            return ": nothing yet\n\n"
        text = f"data: {json.dumps(record)}\n\n"
        if self._dropped:
            text += f'event: dropped\ndata: {{"lines": {self._dropped}}}\n\n'
            self._dropped = 0
        return text

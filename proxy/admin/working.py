"""Answers that take their time: as one JSON document at the end, or as a stream that tells how far
it is, where Accept asks for text/event-stream.

The work ends when its client leaves: nobody is left to say what came of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.admin.answers import as_json, problem
from proxy.admin.trace import EventStream, until_left

# Seconds of silence after which a sign of life is sent.
_SIGN_OF_LIFE: Final = 5.0

Tell = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some work: with a status that is no success, `detail` says why."""

    told: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    detail: str = ""

    def answer(self) -> Response:
        """As one document."""
        if self.status == HTTPStatus.OK:
            return as_json(dict(self.told))
        return problem(self.status, self.detail, self.told)


Work = Callable[[Tell], Awaitable[Outcome]]


def answer_with(request: Request, work: Work) -> Response:
    """Does the work while the answer is sent."""
    if "text/event-stream" in request.headers.get("accept", ""):
        return EventStream(_events(work))
    return _Document(work)


class _Document(Response):
    """What the work comes to."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Does the work, and sends what came of it unless the client leaves before that."""
        working = asyncio.ensure_future(self._work(lambda _: None))
        leaving = asyncio.create_task(until_left(receive))
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working.result().answer()(scope, receive, send)
        finally:
            await _end(working, leaving)


async def _events(work: Work) -> AsyncGenerator[str, None]:
    latest = _Latest()
    working = asyncio.ensure_future(work(latest.put))
    working.add_done_callback(lambda _: latest.changed.set())
    try:
        yield ": begun\n\n"
        while not working.done():
            yield await latest.next()
        outcome = working.result()
        last = {"status": outcome.status, "detail": outcome.detail, **outcome.told}
        yield f"event: done\ndata: {json.dumps(last)}\n\n"
    finally:
        await _end(working)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Latest:
    """How far it is; of two words that were not sent yet, the second."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._value: Any = None

    def put(self, value: Any) -> None:  # noqa: ANN401  # JSON
        self._value = value
        self.changed.set()

    async def next(self) -> str:
        """The next event, or a sign of life."""
        try:
            async with asyncio.timeout(_SIGN_OF_LIFE):
                await self.changed.wait()
        except TimeoutError:
            pass
        self.changed.clear()
        value, self._value = self._value, None
        if value is None:
            return ": nothing yet\n\n"
        return f"event: progress\ndata: {json.dumps(value)}\n\n"

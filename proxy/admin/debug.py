"""What the workers are doing: profiles, memory, tasks, stalls. Behind the guard of `/debug/`.

One measurement at a time in the whole program, and none longer than a minute, so that looking can't
become the load that is looked for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import FIELDS, BadParameter, as_json, one_of, only, problem, whole
from proxy.observability.fleet import Fleet, Reply
from proxy.observability.profiling import MOST_SECONDS

# Seconds a worker may take beyond the measurement itself: adding up a busy minute takes two.
_PATIENCE = 15.0
# Seconds for what only has to be looked up.
_LOOK_UP = 2.0

_FORMATS = {
    "html": "text/html; charset=utf-8",
    "speedscope": "application/json",
    "text": "text/plain; charset=utf-8",
}
# pyinstrument's page holds its script and style itself, and asks for fonts elsewhere: not here.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; frame-ancestors 'none'"
)
_WORKER = re.compile(r"worker-[0-9]{1,4}|[1-9][0-9]{0,6}")


class Busy(Exception):
    """Another measurement runs."""


class Debugging:
    """The endpoints below /debug/."""

    def __init__(self, fleet: Fleet, measuring: asyncio.Lock) -> None:
        self._fleet = fleet
        self._measuring = measuring

    async def profile(self, request: Request) -> Response:
        """Where the time of all workers, or of one, goes during some seconds."""
        given = only(request, ("seconds", "format", "worker"))
        seconds = whole(given, "seconds", 10, 1, MOST_SECONDS)
        form = one_of(given, "format", tuple(_FORMATS), "html")
        worker = _worker(given)
        async with self._alone():
            replies = await self._fleet.ask(
                "profile", {"seconds": seconds}, seconds + _PATIENCE, worker
            )
            sessions = [one.value for one in replies if not one.error]
            if not sessions:
                return _nothing(replies)
            text = await asyncio.to_thread(_rendered, sessions, form)
        fields = {**FIELDS, "content-type": _FORMATS[form]}
        if form == "html":
            fields["content-security-policy"] = _PAGE_POLICY
        return Response(text, headers=fields)

    async def memory(self, request: Request) -> Response:
        """What was allocated during some seconds and is still held, by place; objects by type."""
        given = only(request, ("seconds", "worker"))
        seconds = whole(given, "seconds", 5, 1, MOST_SECONDS)
        worker = _worker(given)
        async with self._alone():
            replies = await self._fleet.ask(
                "memory", {"seconds": seconds}, seconds + _PATIENCE, worker
            )
        return _by_worker(replies)

    async def tasks(self, request: Request) -> Response:
        """Each task of each worker and where it waits, those at the same place as one."""
        return await self._look_up(request, "tasks")

    async def stalls(self, request: Request) -> Response:
        """The last times an event loop was held, for how long, and by what."""
        return await self._look_up(request, "stalls")

    async def _look_up(self, request: Request, what: str) -> Response:
        given = only(request, ("worker",))
        return _by_worker(await self._fleet.ask(what, {}, _LOOK_UP, _worker(given)))

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._measuring.locked():
            raise Busy
        async with self._measuring:
            yield

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        """By path."""
        return {
            "/debug/profile": self.profile,
            "/debug/memory": self.memory,
            "/debug/tasks": self.tasks,
            "/debug/stalls": self.stalls,
        }


def _worker(given: Mapping[str, str]) -> str:
    worker = given.get("worker", "")
    if "worker" in given and _WORKER.fullmatch(worker) is None:
        raise BadParameter('worker: expected a name such as "worker-0", or a process id.')
    return worker


def _by_worker(replies: Sequence[Reply]) -> Response:
    if not any(not one.error for one in replies):
        return _nothing(replies)
    return as_json({"workers": [_told(one) for one in replies]})


def _told(reply: Reply) -> dict[str, Any]:
    said = {"error": reply.error} if reply.error else {"value": reply.value}
    return {"pid": reply.pid, "name": reply.name, **said}


def _nothing(replies: Sequence[Reply]) -> Response:
    if not replies:
        return problem(404, "There is no such worker.")
    why = "; ".join(f"{one.name} ({one.pid}): {one.error}" for one in replies)
    return problem(503, f"No worker answered: {why}.")


def _rendered(sessions: Sequence[dict[str, Any]], form: str) -> str:
    """In a thread: a page for several busy workers takes a second."""
    # Imported where it is used: hardly ever.
    from pyinstrument.renderers import (  # noqa: PLC0415
        ConsoleRenderer,
        HTMLRenderer,
        SpeedscopeRenderer,
    )
    from pyinstrument.session import Session  # noqa: PLC0415

    first, *others = [Session.from_json(one) for one in sessions]
    for other in others:
        first = Session.combine(first, other)
    if form == "html":
        return str(HTMLRenderer().render(first))
    if form == "speedscope":
        return str(SpeedscopeRenderer().render(first))
    return str(ConsoleRenderer(unicode=True, color=False).render(first))

"""The operator's door: how the server does, what it is doing, and what it keeps.

It runs in the supervisor, on an address of its own, and serves nothing of the public's. What it
tells of the workers it asks them, each with a time limit: one that hangs makes an answer shorter,
never late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy.admin import page
from proxy.admin.answers import FIELDS, BadParameter, as_json, only, problem
from proxy.admin.cache import CacheDoor
from proxy.admin.debug import Busy, Debugging
from proxy.admin.guard import Guard, has_token
from proxy.admin.openapi import DESCRIPTION
from proxy.admin.options import AdminOptions
from proxy.admin.status import Status
from proxy.admin.trace import Tracing
from proxy.observability.exposition import write
from proxy.observability.fleet import Fleet

Endpoint = Callable[[Request], Awaitable[Response]]


class Door:
    """The endpoints that tell of the whole."""

    def __init__(self, fleet: Fleet, options: AdminOptions) -> None:
        self._fleet = fleet
        self._options = options

    async def healthz(self, request: Request) -> Response:
        """200 as long as the process that answers lives."""
        only(request, ())
        return PlainTextResponse("ok\n", headers=dict(FIELDS))

    async def readyz(self, request: Request) -> Response:
        """200 when new requests are welcome; 503 while none can be served or the server drains.
        Who does not bring a token that is configured learns no more than that."""
        only(request, ())
        health = dict(self._fleet.health())
        if self._options.token is not None and not has_token(self._options, request.headers):
            health = {name: health[name] for name in ("ready", "draining")}
        return as_json(health, 200 if health["ready"] else 503)

    async def metrics(self, request: Request) -> Response:
        """All metrics, of all processes in one."""
        only(request, ())
        text, media_type = write(await self._fleet.metrics(), request.headers.get("accept", ""))
        return Response(text, headers={**FIELDS, "content-type": media_type})

    async def configuration(self, request: Request) -> Response:
        """The effective configuration as TOML, where each value came from, secrets masked."""
        only(request, ())
        return PlainTextResponse(self._options.configuration, headers=dict(FIELDS))

    def routes(self) -> dict[str, Endpoint]:
        """By path."""
        return {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/config": self.configuration,
        }


def make_admin(fleet: Fleet, options: object) -> ASGIApp:
    """The app of the operator's door. `options` are `AdminOptions`: the server passes them on
    without knowing them."""
    if not isinstance(options, AdminOptions):
        raise TypeError(f"the operator's door can't be made of {options!r}")
    cache = CacheDoor(fleet, options)
    routes = {
        **Door(fleet, options).routes(),
        **Status(fleet).routes(),
        **Debugging(fleet, asyncio.Lock()).routes(),
        **cache.looks(),
        "/trace": Tracing(fleet).trace,
        "/openapi.json": _description,
        "/": _page,
    }
    app = Starlette(
        routes=[
            *(Route(path, endpoint, methods=["GET"]) for path, endpoint in routes.items()),
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in cache.deeds().items()),
        ],
        exception_handlers={
            BadParameter: _bad_parameter,
            Busy: _busy,
            HTTPException: _http_exception,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, options)


async def _bad_parameter(_: Request, error: Exception) -> Response:
    return problem(400, str(error))


async def _busy(_: Request, __: Exception) -> Response:
    return problem(429, "Another measurement runs; there is one at a time.")


async def _description(request: Request) -> Response:
    """What can be asked here, in OpenAPI."""
    only(request, ())
    return as_json(DESCRIPTION)


async def _page(request: Request) -> Response:
    """The status page. It holds no numbers: it asks for them, with the token if there is one."""
    only(request, ())
    fields = {**FIELDS, "content-security-policy": page.POLICY}
    return HTMLResponse(page.PAGE, headers=fields)


async def _http_exception(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return problem(500, "Something went wrong.")
    fields, detail = error.headers or {}, error.detail
    if detail == HTTPStatus(error.status_code).phrase:  # the router's own
        detail = f"Only {fields['Allow']}." if "Allow" in fields else "There is nothing here."
    answer = problem(error.status_code, detail)
    answer.headers.update(fields)
    return answer

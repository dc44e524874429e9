"""The operator's door: whether the server lives, and whether it takes requests.

It runs in the supervisor, on an address of its own, and serves nothing of the public's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_NOT_STORED = {"cache-control": "no-store"}


def make_admin(health: Callable[[], Mapping[str, object]]) -> Starlette:
    """The app of the operator's door.

    `health` gives the present state as JSON in Python's types; of it this file knows "ready".

    - `/healthz`: 200 as long as the process that answers lives.
    - `/readyz`: the state; 200 when new requests are welcome, 503 while none can be served or
      the server drains.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_NOT_STORED)

    async def readyz(_: Request) -> Response:
        state = health()
        return JSONResponse(dict(state), 200 if state["ready"] else 503, headers=_NOT_STORED)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])

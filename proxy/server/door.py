"""The operator's door: one address, whose app can be exchanged while it is open."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.observability.fleet import Fleet
from proxy.server.crew import ServingPlan, name_of
from proxy.server.serving import Limits, Serving
from proxy.server.sockets import Listeners

# Seconds the door may take to answer what it was asked last.
_GRACE = 0.5

# Makes the app of the workers it may ask, and of the plan's `admin`.
MakeAdmin = Callable[[Fleet, object], ASGIApp]


class Door:
    """Open where the plan wants it: `open` for each plan, then `close`. Without `make` it never is.

    `fleet` is whom its app may ask.
    """

    def __init__(self, make: MakeAdmin | None, fleet: Fleet) -> None:
        self._make = make
        self._fleet = fleet
        self._open: _Open | None = None

    async def open(self, plan: ServingPlan, listeners: Listeners) -> None:
        """Opens where the plan says; a door that is there already gets its new app."""
        address, previous, make = plan.admin_bind, self._open, self._make
        if address is None or make is None:
            self._open = None
        elif previous is not None and previous.address == address:
            previous.app = make(self._fleet, plan.admin)
            return
        else:
            self._open = _Open(address, make(self._fleet, plan.admin))
            shared = listeners.share(name_of("admin", address), 0, 1)
            await self._open.serving.open([one.dup() for one in shared], None)
        if previous is not None:
            await previous.serving.drain(_GRACE)

    async def close(self) -> None:
        """Closes it, if it is open."""
        if self._open is not None:
            await self._open.serving.drain(_GRACE)


class _Open:
    """An app on an address; `app` can be exchanged."""

    def __init__(self, address: str, app: ASGIApp) -> None:
        self.address = address
        self.app = app
        self.serving = Serving(self, Limits())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

"""The operator's door: opened, given another app, moved, closed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from proxy.observability.fleet import Fleet
from proxy.observability.meters import Meters
from proxy.server.crew import ServingPlan, name_of
from proxy.server.door import Door
from proxy.server.fleet import WorkerFleet
from proxy.server.sockets import Listeners
from tests.server import talk

FLEET = WorkerFleet(list, lambda: False, Meters())


def make(fleet: Fleet, admin: object) -> ASGIApp:
    assert fleet is FLEET
    return PlainTextResponse(str(admin))


def listening(plan: ServingPlan) -> tuple[Listeners, int]:
    """Bound sockets for the plan, and the port of its door."""
    listeners = Listeners().succeed(plan.addresses, 1)
    assert plan.admin_bind is not None
    shown = listeners.shown(name_of("admin", plan.admin_bind))
    return listeners, int(shown.rpartition(":")[2])


async def test_it_takes_another_app_and_another_address() -> None:
    first = ServingPlan((), b"", admin_bind="127.0.0.1:0", admin="one")
    listeners, port = listening(first)
    door = Door(make, FLEET)
    await door.open(first, listeners)
    assert await talk.get(port, "/") == b"one"
    await door.open(replace(first, admin="two"), listeners)
    assert await talk.get(port, "/") == b"two"
    listeners.close_except(Listeners())

    other = replace(first, admin_bind="localhost:0", admin="three")
    listeners, moved = listening(other)
    await door.open(other, listeners)
    assert await talk.get(moved, "/") == b"three"
    with pytest.raises(ConnectionRefusedError):
        await talk.get(port, "/")
    listeners.close_except(Listeners())
    await door.close()
    with pytest.raises(ConnectionRefusedError):
        await talk.get(moved, "/")


async def test_it_is_not_opened_where_nobody_wants_it() -> None:
    plan = ServingPlan((), b"", admin_bind="127.0.0.1:0")
    listeners, port = listening(plan)
    for door, wanted in ((Door(None, FLEET), plan), (Door(make, FLEET), ServingPlan((), b""))):
        await door.open(wanted, listeners)
        await door.close()
    listeners.close_except(Listeners())
    with pytest.raises(ConnectionRefusedError):
        await talk.get(port, "/")

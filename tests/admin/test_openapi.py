"""The description and the door say the same."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from proxy.admin.app import make_admin
from proxy.admin.guard import OPEN, Guard
from proxy.admin.openapi import DESCRIPTION
from proxy.admin.options import AdminOptions
from tests.admin.fleet import StubFleet


def door(options: AdminOptions | None = None) -> Guard:
    app = make_admin(StubFleet(), options or AdminOptions(debug="on"))
    assert isinstance(app, Guard)
    return app


def test_each_route_is_described_and_each_description_a_route() -> None:
    app = door()._app
    assert isinstance(app, Starlette)
    routes = {route.path for route in app.routes if isinstance(route, Route)}
    assert routes == set(DESCRIPTION["paths"])
    methods = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert methods == {(path, how) for path, one in DESCRIPTION["paths"].items() for how in one}


def test_what_needs_no_token_is_the_same_in_both() -> None:
    described = {
        path
        for path, one in DESCRIPTION["paths"].items()
        if one.get("get", {}).get("security") == []
    }
    assert described == OPEN


LOOKS = sorted(path for path, one in DESCRIPTION["paths"].items() if "get" in one)


@pytest.mark.parametrize("path", LOOKS)
async def test_answers_are_as_described(path: str) -> None:
    if path == "/trace":
        return  # it does not end; test_trace reads it
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(door()), base_url="http://localhost"
    ) as client:
        answer = await client.get(path)
    responses = DESCRIPTION["paths"][path]["get"]["responses"]
    assert str(answer.status_code) in responses
    described = responses[str(answer.status_code)]
    if "$ref" in described:
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        assert answer.headers["content-type"].partition(";")[0] in described["content"]

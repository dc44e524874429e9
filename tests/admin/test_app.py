"""The operator's door by itself; the whole server's tests show it in its place."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from tests.admin.fleet import StubFleet

READY = {"ready": True, "draining": False, "workers": [{"pid": 1}], "origins": {"a": True}}


async def ask(
    path: str,
    health: dict[str, Any] | None = None,
    options: AdminOptions | None = None,
    method: str = "GET",
    **headers: str,
) -> httpx.Response:
    app = make_admin(StubFleet(health or READY), options or AdminOptions())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, headers=headers)


async def test_it_is_ready_when_the_server_is() -> None:
    answer = await ask("/readyz")
    assert (answer.status_code, answer.json()) == (200, READY)
    assert answer.headers["cache-control"] == "no-store"


async def test_it_is_not_ready_when_the_server_is_not() -> None:
    health = {"ready": False, "draining": True, "workers": []}
    assert (await ask("/readyz", health)).status_code == 503
    assert (await ask("/healthz", health)).status_code == 200


async def test_metrics_are_such_that_prometheus_reads_them() -> None:
    answer = await ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    [sample] = families["headgate_requests"].samples
    assert (sample.value, sample.labels["method"]) == (7.0, "GET")
    opened = await ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert opened.text.endswith("# EOF\n")


async def test_the_configuration_is_shown() -> None:
    answer = await ask("/config", options=AdminOptions(configuration="[server]\n"))
    assert answer.text == "[server]\n"


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "//metrics", "/debug", "/config/x"])
async def test_there_is_nothing_else(path: str) -> None:
    answer = await ask(f"http://localhost{path}", options=AdminOptions(debug="on"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_nothing_can_be_changed(method: str) -> None:
    answer = await ask("/metrics", method=method)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/metrics?x=1", "/healthz?a=1&a=2", "/config?pid"])
async def test_parameters_that_are_not_known_are_refused(path: str) -> None:
    answer = await ask(path)
    assert answer.status_code == 400
    assert answer.json()["title"] == "Bad Request"


async def test_without_the_token_readiness_tells_nothing_else() -> None:
    options = AdminOptions(token="t" * 20)
    assert (await ask("/readyz", options=options)).json() == {"ready": True, "draining": False}
    answer = await ask("/readyz", options=options, Authorization="Bearer " + "t" * 20)
    assert answer.json() == READY


def test_other_options_are_a_mistake() -> None:
    with pytest.raises(TypeError):
        make_admin(StubFleet(READY), None)

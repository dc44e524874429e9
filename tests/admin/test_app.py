"""The operator's door by itself; the whole server's tests show it in its place."""

from __future__ import annotations

import httpx

from proxy.admin.app import make_admin


async def ask(path: str, health: dict[str, object]) -> httpx.Response:
    transport = httpx.ASGITransport(make_admin(lambda: health))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        return await client.get(path)


async def test_it_is_ready_when_the_server_is() -> None:
    health: dict[str, object] = {"ready": True, "draining": False, "workers": [{"pid": 1}]}
    answer = await ask("/readyz", health)
    assert (answer.status_code, answer.json()) == (200, health)
    assert answer.headers["cache-control"] == "no-store"


async def test_it_is_not_ready_when_the_server_is_not() -> None:
    health: dict[str, object] = {"ready": False, "draining": True, "workers": []}
    assert (await ask("/readyz", health)).status_code == 503
    assert (await ask("/healthz", health)).status_code == 200


async def test_there_is_nothing_else() -> None:
    assert (await ask("/", {"ready": True})).status_code == 404

"""Settings to the plan of the processes, and a service that any ASGI server can run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from starlette.types import Message

from proxy import machine
from proxy.assembly import Service, plan_of
from proxy.config import Settings, load_from_supervisor
from proxy.errors import StartError
from tests.server.asgi import Client


def settings_of(root: Path, **tables: object) -> Settings:
    return Settings.model_validate(
        {"origins": {"files": {"type": "directory", "root": root}}, **tables}
    )


def test_the_plan_for_the_supervisor(tmp_path: Path) -> None:
    server = {"workers": "auto", "graceful_timeout": "7s", "keep_alive_timeout": "3s"}
    settings = settings_of(tmp_path, server=server, admin={"bind": ""})
    plan = plan_of(settings)
    assert plan.workers == machine.processors() == len(os.sched_getaffinity(0))
    assert (plan.graceful_timeout, plan.keep_alive_timeout) == (7.0, 3.0)
    assert plan.admin_bind is None
    assert plan.tls is None
    assert load_from_supervisor(plan.payload) == settings


async def test_a_start_that_fails_names_the_origin_and_leaves_nothing(tmp_path: Path) -> None:
    service = Service(settings_of(tmp_path / "none"))
    with pytest.raises(StartError, match=r"^origins\.files: "):
        await service.start()


async def test_any_asgi_server_can_run_it(tmp_path: Path) -> None:
    """By the lifespan protocol, which our own workers don't need."""
    (tmp_path / "a.txt").write_text("served")
    service = Service(settings_of(tmp_path))
    events: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}

    async def run() -> None:
        await service.app(scope, events.get, said.put)

    running = asyncio.create_task(run())
    await events.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    assert (await Client(service.app).get("/a.txt")).body == b"served"
    await events.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await running

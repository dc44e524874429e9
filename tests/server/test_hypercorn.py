"""The application under a stock Hypercorn: plain ASGI, with a lifespan, and the same bytes."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from proxy.assembly import Service
from proxy.config import Settings


async def test_any_server_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 4096)
    origins = {"files": {"type": "directory", "root": tmp_path}}
    service = Service(Settings.model_validate({"origins": origins}))
    config = Config()
    config.accesslog = config.errorlog = None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config.bind = [f"fd://{listener.fileno()}"]
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.bin"
        stop = asyncio.Event()
        app = cast("ASGIFramework", service.app)
        serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
        async with httpx.AsyncClient(trust_env=False) as client:
            whole = await client.get(url)
            part = await client.get(url, headers={"range": "bytes=1000-299999"})
        stop.set()
        await serving
        listener.detach()
    assert (whole.status_code, part.status_code) == (200, 206)
    assert part.headers["content-range"] == "bytes 1000-299999/1048576"
    assert part.content == whole.content[1000:300000]
    assert whole.content == (tmp_path / "a.bin").read_bytes()

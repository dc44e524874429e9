"""Drives an ASGI application in this process, for tests that need no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message


@dataclass
class Reply:
    """What the application sent."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False

    def __getitem__(self, name: str) -> str:
        found = self.all(name)
        assert found, f"no {name} in {self.headers}"
        return ", ".join(found)

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def all(self, name: str) -> list[str]:
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]


async def _take(_: Message) -> None:
    """A client that takes everything at once."""


class Client:
    """One client. Set `leave` to go; put a function in `on_send` to stall or break: it is called
    with every message before the message is taken."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.leave = asyncio.Event()
        self.reply = Reply()
        self.on_send: Callable[[Message], Awaitable[None]] = _take

    async def receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.on_send(message)
        if message["type"] == "http.response.start":
            assert self.reply.status == 0, "two heads"
            self.reply.status = message["status"]
            self.reply.headers = list(message["headers"])
        elif message["type"] == "http.response.body":
            assert not self.reply.complete, "a body after its end"
            self.reply.body += message.get("body", b"")
            self.reply.complete = not message.get("more_body", False)

    async def request(
        self, method: str, target: str, fields: Mapping[str, str] | None = None, **scope: object
    ) -> Reply:
        """One request. `target` is sent as it stands; whatever the application raises is raised."""
        self.reply = Reply()
        path, _, query = target.partition("?")
        await self.app(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "method": method,
                "scheme": "http",
                "path": path,
                "raw_path": path.encode("latin-1"),
                "query_string": query.encode("latin-1"),
                "root_path": "",
                "headers": [
                    (name.lower().encode(), value.encode("latin-1"))
                    for name, value in (fields or {}).items()
                ],
                "client": ("192.0.2.1", 1),
                "server": ("192.0.2.2", 80),
                **scope,
            },
            self.receive,
            self.send,
        )
        return self.reply

    async def get(self, target: str, **fields: str) -> Reply:
        """GET; field names are written with underscores."""
        return await self.request(
            "GET", target, {k.replace("_", "-"): v for k, v in fields.items()}
        )

    async def head(self, target: str, **fields: str) -> Reply:
        """HEAD, likewise."""
        return await self.request(
            "HEAD", target, {k.replace("_", "-"): v for k, v in fields.items()}
        )

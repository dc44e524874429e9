"""A whole small server for tests: `toy.py serve FILE` supervises workers that serve a toy app.

FILE is JSON: the fields of a ServingPlan, a "greeting" for the payload, and "tls" as three words.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.errors import ConfigurationError, HeadgateError, StartError
from proxy.observability.fleet import Arguments, Emit, Operation
from proxy.observability.meters import Values
from proxy.server.crew import ServingPlan
from proxy.server.supervisor import Started, supervise
from proxy.server.tls import TLSFiles
from proxy.server.worker import run_worker

CHUNK = 1 << 18


def slow_body(count: int) -> bytes:
    """What /slow sends: `count` pieces of 8 KiB, all different."""
    return b"".join(hashlib.sha256(b"%d" % one).digest() * 256 for one in range(count))


class ToyApp:
    """Serves by path; each path is a behaviour a test needs."""

    def __init__(self, payload: bytes) -> None:
        self.greeting = payload
        self.seen: list[str] = []
        self.running = 0

    @property
    def app(self) -> ToyApp:
        return self

    @property
    def hot(self) -> None:
        return None

    def watch(self, crowd: object) -> None:
        pass

    @property
    def operations(self) -> dict[str, Operation]:
        purging = {"cache-purge": self._purge, "cache-sweep": self._sweep}
        return {"metrics": self._metrics, **purging}

    async def _purge(self, arguments: Arguments, emit: Emit) -> dict[str, Any]:
        self.seen.append("purge")
        return {"objects": 0, "directory": "/toy", "settled": True}

    async def _sweep(self, arguments: Arguments, emit: Emit) -> dict[str, Any]:
        if self.greeting == b"sweeping":
            while self.seen.count("purge") < 2:  # until there is another purge
                await asyncio.sleep(0.02)
        return {"objects": 0, "slices": 0}

    async def _metrics(self, arguments: Arguments, emit: Emit) -> Values:
        if self.greeting == b"held":
            time.sleep(60)  # noqa: ASYNC251  # an event loop that is stuck
        return {"headgate_requests_total": [(["GET", "2xx", "1.1"], 1)]}

    async def start(self) -> None:
        if self.greeting == b"unstartable":
            raise StartError("The toy can't start.")
        if self.greeting == b"slow":
            await asyncio.sleep(2)
        if self.greeting == b"crash":
            os._exit(3)

    async def aclose(self) -> None:
        pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].strip("/").replace("-", "_")
        behaviour = getattr(self, f"do_{name}", self.do_other)
        self.running += 1
        try:
            await behaviour(scope, receive, send)
        finally:
            self.running -= 1

    async def _say(self, send: Send, text: bytes, status: int = 200) -> None:
        await _head(send, len(text), status)
        await send({"type": "http.response.body", "body": text})

    async def do_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 200 if scope["method"] in {"GET", "HEAD", "POST"} else 405
        await self._say(send, b"hello", status)

    async def do_greeting(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._say(send, self.greeting)

    async def do_pid(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._say(send, b"%d" % os.getpid())

    async def do_collector(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._say(send, json.dumps(gc.get_threshold()).encode())

    async def do_scope(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = {
            "method": scope["method"],
            "version": scope["http_version"],
            "spec": scope["asgi"]["spec_version"],
            "raw_path": scope["raw_path"].decode(),
            "scheme": scope["scheme"],
            "host": [value.decode() for name, value in scope["headers"] if name == b"host"],
        }
        await self._say(send, json.dumps(shown).encode())

    async def do_seen(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = len(asyncio.all_tasks())
        shown = {"seen": self.seen, "running": self.running, "tasks": tasks}
        await self._say(send, json.dumps(shown).encode())

    async def do_slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        count, pause = (int(one) for one in scope["query_string"].split(b","))
        body = slow_body(count)
        await _head(send, len(body))
        for at in range(0, len(body), 8192):
            await send(
                {"type": "http.response.body", "body": body[at : at + 8192], "more_body": True}
            )
            await asyncio.sleep(pause / 1000)
        await send({"type": "http.response.body"})

    async def do_zeros(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body from memory, that never waits by itself."""
        size = int(scope["query_string"])
        try:
            await _head(send, size)
            for _ in range(size // CHUNK):
                piece = b"0" * CHUNK  # a new one each time, so that what is kept is seen
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
            self.seen.append("zeros: sent")
        except OSError as error:
            self.seen.append(f"zeros: {type(error).__name__}")
            raise

    async def do_trickle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A large body in small pieces, each new."""
        size = int(scope["query_string"])
        await _head(send, size)
        for _ in range(size // 65536):
            body = bytes(bytearray(65536))
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    async def do_fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _head(send, 100_000)
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        raise HeadgateError("broke off")

    async def do_fail_chunked(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        raise HeadgateError("broke off")

    async def do_fail_early(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HeadgateError("at once")

    async def do_short(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _head(send, 100_000)
        await send({"type": "http.response.body", "body": b"x" * 1000})

    async def do_long(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _head(send, 10)
        await send({"type": "http.response.body", "body": b"x" * 1000})

    async def do_trailers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As many zeros as asked for, then a field; with "!" behind the number, a bad one."""
        size = int(scope["query_string"].rstrip(b"!"))
        offered = "http.response.trailers" in scope["extensions"]
        headers = [(b"content-length", b"%d" % size), (b"offered", b"%d" % offered)]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await send({**start, "trailers": True})
        await send({"type": "http.response.body", "body": bytes(size)})
        value = b"a\r\nb" if scope["query_string"].endswith(b"!") else b"behind"
        if offered:
            await send({"type": "http.response.trailers", "headers": [(b"X-End", value)]})

    async def do_trailers_forgotten(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await send({**start, "trailers": True})
        await send({"type": "http.response.body", "body": b"abc"})

    async def do_inject(self, scope: Scope, receive: Receive, send: Send) -> None:
        value = b"a\r\nx-injected: 1"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", value)]})
        await send({"type": "http.response.body", "body": b"no"})

    async def do_unread(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers without a look at the body, but only after a while."""
        await asyncio.sleep(1)
        await self._say(send, b"unread")

    async def do_never(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deaf to a disconnect: answers when it is too late."""
        await asyncio.sleep(60)

    async def do_echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await self._say(send, b"%d %s" % (len(body), hashlib.sha256(body).hexdigest().encode()))


async def _head(send: Send, length: int, status: int = 200) -> None:
    headers = [(b"Content-Length", b"%d" % length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


def load(path: str) -> ServingPlan:
    try:
        fields: dict[str, Any] = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None
    payload = fields.pop("greeting", "hello").encode()
    tls = fields.pop("tls", None)
    files = TLSFiles((tls[0],), tls[1], tls[2]) if tls else None
    bind = tuple(fields.pop("bind", ["127.0.0.1:0"]))
    return ServingPlan(bind=bind, payload=payload, tls=files, admin=AdminOptions(), **fields)


def announce(started: Started) -> None:
    shown = {
        "clear": started.clear,
        "tls": started.tls,
        "admin": started.admin,
        "workers": started.workers,
    }
    print(json.dumps(shown), flush=True)  # the test reads it


def main(what: str, argument: str) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    if what == "worker":
        return run_worker(int(argument), ToyApp)
    command = [sys.executable, "-m", "tests.server.toy", "worker"]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(supervise(lambda: load(argument), command, announce, make_admin))
    except HeadgateError as error:
        print(error, file=sys.stderr)  # as the command line does
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

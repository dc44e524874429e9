"""The fault origin: a process that stands between a client and a real S3 server, and lies.

    python -m tests.faults.origin STORE_PORT

Prints its three ports as JSON: "port" for clients, "control", and "canary", where nobody should
ever ask. Bytes are passed on as they are, the Host with them, so that signatures stay valid.
Control calls are POSTs of JSON:

    /plan {"path": "/media/a", "acts": [...], "rest": {...}}  what to do with the next requests
    /take {"path": "/media/a"}     gives what was counted there, and forgets plan and counts
    /counts {}                     gives what was counted everywhere, and forgets nothing
    /pace {"delay": 0.03, "rate": 40e6}  slows every answer: seconds to its first byte at the
                                   least, and bytes per second on each connection at the most
    /canary {}                     gives how many asked the canary
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.acts import (
    PLAIN,
    Act,
    Head,
    act_of,
    bytes_to_send,
    for_the_store,
    head_of,
    spoiled_head,
    spoiled_piece,
    target_of,
)
from tests.faults.counts import Counts
from tests.faults.relay import PIECE, Answer, Pace, Pacer, asked, sending

# Nobody waits longer for a stalled body or reads more of an endless head; tests end by themselves.
LONGEST_STALL = 60.0
LONGEST_HEAD = 64 * 1024 * 1024
_SLOW_STEPS = 20
# Of each client's connection, so that no more was counted than the client could have taken and
# this; the kernel would take megabytes at once.
_SEND_BUFFER = 256 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Reset(Exception):
    """The client's connection is to be reset now."""


@dataclass
class Plan:
    """The acts for the next requests of a path, and the one for all that follow."""

    acts: list[Act]
    rest: Act = PLAIN

    def next(self) -> Act:
        return self.acts.pop(0) if self.acts else self.rest


class FaultOrigin:
    """All that is planned and counted."""

    def __init__(self, store: int) -> None:
        self._store = store
        self._plans: dict[str, Plan] = {}
        self._counts: dict[str, Counts] = {}
        self._pace = Pace()
        self._canary = 0

    # --- control --------------------------------------------------------------------------------

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers control calls of one connection."""
        while request := await _read_head(reader):
            length = head_of(b"HTTP/1.1 200 x\r\n" + request.split(b"\r\n", 1)[1]).length or 0
            body = json.loads(await reader.readexactly(length) or b"{}")
            answer = json.dumps(self._command(target_of(request)[1], body)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            await writer.drain()

    def _command(self, name: str, body: dict[str, Any]) -> object:
        if name == "/plan":
            acts, rest = [act_of(one) for one in body["acts"]], body.get("rest")
            self._plans[body["path"]] = Plan(acts, act_of(rest) if rest else PLAIN)
            return {}
        if name == "/take":
            self._plans.pop(body["path"], None)
            return asdict(self._counts.pop(body["path"], Counts()))
        if name == "/counts":
            return self._all_counts()
        if name == "/pace":
            self._pace = Pace(**body)
            return {}
        return {"requests": self._canary}

    def _all_counts(self) -> dict[str, Any]:
        total = Counts()
        for counts in self._counts.values():
            total.add(counts)
        paths = {path: asdict(counts) for path, counts in self._counts.items()}
        return {"total": asdict(total), "paths": paths}

    async def canary(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Counts whoever comes."""
        self._canary += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary")

    # --- clients --------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes the requests of one connection on, each spoiled as planned."""
        while request := await _read_head(reader):
            method, path = target_of(request)
            # A question about the parts is not the download that the acts are meant for.
            plan = None if b"partNumber=" in request.split(b"\r\n", 1)[0] else self._plans.get(path)
            counts = self._counts.setdefault(path, Counts())
            fields = head_of(b"HTTP/1.1 200 x\r\n" + request.split(b"\r\n", 1)[1])
            counts.asked(method, fields.get("range") or "")
            act = plan.next() if plan else PLAIN
            if not await self._act(act, request, (reader, writer), counts):
                return

    async def _act(self, act: Act, request: bytes, client: Stream, counts: Counts) -> bool:
        """Answers one request; whether the connection can take another."""
        reader, writer = client
        method, begins = target_of(request)[0], time.monotonic() + self._pace.delay
        if act.before:
            await self._change(act.before.encode("latin-1"))
        if act.head == "reset":
            raise Reset
        if act.head == "silent":
            return await _stall(reader)
        if act.head == "endless":
            return await _endless_head(writer)
        if act.canned:
            await _until(begins)
            writer.write(act.canned.as_bytes(body=method != "HEAD"))
            await writer.drain()
            return True
        raw = act.instead.encode("latin-1") or request
        async with asked(self._store, for_the_store(raw)) as answer:
            head = await answer.head()
            await _until(begins)
            writer.write(spoiled_head(head, act).as_bytes())
            if method == "HEAD":
                return act.end == ""
            async with sending(writer) as sock:
                sent = functools.partial(counts.sent, method)
                left = await self._send(act, head, answer, sock, sent)
        return await _end(act, head, reader, left)

    async def _send(
        self, act: Act, head: Head, answer: Answer, sock: socket.socket, sent: Callable[[int], None]
    ) -> int:
        """Sends the body as planned, at its pace; how much is left of it."""
        loop, buffer = asyncio.get_running_loop(), memoryview(bytearray(PIECE))
        left = total = bytes_to_send(head.length if head.length is not None else 2**62, act)
        step = max(1, min(PIECE, total // _SLOW_STEPS)) if act.slow else PIECE
        pacer = Pacer(self._pace.rate, time.monotonic())
        while left and (piece := await answer.read(buffer[: min(step, left)])):
            await loop.sock_sendall(sock, spoiled_piece(piece, total - left, act))
            left -= len(piece)
            sent(len(piece))
            await pacer.pause(len(piece))
            if act.slow:
                await asyncio.sleep(act.slow * len(piece) / total)
        return left

    async def _change(self, raw: bytes) -> None:
        async with asked(self._store, raw) as answer:
            status = (await answer.head()).status
            if status != 200:
                raise RuntimeError(f"the store answered a change with {status}")


async def _end(act: Act, head: Head, reader: asyncio.StreamReader, left: int) -> bool:
    """Ends an answer as planned; whether the connection can take another request."""
    if act.end == "reset":
        raise Reset
    if act.end == "stall":
        return await _stall(reader)
    whole = head.length is not None and not act.longer and not left
    return act.end == "" and whole and "content-length" not in {name.lower() for name in act.put}


async def _until(moment: float) -> None:
    if (wait := moment - time.monotonic()) > 0:
        await asyncio.sleep(wait)


async def _stall(reader: asyncio.StreamReader) -> bool:
    """Nothing more, until the client leaves."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(LONGEST_STALL):
            await reader.read()
    return False


async def _endless_head(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    sent = 0
    while sent < LONGEST_HEAD:
        fields = b"".join(b"X-Endless-%d: %s\r\n" % (sent + i, b"x" * 60) for i in range(50))
        writer.write(fields)
        sent += len(fields)
        await writer.drain()
        await asyncio.sleep(0.001)
    return False


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """The next request's head, b"" at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _careful(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Closes the connection whatever happens, by a reset if that is asked for."""

    running: set[object] = set()  # the event loop itself would let them be collected

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(task := asyncio.current_task())
        try:
            await serve(reader, writer)
        except Reset:
            await writer.drain()
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            running.discard(task)
            writer.close()

    return serve_and_close


async def main(store: int) -> None:
    """Serves until standard input ends: nobody is left who could use it."""
    origin = FaultOrigin(store)
    ports = {}
    for name, serve in (
        ("port", origin.serve),
        ("control", origin.control),
        ("canary", origin.canary),
    ):
        server = await asyncio.start_server(_careful(serve), "127.0.0.1", 0)
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        ports[name] = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

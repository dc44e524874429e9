"""Mutated requests at a real worker, for as long as one likes: no test, a program.

    .venv/bin/python -m tests.server.fuzz_http1 [--seconds N] [--seed N]

Each connection sends one or more requests that were cut, doubled, flipped or joined, in one or
several pieces, and reads until the server closes or falls silent. In the end the worker must
still be the one there was, answer, have no handler and no task left, no more descriptors than at
the beginning, and neither a traceback nor an error in its log but the toy app's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import descendants
from tests.server import rig, talk

SEEDS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /x?y=z HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET http://b/x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n"
    ),
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\nRange: bytes=0-\r\n\r\n",
    b"GET /slow?3,1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /zeros?10485760 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
)
BITS = (b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"+5", b"0x5", b"-1", b"\r\n\r\n",
        b"\xff", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
        b";" * 300,
        b"FFFFFFFFFFFFFFFFF", b"HTTP/1.1", b"0\r\n\r\n", b"a" * 20_000)  # fmt: skip


# One connection, with the chances it takes; returns what it got.
One = Callable[[int, random.Random], Awaitable[int]]


def mutated(choose: random.Random) -> bytes:
    """One stream of bytes for one connection."""
    data = bytearray(b"".join(choose.choices(SEEDS, k=choose.randint(1, 4))))
    for _ in range(choose.choice((0, 1, 1, 2, 3, 8))):
        at, to = sorted(choose.randint(0, len(data)) for _ in range(2))
        match choose.randrange(5):
            case 0:
                data[at:at] = choose.choice(BITS)
            case 1:
                del data[at : min(to, at + 20)]
            case 2 if data:
                data[at % len(data)] ^= 1 << choose.randrange(8)
            case 3:
                data[at:at] = data[at : min(to, at + 40)]
            case _:
                del data[to:]
    return bytes(data)


async def one(port: int, choose: random.Random) -> int:
    """One connection; returns how many responses it saw."""
    data = mutated(choose)
    try:
        async with talk.connected(port) as (reader, writer):
            pieces = choose.choice((1, 1, 2, 5))
            for number in range(pieces):
                writer.write(
                    data[number * len(data) // pieces : (number + 1) * len(data) // pieces]
                )
                await asyncio.sleep(0.001 if pieces > 1 else 0)
            if choose.random() < 0.3:
                writer.transport.abort()
                return 0
            async with asyncio.timeout(choose.choice((0.02, 0.2))):
                return (await reader.read(200_000)).count(b"HTTP/1.1 ")
    except (OSError, TimeoutError):
        return 0


def descriptors(pid: int) -> int:
    """How many the worker has open."""
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in descendants(pid)[1:])


# What mutated paths make the toy app raise by itself, or our `send` raise at it.
TOYS = ("ValueError", "RuntimeError: the body", "KeyError: 'body'")


def ours(log: str) -> list[str]:
    """The tracebacks and errors in a log that are not the toy app's own."""
    entries = re.split(r"^(?=[A-Z]+ )", log, flags=re.MULTILINE)
    bad = [one for one in entries if one.startswith(("ERROR", "CRITICAL")) or "Traceback" in one]
    return [one for one in bad if not ("toy.py" in one and _last(one).startswith(TOYS))]


def _last(entry: str) -> str:
    return entry.rstrip().rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class Left:
    """What a worker holds: handlers that run, tasks, descriptors; and who it is."""

    pid: int
    handlers: int
    tasks: int
    descriptors: int


async def left(toy: rig.Toy) -> Left:
    """What it holds now, with the one request that asks."""
    seen = json.loads(await talk.get(toy.port, "/seen"))
    held = descriptors(toy.process.pid)
    return Left(int(await talk.get(toy.port, "/pid")), seen["running"], seen["tasks"], held)


async def fuzz(one: One, seconds: float, seed: int, linger: float) -> None:
    """Runs `one` again and again, and raises if anything is left or broken.

    `linger` is the longest deadline (in seconds) of a connection that nobody uses any more.
    """
    choose = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        async with rig.running(Path(directory)) as toy:
            before, connections, got = await left(toy), 0, 0
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                got += sum(await asyncio.gather(*(one(toy.port, choose) for _ in range(16))))
                connections += 16
            await asyncio.sleep(linger)
            after, said = await left(toy), ours(toy.log)
            print(f"seed {seed}: {connections} connections, {got} answers or bytes")
            print(f"before {before}, after {after}, {len(said)} errors in the log")
            assert after.pid == before.pid, "the worker crashed"
            assert after.handlers == 1, "a handler is left"
            assert after.tasks <= before.tasks, "a task is left"
            assert after.descriptors <= before.descriptors + 2, "descriptors are left"
            assert not said, said[:3]


def run(one: One, description: str | None, linger: float) -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    asyncio.run(fuzz(one, arguments.seconds, arguments.seed, linger))


if __name__ == "__main__":
    run(one, __doc__, 35)

"""What the fuzzing programs share: connections that send odd bytes at a real worker, and a look at
what is left of it afterwards.
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
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import descendants
from tests.server import rig, talk

Mutated = Callable[[random.Random], bytes]
Read = Callable[[asyncio.StreamReader], AsyncIterator[int]]

_AT_ONCE = 16
# What mutated paths make the toy app raise by itself, or our `send` raise at it.
_TOYS = ("ValueError", "RuntimeError: the body", "KeyError: 'body'")


async def one(port: int, choose: random.Random, mutated: Mutated, read: Read) -> int:
    """One connection, in one or several pieces; the sum of what `read` counts of its answers."""
    sent, got = mutated(choose), 0
    try:
        async with talk.connected(port) as (reader, writer):
            pieces = choose.choice((1, 1, 2, 5))
            for number in range(pieces):
                start, end = (place * len(sent) // pieces for place in (number, number + 1))
                writer.write(sent[start:end])
                await asyncio.sleep(0.001 if pieces > 1 else 0)
            if choose.random() < 0.3:
                writer.transport.abort()
                return 0
            async with asyncio.timeout(choose.choice((0.02, 0.2))):
                async for count in read(reader):
                    got += count
    except (OSError, TimeoutError):
        pass
    return got


def descriptors(pid: int) -> int:
    """How many the worker has open."""
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in descendants(pid)[1:])


def ours(log: str) -> list[str]:
    """The tracebacks and errors in a log that are not the toy app's own."""
    entries = re.split(r"^(?=[A-Z]+ )", log, flags=re.MULTILINE)
    bad = [one for one in entries if one.startswith(("ERROR", "CRITICAL")) or "Traceback" in one]
    return [one for one in bad if not ("toy.py" in one and _last(one).startswith(_TOYS))]


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


async def fuzz(
    mutated: Mutated, read: Read, *, counted: str, linger: float, seconds: float, seed: int
) -> None:
    """Runs, and raises if anything is left or broken.

    `linger` is the longest deadline of a connection that lingers, in seconds.
    """
    choose = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        async with rig.running(Path(directory)) as toy:
            before, connections, got = await left(toy), 0, 0
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                many = (one(toy.port, choose, mutated, read) for _ in range(_AT_ONCE))
                got += sum(await asyncio.gather(*many))
                connections += _AT_ONCE
            await asyncio.sleep(linger)
            after, said = await left(toy), ours(toy.log)
            print(f"seed {seed}: {connections} connections, {got} {counted}")
            print(f"before {before}, after {after}, {len(said)} errors in the log")
            assert after.pid == before.pid, "the worker crashed"
            assert after.handlers == 1, "a handler is left"
            assert after.tasks <= before.tasks, "a task is left"
            assert after.descriptors <= before.descriptors + 2, "descriptors are left"
            assert not said, said[:3]


def main(
    document: str | None, mutated: Mutated, read: Read, *, counted: str, linger: float
) -> None:
    """Reads the arguments, and runs."""
    parser = argparse.ArgumentParser(description=document)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    asyncio.run(fuzz(mutated, read, counted=counted, linger=linger, **vars(arguments)))

"""Workers that are killed again and again while they fill and evict: what is served afterwards?

    .venv/bin/python -m tests.faults.kills --times 200 [--workers 2]

Readers ask for random ranges of more objects than the cache's directory may hold, so that it fills
and evicts all the time, and compare every body. A worker, drawn by chance, is killed with SIGKILL
at a random moment; its supervisor starts another over the same directory. Every tenth time all
processes are killed at once and started again. A body may be cut short by a kill, never wrong. At
the end no temporary file may be older than a minute, nor any file of the cache damaged.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from proxy.cache.disk.files import SHARDS, Files
from proxy.cache.upkeep.sweeping import Swept, scrub_shard
from tests.benchmarks.processes import descendants
from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.faults.servers import headgate
from tests.servers import S3Server, SeaweedFS

MIB = 1024 * 1024
OBJECTS, SIZE = 24, 3 * MIB + 4321
READERS = 6
# Seconds between two kills, at most; a worker takes about one to be there again.
PAUSE = 1.6
# Less than all objects together, so that it is full all the time.
TABLE = """
[cache]
directory = "{directory}"
size = "32MiB"
free = "0B"
memory = "8MiB"
slice = "1MiB"
"""


@dataclass
class Result:
    """What came of it: bodies by how they ended, kills, and what was left on disk."""

    ended: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    orphans: int = 0
    swept: Swept = field(default_factory=Swept)

    @property
    def is_right(self) -> bool:
        """Whether nothing wrong was served or left."""
        return not (self.ended["wrong"] or self.orphans or self.swept.damaged)


@cache
def body(number: int) -> bytes:
    """The bytes of an object."""
    return random.Random(number).randbytes(SIZE)


def key(number: int) -> str:
    """Its key."""
    return f"kills/{number}"


async def kill_and_read(faults: Faults, directory: Path, times: int, workers: int) -> Result:
    """Kills so many times while readers read; what came of it."""
    result, done = Result(), asyncio.Event()
    table, chance = TABLE.format(directory=directory), random.Random(times)
    program = _start(faults, table, workers)
    urls = [program.url]
    readers = [asyncio.create_task(_read(urls, done, result, n)) for n in range(READERS)]
    try:
        for number in range(times):
            await asyncio.sleep(chance.uniform(0.1, PAUSE))
            if number % 10 == 9:
                urls[0] = ""  # its port is anybody's until there is another
                for pid in descendants(program.pid):
                    os.kill(pid, signal.SIGKILL)
                await asyncio.to_thread(program.stop)
                program = await asyncio.to_thread(_start, faults, table, workers)
                urls[0] = program.url
            else:
                _kill_one(program, chance)
            result.kills += 1
        await asyncio.sleep(PAUSE)
    finally:
        done.set()
        await asyncio.gather(*readers)
        await asyncio.to_thread(_look_at, directory, result)
        await asyncio.to_thread(program.stop)
    return result


def _start(faults: Faults, table: str, workers: int) -> Headgate:
    return headgate(faults, more=table, workers=workers)


def _kill_one(program: Headgate, chance: random.Random) -> None:
    others = [pid for pid in descendants(program.pid) if pid != program.pid]
    if others:
        try:
            os.kill(chance.choice(others), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself just now


async def _read(urls: list[str], done: asyncio.Event, result: Result, seed: int) -> None:
    chance = random.Random(f"reader {seed}")
    async with httpx.AsyncClient(timeout=20) as client:
        while not done.is_set():
            number = min(int(chance.expovariate(0.15)), OBJECTS - 1)
            start = chance.randrange(SIZE)
            stop = SIZE if chance.random() < 0.3 else min(SIZE, start + chance.randrange(1, MIB))
            asked = {"range": f"bytes={start}-{stop - 1}"}
            if not urls[0]:
                await asyncio.sleep(0.02)
                continue
            try:
                answer = await client.get(f"{urls[0]}/{key(number)}", headers=asked)
            except httpx.HTTPError:
                result.ended["broken"] += 1
                await asyncio.sleep(0.02)
                continue
            if answer.status_code != 206:
                result.ended[f"refused {answer.status_code}"] += 1
            else:
                right = answer.content == body(number)[start:stop]
                result.ended["right" if right else "wrong"] += 1


def _look_at(directory: Path, result: Result) -> None:
    """What is left: the living janitor has a minute for what the killed left behind."""
    deadline = time.monotonic() + 75
    while time.monotonic() < deadline:
        now = time.time()
        ages = [now - one.stat().st_mtime for one in (directory / "tmp").iterdir()]
        result.orphans = sum(age > 60 for age in ages)
        if all(age < 20 for age in ages):
            break
        time.sleep(1)
    files = Files(str(directory))
    for shard in SHARDS:
        result.swept.more(scrub_shard(files, shard))


def main(argv: Sequence[str]) -> int:
    """Runs it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills")
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    with SeaweedFS() as store, Faults(store) as faults, TemporaryDirectory() as directory:
        put(store)
        root = Path(directory) / "cache"
        work = kill_and_read(faults, root, options.times, options.workers)
        result = asyncio.run(work)
    sys.stdout.write(f"{result}\n")
    return 0 if result.is_right else 1


def put(store: S3Server) -> None:
    """Stores the objects."""
    for number in range(OBJECTS):
        store.uploads.put(store.bucket, key(number), body(number), checksum="crc64nvme")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

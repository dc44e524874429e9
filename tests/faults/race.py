"""Readers against a writer that swaps an object's two versions: no body may be a mixture.

    python -m tests.faults.race --reads 10000

Wholes and ranges, over HTTP/1.1 and HTTP/2, some of them cut on the way, so that they are gone on
with while the object changes. Each body has to be of one version, or visibly broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence

from tests.faults.acts import Act
from tests.faults.control import Faults
from tests.faults.downloads import Client, Ended
from tests.faults.drawing import Asked
from tests.faults.objects import MIB, Thing
from tests.faults.servers import GENEROUS, headgate
from tests.servers import SeaweedFS

THING = Thing("race/a", 12345, 2 * MIB, "md5")
READERS = 8
# Seconds between two versions: less than a read of one takes.
PAUSE = 0.005
# One request of so many is cut somewhere.
CUT_ONE_OF = 3


async def write(faults: Faults, done: asyncio.Event) -> int:
    """Swaps the versions until it is told to stop; how often it did."""
    store, swaps = faults.store, 0
    versions = (bytes(THING.body), THING.other)
    while not done.is_set():
        swaps += 1
        await asyncio.to_thread(store.uploads.put, store.bucket, THING.key, versions[swaps % 2])
        await asyncio.sleep(PAUSE)
    return swaps


async def read(faults: Faults, url: str, reads: int, seed: int) -> list[Ended]:
    """All reads, by several readers at once."""
    numbers, found = iter(range(reads)), []

    async def reader() -> None:
        client = Client((url, url))
        try:
            for number in numbers:
                chance = random.Random(f"{seed}/{number}")
                if number % CUT_ONE_OF == 0:
                    faults.plan(THING.key, Act(end="cut", at=chance.randrange(MIB)))
                asked = _asked(chance)
                found.append(
                    await client.get(
                        "/" + THING.key, asked, protocol=chance.choice((1, 2)), slow=False
                    )
                )
        finally:
            await client.aclose()

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return found


def _asked(chance: random.Random) -> Asked:
    if chance.random() < 0.5:
        return Asked(THING, 0, THING.size)
    start = chance.randrange(THING.size - 1)
    stop = chance.randint(start + 1, THING.size)
    return Asked(THING, start, stop, f"bytes={start}-{stop - 1}")


async def race(faults: Faults, url: str, reads: int, seed: int) -> tuple[Counter[str], int]:
    """How the reads ended, and how often the object was swapped meanwhile."""
    store, done = faults.store, asyncio.Event()
    await asyncio.to_thread(store.uploads.put, store.bucket, THING.key, bytes(THING.body))
    writing = asyncio.create_task(write(faults, done))
    try:
        ended = await read(faults, url, reads, seed)
    finally:
        done.set()
        swaps = await writing
    return Counter(str(one.outcome) for one in ended), swaps


def main(argv: Sequence[str]) -> int:
    """Runs it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.race")
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with SeaweedFS() as store, Faults(store) as faults, headgate(faults, more=GENEROUS) as program:
        ended, swaps = asyncio.run(race(faults, program.url, options.reads, options.seed))
    sys.stdout.write(f"{options.reads} reads, {swaps} swaps meanwhile: {dict(ended)}\n")
    return 1 if ended["wrong"] or ended["late"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

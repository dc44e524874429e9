"""What the janitor costs the process it runs in: to count a directory, and to evict from it.

    .venv/bin/python -m tests.benchmarks.keeping [--slices N] [--directory PATH]

Slices are sparse files of 8 MiB, made in a directory that is removed afterwards. Beside the
janitor's thread an event loop ticks every millisecond; how late it was is what requests would feel.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import clock_gettime, monotonic, pthread_getcpuclockid, sleep

import uvloop

from proxy.cache.disk.hits import HitTable
from proxy.cache.upkeep.holdings import SHARDS
from proxy.cache.upkeep.janitor import Janitor, Limits

SLICE = 8 << 20
SLICES_OF_AN_OBJECT = 4
_TICK = 0.001
# Seconds of ticks without a janitor: what the machine itself is late by.
_IDLE = 3.0


def make(root: Path, slices: int) -> None:
    """A directory with so many slices, and a head for each few of them."""
    for shard in SHARDS:
        (root / shard).mkdir()
    (root / "tmp").mkdir()
    for number in range(slices):
        name = hashlib.sha256(b"%d" % (number // SLICES_OF_AN_OBJECT)).hexdigest()
        path = f"{root}/{name[:2]}/{name[:32]}"
        if number % SLICES_OF_AN_OBJECT == 0:
            Path(f"{path}.head").write_bytes(b"x" * 500)
        descriptor = os.open(f"{path}.{name[32:48]}.{number}", os.O_CREAT | os.O_WRONLY)
        os.ftruncate(descriptor, SLICE)
        os.close(descriptor)


def used_by(janitor: Janitor) -> float:
    """Seconds of the processor that its thread has taken."""
    thread = janitor._thread
    assert thread is not None
    assert thread.ident is not None
    return clock_gettime(pthread_getcpuclockid(thread.ident))


async def ticks_until(done: Callable[[], bool]) -> list[float]:
    """How late each tick of a millisecond was, in seconds, in order."""
    late: list[float] = []
    while not done():
        due = monotonic() + _TICK
        await asyncio.sleep(_TICK)
        late.append(monotonic() - due)
    return sorted(late)


def row(what: str, seconds: float, used: float, late: list[float]) -> str:
    """A row of the table."""
    told = [late[len(late) // 2], late[len(late) * 99 // 100], late[-1]]
    lateness = " | ".join(f"{one * 1e3:.2f} ms" for one in told)
    return f"| {what} | {seconds:.2f} | {used:.2f} | {lateness} |"


async def run(root: Path, slices: int) -> None:
    """Does nothing for a while, counts, then evicts a tenth."""
    print(f"| | seconds | of the processor | late: median | p99 | most |\n|{' --- |' * 6}")
    until = monotonic() + _IDLE
    print(row("nothing", _IDLE, 0.0, await ticks_until(lambda: monotonic() > until)))
    hits = HitTable.open(root / "hits")
    total = slices * SLICE + slices // SLICES_OF_AN_OBJECT * 500
    for what, most in (("count", total), ("count, and evict a tenth", total * 9 // 10)):
        janitor = Janitor(root, Limits(int(most / 0.99) + 1, 10 * slices, 0), hits)
        begun = monotonic()
        janitor.start()
        late = await ticks_until(partial(is_done, janitor, most))
        print(row(what, monotonic() - begun, used_by(janitor), late))
        janitor.stop()
    hits.close()


def is_done(janitor: Janitor, most: int) -> bool:
    """Whether all is counted and no more than `most` bytes are held."""
    known = janitor.statistics()
    return known.scanned and known.is_janitor and known.bytes <= most


def memory(root: Path, slices: int) -> float:
    """Bytes that the count of one slice takes, its share of the head and the names included."""
    hits = HitTable.open(root / "hits")
    tracemalloc.start()
    janitor = Janitor(root, Limits(1 << 60, 1 << 60, 0), hits)
    janitor.start()
    while not is_done(janitor, 1 << 60):
        sleep(0.01)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    janitor.stop()
    hits.close()
    return taken / slices


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=100_000)
    parser.add_argument("--directory", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        root = Path(directory)
        make(root, arguments.slices)
        print(f"{memory(root, arguments.slices):.0f} bytes for each slice")
        uvloop.run(run(root, arguments.slices))


if __name__ == "__main__":
    main()

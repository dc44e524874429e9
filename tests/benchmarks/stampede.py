"""A thousand clients and one slow reader on a cold object: what the store is asked for, and sends.

    .venv/bin/python -m tests.benchmarks.stampede [--clients 1000] [--size 1GiB] [--no-cache]

One Headgate on its processors; the store, what counts before it, and the clients on the rest. The
slow reader comes first, takes 10 KB/s for the whole run, and then leaves; the others join within
some seconds, and every body is checked. Nobody waited for the slow one when all others were done
while it still read. Ends with 1 unless every body was right; clients that are not done by the limit
are given up.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.config.units import parse_size
from tests.benchmarks.cached import GIB, MIB, Cache, counted_store, headgate, put
from tests.benchmarks.crowd import Crowd, Seen, run
from tests.benchmarks.processes import peak_memories, usage
from tests.faults.control import Faults
from tests.load import machine


@dataclass(frozen=True, slots=True)
class Stampede:
    """Who comes, and to what. `cache` None is Headgate without one; `limit` is in seconds."""

    key: str
    size: int
    clients: int
    cache: Cache | None
    workers: int = 1
    join: float = 5.0
    slow: int = 10_000
    limit: float = 900.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients saw, what the store was asked for, peak memory of each process, and the
    processor time of all in seconds."""

    seen: Seen
    size: int
    clients: int
    gets: int
    heads: int
    origin_bytes: int
    memory: list[int]
    cpu: float = 0.0

    @property
    def amplification(self) -> float:
        """Bytes that the store sent, by the object's size."""
        return self.origin_bytes / self.size

    @property
    def waited(self) -> str:
        """Whether somebody waited for the slow one, and what that is known by."""
        if not self.seen.slow_bytes:
            return "there was none, or it got nothing"
        if self.seen.slow_cut:
            return "it was cut"
        if self.seen.slow_bytes == self.size:
            return "it was done before the others"
        if self.seen.right < self.clients:
            return "not known, not all others were done while it read"
        return "nobody"

    @property
    def is_right(self) -> bool:
        """Whether everybody got the object, and the slow one its beginning."""
        return self.seen.right == self.clients and self.seen.slow_right and not self.seen.slow_cut


def stampede(faults: Faults, share: machine.Share, plan: Stampede) -> Outcome:
    """Plays one, on an object that the store has by then and that nobody has asked for."""
    with headgate(faults, share, plan.cache, plan.workers) as program:
        return meet(faults, share, plan, f"{program.url}/", program.pid)


def meet(faults: Faults, share: machine.Share, plan: Stampede, base: str, pid: int) -> Outcome:
    """The same with a server that runs already, whoever's it is; its objects are at `base`."""
    crowd = Crowd(
        url=base + plan.key,
        key=plan.key,
        size=plan.size,
        clients=plan.clients,
        join=plan.join,
        slow=plan.slow,
        limit=plan.limit,
        seed=plan.seed,
    )
    before = usage(pid).cpu
    seen = run(crowd, share.generator)
    cpu, memory = usage(pid).cpu - before, peak_memories(pid)
    asked = faults.take(plan.key)
    return Outcome(
        seen, plan.size, plan.clients, asked["gets"], asked["heads"], asked["bytes"], memory, cpu
    )


def report(outcome: Outcome) -> str:
    """Lines for people."""
    seen = outcome.seen
    memory = ", ".join(f"{one / MIB:.0f}" for one in outcome.memory)
    lines = [
        f"bodies: {seen.right} right, {seen.wrong} wrong, {seen.failed} failed,",
        f"    {seen.unfinished} given up, of {outcome.clients}",
        f"store: {outcome.gets} GETs, {outcome.heads} HEADs",
        f"    {outcome.amplification:.3f} × the object's bytes",
        f"clients: {seen.received / 1e9:.2f} GB in {seen.seconds:.1f} s",
        f"    {seen.received / seen.seconds / 1e6:.0f} MB/s",
        f"    {outcome.cpu / (seen.received / 1e9 or 1):.2f} s of the processor for each GB",
        f"    each: median {seen.median:.1f} s, slowest {seen.slowest:.1f} s",
        f"    longest without a byte: {seen.longest_wait:.2f} s",
        f"slow one: {seen.slow_bytes} bytes, {'right' if seen.slow_right else 'WRONG'}",
        f"    waited for it: {outcome.waited}",
        f"peak memory of each process: {memory} MiB",
        *(f"{count} × {fault}" for fault, count in seen.faults.items()),
    ]
    return "\n".join(lines)


def main() -> int:
    """Reads the arguments, plays and prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stampede")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--size", type=parse_size, default=GIB, help="of the object: 1GiB")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--slice", default="8MiB")
    parser.add_argument("--memory", default="256MiB", help="of the cache")
    parser.add_argument("--memory-only", action="store_true", help="a cache without a directory")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--join", type=float, default=5.0, help="seconds within which they come")
    parser.add_argument("--slow", type=int, default=10_000, help="bytes per second, 0 for none")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds")
    parser.add_argument(
        "--delay", type=float, default=0.0, help="seconds to the store's first byte"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="bytes/s of each store connection")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    share = machine.share(given.workers)
    with ExitStack() as stack:
        directory = None
        if not given.memory_only:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-cache-")))
        cache = None if given.no_cache else Cache(directory, memory=given.memory, slice=given.slice)
        faults = stack.enter_context(counted_store(share))
        put(faults.store, "stampede", given.size)
        faults.pace(delay=given.delay, rate=given.rate)
        plan = Stampede(
            "stampede", given.size, given.clients, cache, given.workers,
            given.join, given.slow, given.limit, given.seed,
        )  # fmt: skip
        outcome = stampede(faults, share, plan)
    print(report(outcome))
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    sys.exit(main())

"""Large objects, cold from a slow store and then warm: Headgate's cache, nginx's and Varnish's.

    .venv/bin/python -m tests.benchmarks.cold [--size 1GiB] [--rounds N] [--no-cache]

The store takes 30 ms to its first byte and gives 40 MB/s on each connection, as the fault origin
before it makes it. Each round has an object of its own, which nobody has seen, and asks all servers
in turn, the order turned about each round. Warm is the last object again, from those that keep it;
the first warm round is not counted. Servers have one worker on one processor; the client (curl,
which discards), the store and what slows it are on the other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from proxy.config.units import parse_size
from tests.benchmarks.cached import MIB, Cache, counted_store, headgate, put
from tests.benchmarks.contestants import Contestant, Ground, sliced_nginx, varnish
from tests.benchmarks.processes import started_on
from tests.benchmarks.streaming import Row
from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.load import machine
from tests.load.target import make_certificate

STORE, NGINX = "the store itself, one stream", "nginx, slice and cache"


@dataclass(frozen=True, slots=True)
class Cold:
    """What is asked: sizes as the configuration has them but that of the objects, in bytes; the
    store's `delay` in seconds, its `rate` in bytes per second."""

    size: int = 256 * MIB
    rounds: int = 3
    slice: str = "8MiB"
    memory: str = "256MiB"
    delay: float = 0.03
    rate: float = 40e6
    no_cache: bool = False
    no_varnish: bool = False


def main() -> int:
    """Reads the arguments, measures, and prints two tables."""
    plan, share = _read(), machine.share()
    with counted_store(share) as faults:
        cold, warm = measure(faults, share, plan)
    print(table("cold", cold, STORE))
    print(table("warm", warm, NGINX))
    return 0


def measure(faults: Faults, share: machine.Share, plan: Cold) -> tuple[list[Row], list[Row]]:
    """All ways, cold and then warm; the store is slow as long as it lasts."""
    names = [f"cold/{number}" for number in range(plan.rounds)]
    for name in names:
        put(faults.store, name, plan.size)
    faults.pace(delay=plan.delay, rate=plan.rate)
    with ExitStack() as stack:
        stack.callback(faults.pace)
        ways = dict(_ways(stack, faults, share, plan))
        print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
        cold = _rows(ways)
        for number, name in enumerate(names):
            _ask(ways, cold if number % 2 else cold[::-1], name, plan.size)
            print(f"cold round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
        warm = _rows({one: way for one, way in ways.items() if way.keeps})
        for number in range(plan.rounds + 1):
            _ask(ways, warm if number % 2 else warm[::-1], names[-1], plan.size)
            if number == 0:
                _forget(warm)
        print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return cold, warm


def _read() -> Cold:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold")
    usual = Cold()
    parser.add_argument("--size", type=parse_size, default=usual.size, help="of an object: 1GiB")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--slice", default=usual.slice, help="of Headgate and of nginx")
    parser.add_argument("--memory", default=usual.memory, help="of the cache with a directory")
    parser.add_argument("--delay", type=float, default=usual.delay, help="s to the first byte")
    parser.add_argument("--rate", type=float, default=usual.rate, help="bytes/s of a connection")
    parser.add_argument("--no-cache", action="store_true", help="Headgate only without one")
    parser.add_argument("--no-varnish", action="store_true")
    return Cold(**vars(parser.parse_args()))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the objects: where they are, who does the work, and whether it keeps them."""

    base: str
    pid: Callable[[], int]
    keeps: bool = True


def _ways(
    stack: ExitStack, faults: Faults, share: machine.Share, plan: Cold
) -> Iterator[tuple[str, Way]]:
    work = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-bench-")))
    make_certificate(work)
    ground = Ground(work, faults.store, work, faults.endpoint)
    yield STORE, Way(f"{ground.bucket_url}/", lambda: faults.store.pid, keeps=False)
    with started_on(share.server):
        yield NGINX, _way_of(sliced_nginx(stack, ground, str(parse_size(plan.slice))))
        if not plan.no_varnish:
            yield "Varnish", _way_of(varnish(stack, ground))
    yield "Headgate, no cache", _way(stack.enter_context(headgate(faults, share)), keeps=False)
    if plan.no_cache:
        return
    in_directory = Cache(work / "cache", memory=plan.memory, slice=plan.slice)
    in_memory = Cache(memory=f"{2 * plan.size // MIB}MiB", slice=plan.slice)
    for name, cache in (("Headgate", in_directory), ("Headgate, in memory", in_memory)):
        yield name, _way(stack.enter_context(headgate(faults, share, cache)))


def _way(program: Headgate, *, keeps: bool = True) -> Way:
    return Way(f"{program.url}/", lambda: program.pid, keeps)


def _way_of(contestant: Contestant) -> Way:
    assert contestant.store is not None
    return Way(contestant.store, contestant.pid)


def _rows(ways: dict[str, Way]) -> list[Row]:
    return [Row(name, way.base, way.pid) for name, way in ways.items()]


def _ask(ways: dict[str, Way], rows: list[Row], name: str, size: int) -> None:
    """Asks all of them for one object, one after the other."""
    for row in rows:
        row.url = ways[row.name].base + name
        row.run(size)


def _forget(rows: list[Row]) -> None:
    for row in rows:
        row.speeds.clear()
        row.costs.clear()


def table(title: str, rows: list[Row], beside: str) -> str:
    """Markdown: speed, its spread, cost, and how many times as fast as `beside` each one is."""
    base = next(median(row.speeds) for row in rows if row.name == beside)
    lines = [f"\n| {title} | MB/s, median | least to most | × {beside} | CPU s/GB |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for row in rows:
        spread = f"{min(row.speeds):.0f} to {max(row.speeds):.0f}"
        speed = median(row.speeds)
        costs = f"{median(row.costs):.2f}"
        lines.append(f"| {row.name} | {speed:.0f} | {spread} | {speed / base:.2f} | {costs} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

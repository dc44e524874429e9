"""What `just bench` sees with a relay before the store, which counts, slows and turns bytes.

Each question is put to servers of its own, which have nothing yet. Results are plain data, for JSON
and `tables`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks import behaviour, cold
from tests.benchmarks.cached import GIB, KIB, MIB, Cache, headgate, put
from tests.benchmarks.contestants import Contestant, Ground, all_started, sliced_nginx, varnish
from tests.benchmarks.processes import started_on
from tests.benchmarks.stampede import Stampede, meet
from tests.benchmarks.streaming import Row
from tests.faults.control import Faults
from tests.load import data, machine

CORRUPT = {f"corrupt/{n}.bin": 200 * KIB + n for n in range(20)}
# nginx's slices, as large as Headgate's.
_SLICE = str(8 * MIB)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the questions are: bytes of the cold objects, who comes to the stampede and to
    what, within how many seconds."""

    cold: int = 128 * MIB
    clients: int = 200
    object: int = 32 * MIB
    join: float = 2.0


FULL = Sizes(cold=GIB, clients=1000, object=GIB, join=5.0)


def cold_objects(faults: Faults, share: machine.Share, sizes: Sizes, rounds: int) -> dict[str, Any]:
    """Large objects of a store that is slow to start, and then the same warm."""
    plan, load_average = cold.Cold(size=sizes.cold, rounds=rounds), os.getloadavg()
    began, then = cold.measure(faults, share, plan)
    return {
        **{name: getattr(plan, name) for name in ("size", "delay", "rate")},
        "load_average": load_average,
        "cold": {row.name: _told(row) for row in began},
        "warm": {row.name: _told(row) for row in then},
    }


def _told(row: Row) -> dict[str, list[float]]:
    return {"values": row.speeds, "costs": row.costs}


def stampedes(ground: Ground, faults: Faults, share: machine.Share, sizes: Sizes) -> dict[str, Any]:
    """Many clients and a slow one on one cold object, through each who can keep it."""
    plan = Stampede("stampede", sizes.object, sizes.clients, cache=None, join=sizes.join)
    load_average = os.getloadavg()
    put(faults.store, plan.key, plan.size)
    found: dict[str, Any] = {}
    for name, start in _keepers(ground, faults, share).items():
        with ExitStack() as stack:
            one = start(stack)
            assert one.store is not None
            outcome = meet(faults, share, plan, one.store, one.pid())
        found[name] = {**asdict(outcome), "amplification": outcome.amplification}
        found[name]["waited"] = outcome.waited
        print(f"stampede: {name}", file=sys.stderr, flush=True)
    asked = {name: getattr(plan, name) for name in ("clients", "size", "join")}
    return {**asked, "load_average": load_average, "found": found}


def _keepers(
    ground: Ground, faults: Faults, share: machine.Share
) -> dict[str, Callable[[ExitStack], Contestant]]:
    """Those that keep what they were sent, each to be started alone."""

    def alone(start: Callable[[ExitStack], Contestant]) -> Callable[[ExitStack], Contestant]:
        def started(stack: ExitStack) -> Contestant:
            with started_on(share.server):
                return start(stack)

        return started

    def ours(stack: ExitStack, cache: Cache) -> Contestant:
        program = stack.enter_context(headgate(faults, share, cache))
        return Contestant("Headgate", lambda: program.pid, store=f"{program.url}/")

    return {
        "nginx, slice and cache": alone(lambda stack: sliced_nginx(stack, ground, _SLICE)),
        "Varnish": alone(lambda stack: varnish(stack, ground)),
        "Headgate": lambda stack: ours(stack, Cache(ground.keys / "stampede")),
        "Headgate, in memory": lambda stack: ours(stack, Cache()),
    }


def corrupted(ground: Ground, faults: Faults, cpus: frozenset[int]) -> dict[str, Any]:
    """Downloads from a store one of whose bytes is turned on the way."""
    sound = {name: b"".join(data.body(name, size)) for name, size in CORRUPT.items()}
    with all_started(ground, cpus) as contestants:
        return {
            one.name: asdict(behaviour.corrupt_origin(one.store, faults, sound))
            for one in contestants
            if one.store is not None
        }

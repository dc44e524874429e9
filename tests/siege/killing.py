"""Who is killed, a worker or the supervisor, takes its own streams with it and no others."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.siege.criteria import Criterion, at_least, at_most, within
from tests.siege.downloads import Ends, over_http1
from tests.siege.objects import MIB
from tests.siege.stage import Stage, Wish, is_running, over_directory

_WORKERS = 3
_BACK_WITHIN = 2.0
_EVERY = 1.0


def workers(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """One of three workers is killed every second, while a thirtieth of `scale` downloads run at
    any time."""
    del only
    with over_directory(Wish(size=4 * MIB, workers=_WORKERS)) as stage:
        yield from asyncio.run(_kill_workers(stage, seconds, max(6, scale // 30)))


async def _kill_workers(stage: Stage, seconds: float, readers: int) -> list[Criterion]:
    ends, over, own = Ends(), asyncio.Event(), set[int]()
    reading = [asyncio.create_task(_read(stage, over, ends)) for _ in range(readers)]
    replaced = _Replaced(stage)
    watching = asyncio.create_task(replaced.watch(over))
    kills, until = 0, time.monotonic() + seconds
    waiting: list[asyncio.Task[float]] = []
    while time.monotonic() < until:
        due = time.monotonic() + _EVERY
        alive = [pid for pid in replaced.ready if is_running(pid)]
        if len(alive) > 1:
            own |= await asyncio.to_thread(_kill, random.choice(alive))
            kills += 1
            waiting.append(asyncio.create_task(replaced.until(kills)))
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    back = [0.0, *await asyncio.gather(*waiting)]
    over.set()
    await asyncio.gather(watching, *reading)
    strangers = [how for how, port in ends.failures if port not in own]
    what = f"kill -9 of {kills} workers"
    return [
        at_least(f"{what}: kills", kills, 1),
        at_least(f"{what}: whole downloads", ends.ended["whole"], 1),
        at_most(f"{what}: wrong downloads", ends.ended["wrong"], 0),
        at_most(
            f"{what}: failed on other workers, of {ends.failed} {strangers[:3] or ''}",
            len(strangers),
            0,
        ),
        at_most(f"{what}: not replaced", sum(one == float("inf") for one in back), 0),
        within(f"{what}: until another is ready", max(back), _BACK_WITHIN),
    ]


async def _read(stage: Stage, over: asyncio.Event, ends: Ends) -> None:
    while not over.is_set():
        await over_http1(stage.port, stage.size, 0.5, ends)
        await asyncio.sleep(0.01)


class _Replaced:
    """Looks who is ready, and who has ever been."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ever = set[int]()
        self.ready = list[int]()

    async def watch(self, over: asyncio.Event) -> None:
        """Looks again and again."""
        while not over.is_set():
            said = json.loads(await asyncio.to_thread(self._stage.ask, "/readyz"))
            self.ready = [one["pid"] for one in said["workers"] if one["state"] == "ready"]
            self._ever.update(self.ready)
            await asyncio.sleep(0.03)

    async def until(self, kills: int) -> float:
        """Seconds until as many new ones have been ready as were killed, or infinity."""
        began = time.monotonic()
        while time.monotonic() - began < 30:
            if len(self._ever) >= _WORKERS + kills:
                return time.monotonic() - began
            await asyncio.sleep(0.03)
        return float("inf")


def _kill(pid: int) -> set[int]:
    """Kills it; the clients' ports of the connections it had. It is stopped first, so that there
    are no others."""
    os.kill(pid, signal.SIGSTOP)
    held = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(os.readlink(one))
        except FileNotFoundError:
            continue  # it was closed while we looked
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in held:
            ports.add(int(fields[2].rpartition(":")[2], 16))
    os.kill(pid, signal.SIGKILL)
    return ports


def supervisor(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """The supervisor is killed while a worker starts and a fiftieth of `scale` downloads run, every
    three seconds another one. What was begun ends whole, and nobody is told of an error."""
    del only
    ended, strange, left = Counter[str](), list[str](), 0
    chance, rounds = random.Random(scale), max(1, round(seconds / 3))
    for _ in range(rounds):
        with over_directory(Wish(size=2 * MIB, workers=2)) as stage:
            ends, own, staying = asyncio.run(_orphan(stage, max(4, scale // 50), chance))
        ended += ends.ended
        strange += [how for how, port in ends.failures if _is_strange(how) and port not in own]
        left += staying
    what = f"kill -9 of {rounds} supervisors"
    yield at_least(f"{what}: whole downloads", ended["whole"], rounds)
    yield at_most(f"{what}: other ends than those of a killed worker {strange}", len(strange), 0)
    yield at_most(f"{what}: workers that stay", left, 0)


def _is_strange(how: str) -> bool:
    """Whoever comes too late is refused or reset by the kernel: that is not."""
    return not how.startswith("unanswered")


async def _orphan(stage: Stage, readers: int, chance: random.Random) -> tuple[Ends, set[int], int]:
    """How those ended who asked around the supervisor's death, the ports of those whose worker had
    been killed before, and how many workers are still there at the end."""
    ends, over = Ends(), asyncio.Event()
    reading = [asyncio.create_task(_read(stage, over, ends)) for _ in range(readers)]
    await asyncio.sleep(0.3)
    own = await asyncio.to_thread(_kill, stage.workers[0])
    await asyncio.sleep(chance.uniform(0.1, 1.5))
    family = stage.workers
    os.kill(stage.program.pid, signal.SIGKILL)
    await asyncio.sleep(0.5)
    over.set()
    await asyncio.gather(*reading)
    until = time.monotonic() + 20
    while (alive := sum(map(is_running, family))) and time.monotonic() < until:
        await asyncio.sleep(0.05)
    return ends, own, alive

"""With few descriptors, streams in flight end, new ones are refused, and it recovers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator

from tests.server import talk
from tests.siege.criteria import Criterion, at_least, at_most, within
from tests.siege.downloads import Ends, over_http1
from tests.siege.objects import MIB, SMALL, SMALL_BODY
from tests.siege.stage import Stage, Wish, over_directory

_DESCRIPTORS = 160
# Beyond what it has open: less than the connections it counts on.
_MORE = 44
_REFUSED_WITHIN = 0.1
_ASIDE = 3


def descriptors(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """Three tenths of `scale` connections send nothing, while ten downloads run. Once the program
    was started with few descriptors, and counts connections; once they are taken from it, and it
    finds none."""
    with over_directory(Wish(size=4 * MIB)) as stage:
        for what in ("few from the start", "taken away"):
            if only in ("", what):
                _limit(stage, what)
                yield from asyncio.run(_besiege(what, stage, seconds, max(60, scale * 3 // 10)))


def _limit(stage: Stage, what: str) -> None:
    if what == "taken away":
        [pid] = stage.workers
        most = len(os.listdir(f"/proc/{pid}/fd")) + _MORE
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        return
    resource.prlimit(stage.program.pid, resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    before = stage.workers
    os.kill(stage.program.pid, signal.SIGHUP)  # the workers of the new crew inherit it
    until = time.monotonic() + 60
    while (set(before) & set(stage.workers) or not stage.workers) and time.monotonic() < until:
        time.sleep(0.05)


async def _besiege(what: str, stage: Stage, seconds: float, count: int) -> list[Criterion]:
    await talk.get(stage.port, f"/{SMALL}")
    await asyncio.sleep(0.5)
    rest, ends = stage.descriptors(), Ends()
    flying = [
        asyncio.create_task(over_http1(stage.port, stage.size, seconds, ends)) for _ in range(10)
    ]
    while ends.begun < len(flying) and not ends.failed:
        await asyncio.sleep(0.02)
    most, waits, served = await _hold(stage, seconds / 2, count)
    await asyncio.gather(*flying)
    until = time.monotonic() + 15
    while (held := stage.descriptors()) > rest + _ASIDE and time.monotonic() < until:
        await asyncio.sleep(0.1)
    again = sum([await _is_served(stage.port) for _ in range(20)])
    said = stage.program.output().count("Traceback")
    what = f"{what}, {count} half-open connections"
    return [
        at_most(f"{what}: downloads in flight not whole {dict(ends.ended)}", ends.failed, 0),
        at_least(f"{what}: refused of {len(waits)} new ones", len(waits) - served, 1),
        at_most(f"{what}: descriptors at most", most, _DESCRIPTORS),
        within(f"{what}: the longest until refused or served", max(waits), _REFUSED_WITHIN),
        at_most(f"{what}: descriptors more than before", max(0, held - rest), _ASIDE),
        at_least(f"{what}: of 20 later ones served", again, 20),
        at_most(f"{what}: tracebacks in the log", said, 0),
    ]


async def _hold(stage: Stage, seconds: float, count: int) -> tuple[int, list[float], int]:
    """Holds so many connections for so long, while new ones come: the descriptors it had, what each
    of the new ones waited in seconds, and how many of them were served."""
    waits, served = list[float](), 0
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", stage.port)))
            one.setblocking(False)
        most = stage.descriptors()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            served += await _is_served(stage.port)
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
    return most, waits, served


async def _is_served(port: int) -> bool:
    """Whether a new one is; otherwise it has to be refused, in one way or another."""
    try:
        return await talk.get(port, f"/{SMALL}", 10) == SMALL_BODY
    except (OSError, TimeoutError, AssertionError):
        return False

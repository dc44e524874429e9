"""Floods of frames are told to calm down, and streams reset at once start nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.siege.bystanders import Seen, idle, watching
from tests.siege.criteria import Criterion, at_least, at_most, latency, own_work, within
from tests.siege.objects import LARGE, MIB, ROOT
from tests.siege.stage import IN_FLIGHT, Stage, Wish, over_directory, over_store

_MOST_MEMORY = 64
_CALM = 0xB  # ENHANCE_YOUR_CALM
_TOLD_WITHIN = 1.0
_NAMES = (
    "settings", "pings", "window updates", "continuation", "large continuation", "empty data",
    "priorities", "references", "hpack bomb", "tiny windows", "tiny increments",
)  # fmt: skip
_STREAMS_PER_SCALE = 100
_MOST_STARTED, _MOST_AT_ONCE = 500, 100
_AT_ONCE = 100
_IDLE = 4.0


def floods(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """Each flood for so long from one connection at a time, and from a tenth of `scale`.

    Attackers and others share the machine with the server, so that others wait for its processors,
    too: how long is seen with attackers that work as much and send nothing.
    """
    with over_directory(Wish(size=MIB)) as stage:
        for connections in (1, max(2, scale // 10)):
            _, busy, _, _ = _attacked(stage, _told("nothing", seconds, connections), 0.1, lambda: 0)
            for name in _NAMES:
                if only in ("", name):
                    yield from _flood(stage, name, seconds, connections, busy)


def _told(name: str, seconds: float, connections: int) -> list[str]:
    return [name, str(seconds), "--connections", str(connections)]


def _flood(
    stage: Stage, name: str, seconds: float, connections: int, busy: Seen
) -> Iterator[Criterion]:
    what = f"{name}, {connections} at once"
    rest = stage.memory()
    told = _told(name, seconds, connections)
    said, others, quiet, peak = _attacked(stage, told, seconds, stage.memory)
    calm = said["said"] == [_CALM]
    yield at_least(f"{what}: connections flooded", said["connections"], 1)
    yield at_most(f"{what}: told something else than to calm down {said['said']}", not calm, 0)
    yield at_most(f"{what}: told nothing", said["silent"], 0)
    yield within(f"{what}: the longest until told", said["longest"], _TOLD_WITHIN)
    yield at_most(f"{what}: memory above rest", (peak - rest) / MIB, _MOST_MEMORY, " MiB")
    yield latency(what, quiet.latencies, others.latencies, busy.latencies)
    yield own_work(what, quiet.worked, others.worked)
    faults = quiet.faults + others.faults
    yield at_most(f"{what}: others' faults {faults[:3] or ''}", len(faults), 0)


def resets(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """A hundred streams times `scale` ask the store for an object and are reset at once, on one
    connection after the other; then streams of one connection are, once they have begun."""
    del only
    streams = _STREAMS_PER_SCALE * scale
    forms = {
        "rapid reset of an object": (str(2 * seconds), streams),
        "rapid reset by hundreds": ("0", 2 * _AT_ONCE),
    }
    with over_store(Wish(size=8 * MIB), cached=False) as stage:
        for name, (longest, units) in forms.items():
            told = [name, longest, "--units", str(units)]
            yield from _reset(stage, name, told, units, min(_IDLE, seconds))


def _reset(
    stage: Stage, name: str, told: list[str], streams: int, rest: float
) -> Iterator[Criterion]:
    assert stage.faults is not None
    stage.faults.take(LARGE)
    before = stage.metric(REQUESTS)
    said, others, quiet, peak = _attacked(stage, told, rest, lambda: stage.metric(IN_FLIGHT))
    asked = others.answers + quiet.answers
    started = stage.metric(REQUESTS) - before - asked
    store = stage.faults.take(LARGE)["requests"]
    what = f"{name}, {said['connections']} connections"
    yield at_least(f"{what}: streams", said["units"], streams)
    yield at_most(f"{what}: told something else than to calm down", said["said"] != [_CALM], 0)
    yield at_most(f"{what}: handlers started", started, _MOST_STARTED)
    yield at_most(f"{what}: handlers at once, two of others among them", peak, _MOST_AT_ONCE + 2)
    yield at_most(f"{what}: requests to the store beyond those", max(0, store - started), 0)
    if streams > 2 * _AT_ONCE:  # the other form is over before there is a p99
        yield latency(what, quiet.latencies, others.latencies)
    faults = quiet.faults + others.faults
    yield at_most(f"{what}: others' faults {faults[:3] or ''}", len(faults), 0)


REQUESTS = "headgate_requests_total"


def _attacked(
    stage: Stage, told: list[str], rest: float, sample: Callable[[], float]
) -> tuple[dict[str, Any], Seen, Seen, float]:
    """Attacks; what the attacker says, what others saw meanwhile and what before and after, and
    the most that was sampled."""
    [worker] = stage.workers
    quiet = idle(stage.port, min(rest, _IDLE), worker)
    command = [sys.executable, "-m", "tests.server.attack", str(stage.port), *told]
    peak = 0.0
    with watching(stage.port, worker) as others:
        attack = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        while attack.poll() is None:
            peak = max(peak, sample())
            time.sleep(0.05)
        out, _ = attack.communicate()
    assert attack.returncode == 0
    after = idle(stage.port, min(rest, _IDLE), worker)
    quiet.latencies += after.latencies
    quiet.worked += after.worked
    quiet.siblings += after.siblings
    quiet.faults += after.faults
    said: dict[str, Any] = json.loads(out)
    return said, others, quiet, peak

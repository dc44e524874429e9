"""Watching a run once a second: the server's processor time and memory, and what k6 counts.

A thread of its own, since the run itself waits for k6. A process that ends while it is looked at
is no fault: that second has no value.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.processes import resident, usage
from tests.load.background import Background

Sample = dict[str, float]
_INTERVAL = 1.0
_GONE = (OSError, StopIteration, ValueError, IndexError)
# Counters of k6 that are worth a line over time.
_COUNTED = ("http_reqs", "data_received")


@dataclass
class Watch(Background):
    """Samples while the block runs. Each has `t` in seconds, and what its sources know:

    `server_cpu`, `store_cpu`, `generator_cpu` in seconds so far, `server_memory` in bytes; `busy`
    and `idle` of the whole machine in seconds so far; `reqs` and `received` counted so far.
    """

    generator_pid: int
    server_pid: int | None
    store_pid: int | None
    counters: Callable[[], Mapping[str, float]]
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("watch")

    def _run(self) -> None:
        began = time.monotonic()
        while True:
            self.samples.append({"t": round(time.monotonic() - began, 2), **self._look()})
            if self._done.wait(_INTERVAL):
                return

    def _look(self) -> Sample:
        found: Sample = {}
        for source in (self._server, self._store, self._generator, machine_time, self.counters):
            try:
                found.update(source())
            except _GONE:
                continue
        return found

    def _server(self) -> Sample:
        if self.server_pid is None:
            return {}
        return {
            "server_cpu": usage(self.server_pid).cpu,
            "server_memory": float(resident(self.server_pid)),
        }

    def _store(self) -> Sample:
        return {} if self.store_pid is None else {"store_cpu": usage(self.store_pid).cpu}

    def _generator(self) -> Sample:
        return {"generator_cpu": usage(self.generator_pid).cpu}


def machine_time() -> Sample:
    """Seconds all processors were busy and idle since the machine started."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    per_second = os.sysconf("SC_CLK_TCK")
    return {"busy": (sum(ticks) - idle) / per_second, "idle": idle / per_second}


def counters_of_k6(port: int) -> Mapping[str, float]:
    """What k6 has counted so far, from its REST interface."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/metrics", timeout=2) as answer:
        listed = json.load(answer)["data"]
    counts = {one["id"]: one["attributes"]["sample"].get("count", 0.0) for one in listed}
    found = {name: counts[name] for name in _COUNTED if name in counts}
    return {name.removeprefix("http_").removeprefix("data_"): v for name, v in found.items()}

"""All that watches one worker, and what the operator may ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from proxy.observability.fleet import Arguments, Emit, Operation
from proxy.observability.live import Live
from proxy.observability.logs import DroppingHandler
from proxy.observability.meters import Meters, Values
from proxy.observability.origin_health import OriginHealth
from proxy.observability.process import gc_pauses_measured, measure_process
from proxy.observability.process_metrics import LOG_LINES_DROPPED
from proxy.observability.profiling import Profiling
from proxy.observability.responses import Responses
from proxy.observability.stalls import LoopWatch
from proxy.observability.tasks import dump_tasks
from proxy.origins.base import Origin

# Seconds between two looks at how far the responses in flight have come.
_MARK_EVERY = 2.0
# Responses in flight that one worker tells of.
MOST_TRANSFERS = 1000


class Instruments:
    """What a worker is watched by. `start` on its event loop, then `aclose`.

    Attributes:
        meters: where all is counted.
        responses: follows each response.
    """

    def __init__(self, log: DroppingHandler | None = None) -> None:
        self.meters = Meters()
        self.responses = Responses(self.meters)
        self._live = Live(self.responses, self.meters)
        self._profiling = Profiling()
        self._loop_watch = LoopWatch(self.meters)
        self._origins: OriginHealth | None = None
        self._marking: asyncio.Task[None] | None = None
        self._running = ExitStack()
        measure_process(self.meters)
        if log is not None:
            measure_log(self.meters, log)

    def start(self, origins: Mapping[str, Origin]) -> None:
        """Begins to watch the event loop, the garbage collector and the origins."""
        self._origins = OriginHealth(origins, self.meters)
        self._origins.start()
        self._loop_watch.start()
        self._running.enter_context(gc_pauses_measured(self.meters))
        self._marking = asyncio.create_task(self._mark())

    async def aclose(self) -> None:
        """Stops watching. Nothing happens if it was not started."""
        if self._marking is None or self._origins is None:
            return
        self._marking.cancel()
        await asyncio.gather(self._marking, return_exceptions=True)
        await self._origins.aclose()
        self._loop_watch.stop()
        self._running.close()
        self._marking = None

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(_MARK_EVERY)
            self.responses.mark()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By name; each takes its arguments as JSON in Python's types."""
        return {
            "metrics": self._metrics,
            "transfers": self._transfers,
            "faults": self._faults,
            "stalls": self._stalls,
            "tasks": self._tasks,
            "profile": self._profiling.profile,
            "memory": self._profiling.memory,
            "trace": self._live.stream,
        }

    async def _metrics(self, _: Arguments, __: Emit) -> Values:
        return self.meters.read()

    async def _transfers(self, _: Arguments, __: Emit) -> dict[str, Any]:
        return self.responses.in_flight(MOST_TRANSFERS)

    async def _faults(self, _: Arguments, __: Emit) -> list[dict[str, Any]]:
        return list(self.responses.recent_faults)

    async def _tasks(self, _: Arguments, __: Emit) -> list[dict[str, Any]]:
        return dump_tasks(asyncio.all_tasks())

    async def _stalls(self, _: Arguments, __: Emit) -> list[dict[str, Any]]:
        return list(self._loop_watch.stalls)


def measure_log(meters: Meters, log: DroppingHandler, process: str = "") -> None:
    """Has the dropped log lines looked up before each reading."""
    meters.before_reading(lambda: meters.put(LOG_LINES_DROPPED, log.dropped_total, process))

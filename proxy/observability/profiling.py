"""Where a live worker's time goes, and what its memory holds. One such measurement at a time.

pyinstrument looks at the whole thread of the event loop, not at one task: what holds the loop is
wanted, whoever runs on it. (Its asynchronous mode follows one task and those it starts; ours would
see itself asleep.) A stack still names the coroutines that await each other, since they are called
through each other. Samples with the same stack are added up, so that a minute is no more than a
second.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from proxy.observability.fleet import Arguments, Declined, Emit
from proxy.observability.process import resident_bytes

if TYPE_CHECKING:
    from pyinstrument.session import Session

# Seconds: the longest measurement. What it costs meanwhile is in docs/metrics.md.
MOST_SECONDS = 60
# Seconds between two samples. pyinstrument's own default; half of it costs little more.
INTERVAL = 0.001
# Frames that tracemalloc keeps of each allocation: enough to see who called whom.
_FRAMES = 8
_MOST_ROWS = 30
# Of the frame that runs the event loop. Time of its own is time in which nothing was to be done.
_LOOP = "asyncio/runners.py"


class Profiling:
    """Measures this process when it is asked to."""

    def __init__(self) -> None:
        self._busy = False

    async def profile(self, arguments: Arguments, _: Emit) -> dict[str, Any]:
        """A session of pyinstrument, in its own JSON form."""
        from pyinstrument import Profiler  # noqa: PLC0415  # hardly ever needed

        async with self._alone():
            profiler = Profiler(interval=INTERVAL, async_mode="disabled")
            profiler.start()
            try:
                await asyncio.sleep(_seconds(arguments))
            finally:
                session = profiler.stop()
            return await asyncio.to_thread(summed_up, session)

    async def memory(self, arguments: Arguments, _: Emit) -> dict[str, Any]:
        """What was allocated during some seconds and is still held, by place; objects by type.

        Meanwhile each allocation costs about four times what it does otherwise.
        """
        async with self._alone():
            if tracemalloc.is_tracing():
                raise Declined("tracemalloc is already on")
            tracemalloc.start(_FRAMES)
            try:
                before = await asyncio.to_thread(tracemalloc.take_snapshot)
                await asyncio.sleep(_seconds(arguments))
                after = await asyncio.to_thread(tracemalloc.take_snapshot)
                traced, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            rows = await asyncio.to_thread(_rows, before, after)
            return {
                "resident": resident_bytes(),
                "traced": traced,
                "peak": peak,
                **rows,
                "objects": await asyncio.to_thread(_objects_by_type),
            }

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._busy:
            raise Declined("it is being measured already")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


def _seconds(arguments: Arguments) -> float:
    return min(max(float(arguments["seconds"]), 0.0), MOST_SECONDS)


def summed_up(session: Session) -> dict[str, Any]:
    """The session as JSON in Python's types, the samples of one stack as one."""
    told = session.to_json()
    times: dict[tuple[str, ...], float] = {}
    for stack, seconds in told["frame_records"]:
        key = tuple(stack[_first_of_interest(stack) :])
        times[key] = times.get(key, 0.0) + seconds
    records = [(list(stack), seconds) for stack, seconds in times.items()]
    return {**told, "frame_records": records}


def _first_of_interest(stack: Sequence[str]) -> int:
    """Where the event loop begins: what started it is the same for all, but for its thread."""
    return next((at for at, frame in enumerate(stack) if _LOOP in frame), 0)


def _rows(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> dict[str, Any]:
    ours = (tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),)
    before, after = before.filter_traces(ours), after.filter_traces(ours)
    top = after.statistics("lineno")[:_MOST_ROWS]
    grown = after.compare_to(before, "traceback")[:_MOST_ROWS]
    return {
        "top": [
            {"bytes": one.size, "blocks": one.count, "at": str(one.traceback[0])} for one in top
        ],
        "grown": [
            {
                "bytes": one.size_diff,
                "blocks": one.count_diff,
                "stack": [str(frame) for frame in one.traceback],
            }
            for one in grown
            if one.size_diff
        ],
    }


def _objects_by_type() -> list[dict[str, Any]]:
    """What the collector watches, most frequent first; what start-up made is not looked at."""
    counts = Counter(type(one).__qualname__ for one in gc.get_objects())
    return [{"type": name, "count": count} for name, count in counts.most_common(_MOST_ROWS)]

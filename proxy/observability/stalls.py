"""Whether the event loop keeps time, and what holds it when it does not.

A timer on the loop says by how much it was late. A thread beside it looks whether the timer is
overdue, and if so where the loop's thread is: that stack is the cause. Nothing is traced while all
is well. Code that holds the interpreter itself (one long call into C) also holds the thread back;
such a stall is counted, with a stack only if it was caught.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections import Counter, deque
from time import monotonic, time
from types import FrameType
from typing import Any

from proxy.observability import process_metrics
from proxy.observability.meters import Meters

# Seconds between two beats; ten a second cost about 0.1 % of a processor.
BEAT = 0.1
# Seconds the loop must be held for it to be a stall. A few milliseconds is the aim.
STALL = 0.1
# Seconds between two looks at a loop that is held.
LOOK = 0.02
REMEMBERED = 50
_DEPTH = 60
# Seconds after which the longest lag is forgotten, at the earliest.
_WINDOW = 30.0


class LoopWatch:
    """Watches the event loop it is started on. `start`, then `stop`, both on that loop."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self.stalls: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        """The last of them, as JSON in Python's types."""
        self._due = 0.0
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._longest = [0.0, 0.0]
        self._window_ends = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch."""
        self._expect()
        self._window_ends = monotonic() + _WINDOW
        self._meters.before_reading(self._put_longest)
        self._meters.add(process_metrics.STALLS, 0, "")
        held = threading.get_ident()
        self._thread = threading.Thread(
            target=self._look, args=(held,), name="loop-watch", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stops watching, and waits for the thread."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()

    def _expect(self) -> None:
        self._due = monotonic() + BEAT
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _beat(self) -> None:
        lag = max(0.0, monotonic() - self._due)
        self._meters.observe(process_metrics.LOOP_LAG, lag)
        self._turn_window()
        self._longest[1] = max(self._longest[1], lag)
        if lag >= STALL:
            self._note(lag)
        self._seen.clear()
        self._expect()

    def _note(self, lag: float) -> None:
        self._meters.add(process_metrics.STALLS, 1, "")
        seen = self._seen.most_common(1)
        stack = list(seen[0][0]) if seen else []
        self.stalls.append({"time": round(time(), 3), "seconds": round(lag, 3), "stack": stack})

    def _turn_window(self) -> None:
        now = monotonic()
        if now >= self._window_ends:
            self._window_ends = now + _WINDOW
            self._longest = [self._longest[1], 0.0]

    def _put_longest(self) -> None:
        self._turn_window()
        self._meters.put(process_metrics.LOOP_LAG_MAX, max(self._longest), "")

    def _look(self, held: int) -> None:
        """The thread: sleeps while the loop keeps time."""
        while not self._stopping.wait(LOOK if monotonic() > self._due else BEAT):
            if monotonic() > self._due + LOOK:
                frame = sys._current_frames().get(held)  # noqa: SLF001  # it has no public name
                if frame is not None:
                    self._seen[_lines(frame)] += 1
                del frame


def _lines(frame: FrameType) -> tuple[str, ...]:
    """The stack, innermost last: where, and which function."""
    found = traceback.StackSummary.extract(
        traceback.walk_stack(frame), limit=_DEPTH, lookup_lines=False
    )
    return tuple(f"{one.filename}:{one.lineno} {one.name}" for one in reversed(found))

"""From spans that have ended to a collector: a bounded queue, and a thread that sends.

A collector that is slow, hangs or is not there costs spans, which are counted, and never holds the
event loop: what finds the queue full is dropped, as lines of the log are (`logs`).
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from proxy.errors import HeadgateError
from proxy.observability import process_metrics
from proxy.observability.meters import Meters
from proxy.observability.spans import Span

logger = logging.getLogger("headgate")

# Spans that wait for the collector: some 4 MiB.
QUEUE_LENGTH: Final = 4096
# Spans of one message.
_AT_ONCE: Final = 256
# Seconds between two looks at the queue, and between tries of one message.
_PAUSE: Final = 1.0
_PAUSES: Final = (1.0, 4.0)
# Seconds in which no second line is logged of what was dropped.
_LOG_EVERY: Final = 60.0
# Seconds that what is queued has at the end.
LAST_WORDS: Final = 2.0


class NotTaken(HeadgateError):
    """The collector has not taken a message. `retryable`: it may take it later."""

    def __init__(self, why: str, *, retryable: bool) -> None:
        super().__init__(why)
        self.retryable = retryable


class Sink(Protocol):
    """Where messages go. Used by the thread alone."""

    def post(self, body: bytes) -> int:
        """Gives a message; how many of its spans were refused. Raises `NotTaken`."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


class Exporter:
    """Sends spans to a sink. `put` is called on the event loop; `start`, then `stop`.

    `write` makes a message of spans, in the thread.
    """

    def __init__(
        self, sink: Sink, write: Callable[[list[Span]], bytes], *, pause: float = _PAUSE
    ) -> None:
        self._sink, self._write, self._pause = sink, write, pause
        self._spans: deque[Span] = deque()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent = 0
        self._full = self._lost = 0  # one for each side, since neither waits for the other
        self._told, self._told_at, self._why = 0, -math.inf, ""

    @property
    def dropped(self) -> int:
        """Spans that were not sent."""
        return self._full + self._lost

    def measure(self, meters: Meters) -> None:
        """Has what was sent and dropped looked up before each reading."""

        def look() -> None:
            meters.put(process_metrics.SPANS, self.sent, "sent")
            meters.put(process_metrics.SPANS, self.dropped, "dropped")

        meters.before_reading(look)

    def put(self, span: Span) -> None:
        """Takes a span that has ended, or drops it."""
        if len(self._spans) < QUEUE_LENGTH:
            self._spans.append(span)
        else:
            self._full += 1

    def start(self) -> None:
        """Begins to send."""
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = LAST_WORDS) -> None:
        """Sends what is queued, and waits for it so long and no longer. Waits: call it in a thread.

        A collector that hangs is given up then: the thread ends with the process, as a daemon.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(seconds)

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            last = self._stopping.wait(self._pause)
            while self._spans:
                self._send(self._some())
                self._tell()
            if last:
                break
        self._sink.close()

    def _some(self) -> list[Span]:
        return [self._spans.popleft() for _ in range(min(len(self._spans), _AT_ONCE))]

    def _send(self, spans: list[Span]) -> None:
        try:
            refused = self._give(self._write(spans))
        except NotTaken as fault:
            self._lose(len(spans), str(fault))
        except Exception as error:  # noqa: BLE001  # one bad message costs no other
            self._lose(len(spans), f"they could not be written: {type(error).__name__}")
        else:
            self.sent += len(spans) - refused
            if refused:
                self._lose(refused, "it refused them")

    def _give(self, body: bytes) -> int:
        for pause in _PAUSES:
            try:
                return self._sink.post(body)
            except NotTaken as fault:
                if not fault.retryable or self._stopping.wait(pause * self._pause):
                    raise
        return self._sink.post(body)

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        self._why = why

    def _tell(self) -> None:
        dropped, now = self.dropped, monotonic()
        if dropped > self._told and now - self._told_at >= _LOG_EVERY:
            why = self._why or "it takes them too slowly"
            logger.warning("telemetry: %d spans were dropped: %s", dropped - self._told, why)
            self._told, self._told_at, self._why = dropped, now, ""

"""The access log as it happens, filtered: for whoever looks at it now.

Nobody who looks may slow a response: lines wait in a bounded queue, and those that find it full
are dropped and counted.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from time import time
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.observability import process_metrics
from proxy.observability.access_log import AccessRecord, as_json
from proxy.observability.fleet import Arguments, Declined, Emit
from proxy.observability.meters import Meters
from proxy.observability.responses import Responses
from proxy.semantics.globs import Glob, compile_glob

# Lines that wait for the way to the operator; at 10,000 a second, it may pause for 50 ms.
QUEUE_LENGTH = 512
MOST_LOOKING = 16
_LONGEST_PATTERN = 1024

_STATUS = re.compile(r"[1-5]xx|[1-5][0-9]{2}")
_SECONDS = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which responses are shown: all that meet each condition that is set.

    Attributes:
        statuses: "404" or "5xx", any of these.
        path: a pattern over the public path, as in the configuration's rules.
        slower: seconds that the response took at least.
    """

    statuses: tuple[str, ...] = ()
    path: Glob | None = None
    slower: float = 0.0

    def lets(self, record: AccessRecord) -> bool:
        """Whether a response is shown."""
        if record.seconds < self.slower:
            return False
        if self.statuses and not self._has_status(record.status):
            return False
        return self.path is None or self.path.matches(_path_of(record))

    def _has_status(self, status: int) -> bool:
        return str(status) in self.statuses or f"{status // 100}xx" in self.statuses


def _path_of(record: AccessRecord) -> str:
    return unquote_to_bytes(record.target).decode("utf-8", "replace")


def make_filter(status: str = "", path: str = "", slower: str = "") -> Filter:
    """A filter from text: "4xx,503", "/videos/**", "250ms". Raises `ValueError`, in words."""
    statuses = tuple(part.strip() for part in status.lower().split(",") if part.strip())
    if len(statuses) > 100 or not all(map(_STATUS.fullmatch, statuses)):
        raise ValueError('status: expected statuses such as "404" or "5xx", joined by commas.')
    if path and (not path.startswith("/") or len(path) > _LONGEST_PATTERN):
        raise ValueError('path: expected a pattern such as "/videos/**".')
    found = _SECONDS.fullmatch(slower) if slower else None
    if slower and found is None:
        raise ValueError('slower: expected a duration such as "1s" or "250ms".')
    seconds = float(found[1]) * _UNITS[found[2]] if found is not None else 0.0
    return Filter(statuses, compile_glob(path) if path else None, seconds)


class Live:
    """Streams the responses of a process as they end."""

    def __init__(self, responses: Responses, meters: Meters) -> None:
        self._responses = responses
        self._meters = meters
        meters.add(process_metrics.TRACE_LINES_DROPPED, 0)

    async def stream(self, arguments: Arguments, emit: Emit) -> None:
        """Emits each response that meets the filter of `arguments`, until it is cancelled.

        An event has "records" and, if any, how many lines were "dropped" before them.
        """
        if len(self._responses.listeners) >= MOST_LOOKING:
            raise Declined("too many look at it already")
        chosen = make_filter(**{name: str(arguments.get(name, "")) for name in _FILTERS})
        lines = _Lines(chosen, self._meters)
        self._responses.listeners.append(lines.take)
        try:
            while True:
                await emit(await lines.next())
        finally:
            self._responses.listeners.remove(lines.take)


_FILTERS = ("status", "path", "slower")


class _Lines:
    """The lines for one who looks."""

    def __init__(self, chosen: Filter, meters: Meters) -> None:
        self._chosen, self._meters = chosen, meters
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_LENGTH)
        self._dropped = 0

    def take(self, record: AccessRecord) -> None:
        if not self._chosen.lets(record):
            return
        try:
            self._waiting.put_nowait({"time": round(time(), 3), **as_json(record)})
        except asyncio.QueueFull:
            self._dropped += 1
            self._meters.add(process_metrics.TRACE_LINES_DROPPED, 1)

    async def next(self) -> dict[str, Any]:
        """Waits for a line, and takes along all others there are."""
        records = [await self._waiting.get()]
        while not self._waiting.empty():
            records.append(self._waiting.get_nowait())
        dropped, self._dropped = self._dropped, 0
        return {"records": records, "dropped": dropped}

"""The responses of one process: those in flight, and what is counted of each when it has ended.

Only what is needed later is noted while a response runs; sums over those in flight are made when
somebody asks for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, NamedTuple, Protocol

from proxy.observability import flow_metrics
from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord, as_json
from proxy.observability.hot_tally import QUICK, HotTallies
from proxy.observability.meters import Meters

# Faults that are remembered for the status page.
RECENT_FAULTS = 30
# Seconds for which a client must take nothing to be called paused.
PAUSED_AFTER = 1.0


class Sending(Protocol):
    """How far a response has come, as whoever sends it notes it."""

    started: bool
    sent: int
    waiting_since: float
    """When the client was last offered bytes it has not taken; 0 when it has, or none were."""
    waited: float
    """Seconds of such waits that are over."""


@dataclass(slots=True, eq=False)
class Transfer:
    """One response in flight. `rate` is in bytes per second, over the last few seconds."""

    record: AccessRecord
    sending: Sending
    begun: float
    rate: float = 0.0
    marked_at: float = 0.0
    marked_sent: int = 0


class _Labels(NamedTuple):
    """Under which labels a response counts; "" where it does not."""

    method: str
    status: str
    protocol: str
    download: str
    cache: str


@dataclass(slots=True)
class _Quick:
    """Responses with the same labels that are yet to be counted, and the sums of their seconds."""

    labels: _Labels
    times: int = 0
    seconds: float = 0.0
    first: float = 0.0


class Responses:
    """Follows the responses of a process. Each `begin` has its `end`.

    Attributes:
        meters: where they are counted.
        hot: counts those that are over at once.
    """

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        self._running: set[Transfer] = set()
        self._sent, self._waited = 0, 0.0
        self.hot = HotTallies(meters)
        self._quick: dict[tuple[str, int, str, bool, str], _Quick] = {}
        self.recent_faults: deque[dict[str, Any]] = deque(maxlen=RECENT_FAULTS)
        self.listeners: list[Callable[[AccessRecord], None]] = []
        """Called with each record when its response has ended; they must be quick."""
        meters.before_reading(self._fill_in)
        for outcome in names.OUTCOMES:
            meters.add(names.DOWNLOADS, 0, outcome)

    def begin(self, record: AccessRecord, sending: Sending) -> Transfer:
        """Notes that a response begins."""
        now = monotonic()
        transfer = Transfer(record, sending, now, marked_at=now)
        self._running.add(transfer)
        return transfer

    def end(self, transfer: Transfer) -> None:
        """Counts a response that has ended; its record is complete."""
        self._running.discard(transfer)
        self._waited += transfer.sending.waited
        record = transfer.record
        self.count(record)
        if record.outcome == "fault":
            self.recent_faults.append({"time": round(time(), 3), **as_json(record)})
        self.tell(record)

    def tell(self, record: AccessRecord) -> None:
        """Tells those who look at responses as they end."""
        for tell in self.listeners:
            tell(record)

    def count(self, record: AccessRecord) -> None:
        """Counts a response that was not followed, or is no more."""
        self._sent += record.sent
        first = record.seconds_to_first_byte
        if record.outcome == "complete" and record.seconds < QUICK and first is not None:
            self._count_quick(record, first)
        else:
            self._count(record)

    def _count_quick(self, record: AccessRecord, first: float) -> None:
        """One that is in the first bucket of each histogram, as most small ones are."""
        is_download = record.length is not None
        key = record.method, record.status, record.protocol, is_download, record.cache
        quick = self._quick.get(key)
        if quick is None:
            quick = self._quick[key] = _Quick(_labels_of(record))
        quick.times += 1
        quick.seconds += record.seconds
        quick.first += first

    def _count(self, record: AccessRecord) -> None:
        meters, labels = self.meters, _labels_of(record)
        meters.add(names.REQUESTS, 1, labels.method, labels.status, labels.protocol)
        meters.observe(names.REQUEST_SECONDS, record.seconds, labels.status)
        if record.seconds_to_first_byte is not None:
            meters.observe(names.FIRST_BYTE_SECONDS, record.seconds_to_first_byte, labels.status)
        if labels.download:
            meters.add(names.DOWNLOADS, 1, labels.download)
        if labels.cache:
            meters.add(names.CACHE_ANSWERS, 1, labels.cache)

    def _add_quick(self, quick: _Quick) -> None:
        meters, labels, times = self.meters, quick.labels, quick.times
        meters.add(names.REQUESTS, times, labels.method, labels.status, labels.protocol)
        meters.observe_quick(names.REQUEST_SECONDS, times, quick.seconds, labels.status)
        meters.observe_quick(names.FIRST_BYTE_SECONDS, times, quick.first, labels.status)
        if labels.download:
            meters.add(names.DOWNLOADS, times, labels.download)
        if labels.cache:
            meters.add(names.CACHE_ANSWERS, times, labels.cache)

    def _fill_in(self) -> None:
        for quick in self._quick.values():
            self._add_quick(quick)
        self._quick.clear()
        running = self._running
        self.meters.put(names.IN_FLIGHT, len(running))
        active = sum(1 for one in running if one.record.length and one.sending.started)
        self.meters.put(names.DOWNLOADS_ACTIVE, active)
        in_flight = sum(one.sending.sent for one in running)
        self.meters.put(names.SENT_BYTES, self._sent + self.hot.sent + in_flight)
        before = monotonic() - PAUSED_AFTER
        paused = sum(1 for one in running if 0 < one.sending.waiting_since <= before)
        self.meters.put(flow_metrics.PAUSED, paused)
        waited = sum(one.sending.waited for one in running)
        self.meters.put(flow_metrics.PAUSED_SECONDS, self._waited + waited)

    def mark(self) -> None:
        """Takes the rates; to be called every few seconds."""
        now = monotonic()
        for one in self._running:
            sent, seconds = one.sending.sent, now - one.marked_at
            if seconds > 0:
                one.rate = (sent - one.marked_sent) / seconds
                one.marked_at, one.marked_sent = now, sent

    def in_flight(self, most: int) -> dict[str, Any]:
        """The responses in flight as JSON in Python's types, the oldest `most` of them."""
        now = monotonic()
        oldest = sorted(self._running, key=lambda one: one.begun)[:most]
        return {"count": len(self._running), "transfers": [_shown(one, now) for one in oldest]}


def _shown(transfer: Transfer, now: float) -> dict[str, Any]:
    record, sending = transfer.record, transfer.sending
    waiting = now - sending.waiting_since if sending.waiting_since else 0.0
    elapsed = now - transfer.begun
    settled = transfer.marked_at > transfer.begun
    known = as_json(record)
    told = ("request_id", "client", "protocol", "method", "target", "origin", "length", "trace_id")
    return {
        **{name: known[name] for name in told if name in known},
        "sent": sending.sent,
        "seconds": round(elapsed, 3),
        "rate": round(transfer.rate if settled else sending.sent / max(elapsed, 0.001)),
        "paused": waiting >= PAUSED_AFTER,
        "paused_seconds": round(waiting, 1) if waiting >= PAUSED_AFTER else 0.0,
    }


def _labels_of(record: AccessRecord) -> _Labels:
    word = record.cache.partition(" (")[0]
    result = word if word in names.CACHE_RESULTS else names.OTHER
    return _Labels(
        method=record.method if record.method in names.METHODS else names.OTHER,
        status=names.status_class(record.status),
        protocol=record.protocol if record.protocol in names.PROTOCOLS else names.OTHER,
        download=outcome_of_download(record) or "",
        cache=result if record.cache else "",
    )


_OUTCOMES = {"client gone": "client_gone", "cut": "cut", "refused": "refused"}
_SERVED = (200, 206)
_REFUSED = (412, 416)


def outcome_of_download(record: AccessRecord) -> str | None:
    """How a download ended, or None where the response was none: no GET, a redirect, a 304."""
    if record.method != "GET":
        return None
    if record.outcome == "complete":
        if record.status in _REFUSED:
            return "refused"
        return "complete" if record.status in _SERVED and record.length is not None else None
    if record.outcome == "fault":
        return _fault_of_download(record.fault)
    if record.outcome == "refused" or record.length is not None:
        return _OUTCOMES.get(record.outcome)
    return None


def _fault_of_download(fault: str) -> str:
    if fault == "ChecksumMismatch":
        return "checksum_mismatch"
    return "origin_fault" if fault.startswith("Origin") or fault == "ObjectChanged" else "internal"

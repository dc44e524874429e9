"""Counts of answers that take next to no time: few additions each, and the metrics when asked for.

What is counted is the same as of any response; see `proxy.observability.responses`.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.observability import metrics as names
from proxy.observability.meters import Meters

# Seconds below which a response is in the first bucket of each histogram.
QUICK = min(names.REQUEST_SECONDS.buckets[0], names.FIRST_BYTE_SECONDS.buckets[0])

Verdict = tuple[str, str, str]


class Kind(NamedTuple):
    """What answers have in common that are counted together.

    Attributes:
        method, protocol: as in an access record.
        status: the status code.
        download: whether it is one, and complete.
        verdict: algorithm, result and reason of the check of its bytes, as labels; or None.
        cache: what the cache did, as a label, or "" where none was asked.
        prepared: whether they were, before they were asked for.
    """

    method: str
    status: int
    protocol: str
    download: bool
    verdict: Verdict | None
    cache: str = ""
    prepared: bool = True


class Tally:
    """Answers of one kind: how many there were, how many of those were not `QUICK`, the seconds
    that the others took, and the bytes of all their bodies."""

    __slots__ = ("answers", "bytes", "seconds", "slow")

    def __init__(self) -> None:
        self.answers = self.slow = self.bytes = 0
        self.seconds = 0.0


class HotTallies:
    """The tallies of one process, by kind: few, since few values are possible."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._tallies: dict[Kind, Tally] = {}
        self.sent = 0
        meters.add(names.REQUESTS_HOT, 0)
        meters.before_reading(self._fill_in)

    def of(self, kind: Kind) -> Tally:
        """Where answers of a kind are counted."""
        tally = self._tallies.get(kind)
        if tally is None:
            tally = self._tallies[kind] = Tally()
        return tally

    def observe_slow(self, kind: Kind, seconds: float) -> None:
        """One of them took longer: with this its tally's `slow` is counted up."""
        status = names.status_class(kind.status)
        self._meters.observe(names.REQUEST_SECONDS, seconds, status)
        self._meters.observe(names.FIRST_BYTE_SECONDS, seconds, status)
        self.of(kind).slow += 1

    def count_hot(self) -> None:
        """An answer that is counted elsewhere, its client having left, or called for by ASGI."""
        self._meters.add(names.REQUESTS_HOT, 1)

    def count_verdict(self, verdict: Verdict | None, size: int, times: int = 1) -> None:
        """Bodies were given whose bytes had passed a check, or could not be checked."""
        if verdict is not None:
            self._meters.add(names.VERIFICATIONS, times, *verdict)
            self._meters.add(names.VERIFIED_BYTES, size, *verdict[:2])

    def _fill_in(self) -> None:
        for kind, tally in self._tallies.items():
            if tally.answers:
                self._count(kind, tally)
                tally.answers = tally.slow = tally.bytes = 0
                tally.seconds = 0.0

    def _count(self, kind: Kind, tally: Tally) -> None:
        meters, status = self._meters, names.status_class(kind.status)
        meters.add(names.REQUESTS, tally.answers, kind.method, status, kind.protocol)
        if kind.prepared:
            meters.add(names.REQUESTS_HOT, tally.answers)
        quick = tally.answers - tally.slow
        meters.observe_quick(names.REQUEST_SECONDS, quick, tally.seconds, status)
        meters.observe_quick(names.FIRST_BYTE_SECONDS, quick, tally.seconds, status)
        if kind.download:
            meters.add(names.DOWNLOADS, tally.answers, "complete")
        if kind.cache:
            meters.add(names.CACHE_ANSWERS, tally.answers, kind.cache)
        self.count_verdict(kind.verdict, tally.bytes, tally.answers)
        self.sent += tally.bytes

"""Readers that stop hold little memory, make nobody wait, and are gone in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tests.siege.bystanders import idle, watching
from tests.siege.criteria import Criterion, at_least, at_most, latency, own_work, within
from tests.siege.downloads import read_whole
from tests.siege.objects import MIB
from tests.siege.readers import stopped
from tests.siege.stage import IN_FLIGHT, Stage, Wish, over_directory, over_store

_MOST_MEMORY = 160
# Seconds within which they must be gone once the stall timeout is over.
_GONE_WITHIN = 5.0
# Seconds until those that have asked are counted.
_ALL_BEGUN = 2.0
# Descriptors that may come and go by themselves: bystanders' and the operator's.
_ASIDE = 4


def slow(seconds: float, scale: int, only: str) -> Iterator[Criterion]:
    """`scale` readers stop for so long, which is the stall timeout too. The object has a GiB, or in
    short as many MiB as there are readers."""
    size = 1024 if scale >= 1000 else max(16, scale // 8 * 8)
    wish = Wish(size=size * MIB, stall=seconds)
    for origin in ("directory", "cache", "store"):
        if only not in ("", origin):
            continue
        with _over(origin, wish) as stage:
            for tls in (False, True):
                what = f"{origin}{', TLS' if tls else ''}"
                yield from _stop(what, stage, scale, tls=tls, asks_store=origin == "store")


def _over(origin: str, wish: Wish) -> AbstractContextManager[Stage]:
    if origin == "directory":
        return over_directory(wish)
    return over_store(wish, cached=origin == "cache")


def _stop(
    what: str, stage: Stage, scale: int, *, tls: bool, asks_store: bool
) -> Iterator[Criterion]:
    seconds = float(stage.program.settings["server"]["stall_timeout"].rstrip("s"))
    read_whole(stage)  # so that caches hold what they may, and it is the readers that are measured
    [worker] = stage.workers
    before = idle(stage.port, min(seconds, 5), worker)
    rest, descriptors = stage.memory(), stage.descriptors()
    counts = [("http1", scale // 2), ("full", scale // 4), ("shut", scale // 4)]
    peak = 0
    with stopped(stage.tls_port if tls else stage.port, counts, tls=tls):
        at_once = _most_at_once(stage, scale)
        with watching(stage.port, worker, stage.store() if asks_store else None) as others:
            until = time.monotonic() + seconds * 0.9
            while time.monotonic() < until:
                peak = max(peak, stage.memory())
                time.sleep(0.5)
        left = seconds * 0.1 + _GONE_WITHIN
        took = stage.until_at_rest(descriptors + _ASIDE, left + 30)
        over = max(0.0, took - seconds * 0.1)
        more = stage.descriptors() - descriptors
        left_over = f"{stage.metric(IN_FLIGHT):g} in flight and {more:+} descriptors are left"
    after = idle(stage.port, min(seconds, 5), worker)
    # The first are given up before the last have come where those take as long as the timeout.
    yield at_least(f"{what}: readers that have stopped at once", at_once, scale, timed=True)
    yield at_most(f"{what}: memory above rest", (peak - rest) / MIB, _MOST_MEMORY, " MiB")
    quiet = before.latencies + after.latencies
    yield latency(what, quiet, others.latencies, store=others.store)
    yield own_work(what, before.worked + after.worked, others.worked)
    faults = before.faults + others.faults + after.faults
    yield at_most(f"{what}: others' faults {faults[:3] or ''}", len(faults), 0)
    yield within(f"{what}: gone after the stall timeout; {left_over}", over, _GONE_WITHIN)


def _most_at_once(stage: Stage, scale: int) -> float:
    """How many requests are in flight, once all are that will be."""
    most, until = stage.metric(IN_FLIGHT), time.monotonic() + _ALL_BEGUN
    while most < scale and time.monotonic() < until:
        most = max(most, stage.metric(IN_FLIGHT))
    return most

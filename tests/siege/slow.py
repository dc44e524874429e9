"""Readers that stop hold little memory, make nobody wait, and are gone in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tests.siege.bystanders import idle, watching
from tests.siege.criteria import Criterion, at_most, latency, within
from tests.siege.downloads import read_whole
from tests.siege.objects import MIB
from tests.siege.readers import stopped
from tests.siege.stage import Stage, Wish, over_directory, over_store

_MOST_MEMORY = 160
# Seconds within which they must be gone once the stall timeout is over.
_GONE_WITHIN = 5.0
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
                yield from _stop(f"{origin}{', TLS' if tls else ''}", stage, scale, tls=tls)


def _over(origin: str, wish: Wish) -> AbstractContextManager[Stage]:
    if origin == "directory":
        return over_directory(wish)
    return over_store(wish, cached=origin == "cache")


def _stop(what: str, stage: Stage, scale: int, *, tls: bool) -> Iterator[Criterion]:
    seconds = float(stage.program.settings["server"]["stall_timeout"].rstrip("s"))
    read_whole(stage)  # so that caches hold what they may, and it is the readers that are measured
    before = idle(stage.port, min(seconds, 5))
    rest, descriptors = stage.memory(), stage.descriptors()
    counts = [("http1", scale // 2), ("full", scale // 4), ("shut", scale // 4)]
    peak = 0
    with stopped(stage.tls_port if tls else stage.port, counts, tls=tls):
        with watching(stage.port) as others:
            until = time.monotonic() + seconds * 0.9
            while time.monotonic() < until:
                peak = max(peak, stage.memory())
                time.sleep(0.5)
        left = seconds * 0.1 + _GONE_WITHIN
        took = stage.until_at_rest(descriptors + _ASIDE, left + 30)
    after = idle(stage.port, min(seconds, 5))
    quiet = before.latencies + after.latencies
    yield at_most(f"{what}: memory above rest", (peak - rest) / MIB, _MOST_MEMORY, " MiB")
    yield latency(what, quiet, others.latencies)
    faults = before.faults + others.faults + after.faults
    yield at_most(f"{what}: others' faults {faults[:3] or ''}", len(faults), 0)
    over = max(0.0, took - seconds * 0.1)
    yield within(f"{what}: gone after the stall timeout", over, _GONE_WITHIN)

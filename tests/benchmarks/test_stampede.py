"""What a stampede is judged by; and that a small one, without a cache, is played and counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.cached import MIB, put
from tests.benchmarks.crowd import Seen
from tests.benchmarks.stampede import Outcome, Stampede, report, stampede
from tests.faults.control import Faults
from tests.load import machine
from tests.servers import SeaweedFS

GOOD = Outcome(Seen(right=4, seconds=1.0, slow_bytes=10), 100, 4, 1, 0, 100, [MIB])


def test_verdicts() -> None:
    assert (GOOD.is_right, GOOD.waited, GOOD.amplification) == (True, "nobody", 1.0)
    for seen, waited in (
        (
            Seen(right=3, failed=1, slow_bytes=10),
            "not known, not all others were done while it read",
        ),
        (Seen(right=4, slow_bytes=10, slow_cut=True), "it was cut"),
        (Seen(right=4, slow_bytes=10, slow_right=False), "nobody"),
    ):
        outcome = replace(GOOD, seen=seen)
        assert (outcome.is_right, outcome.waited) == (False, waited)
    assert replace(GOOD, seen=Seen(right=4)).waited == "there was none, or it got nothing"


@pytest.mark.servers
def test_without_a_cache_the_store_is_asked_once_for_each_client(seaweedfs: SeaweedFS) -> None:
    size = 4 * MIB
    with Faults(seaweedfs) as faults:
        put(seaweedfs, "a-stampede", size)
        plan = Stampede("a-stampede", size, clients=10, cache=None, join=0.2, limit=60.0)
        outcome = stampede(faults, machine.share(), plan)
    assert outcome.is_right, report(outcome)
    assert outcome.gets == 11
    assert 10 < outcome.amplification <= 11
    assert len(outcome.memory) >= 1

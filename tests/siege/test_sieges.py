"""Each siege in short: what is counted must hold, however busy the machine is.

How they are laid in full, and what came of it, is in docs/benchmarks.md.
"""

from __future__ import annotations

import math

import pytest

from tests.siege.__main__ import SIEGES
from tests.siege.criteria import Criterion, at_least, at_most, at_p99, latency, own_work

# Seconds, scale, and a part of each.
SHORT = [
    ("slow", 2.0, 40, "directory"),
    ("slow", 2.0, 40, "cache"),
    ("slow", 2.0, 40, "store"),
    ("floods", 0.5, 50, "pings"),
    ("floods", 0.5, 50, "hpack bomb"),
    ("floods", 0.5, 50, "tiny windows"),
    ("floods", 0.5, 50, "tiny increments"),
    ("resets", 1.0, 20, ""),
    ("drain", 3.0, 100, ""),
    ("workers", 4.0, 200, ""),
    ("supervisor", 3.0, 200, ""),
    ("descriptors", 3.0, 200, ""),
]


@pytest.mark.servers
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "seconds", "scale", "only"), SHORT)
def test_what_is_counted_holds(name: str, seconds: float, scale: int, only: str) -> None:
    siege, _, _ = SIEGES[name]
    criteria = list(siege(seconds, scale, only))
    assert len(criteria) > 2
    assert [str(one) for one in criteria if not (one.timed or one.met)] == []


def test_every_siege_is_laid() -> None:
    assert {name for name, *_ in SHORT} == set(SIEGES)


def test_a_criterion_is_met_or_missed() -> None:
    assert at_most("a", 3, 3).met
    assert not at_most("a", 4, 3).met
    assert at_least("a", 3, 3).met
    assert not at_least("a", 2, 3).met
    assert not Criterion("a", math.nan, 3).met


def test_others_wait_twice_as_long_or_20_ms() -> None:
    assert latency("", [1.0], [20.0]).met
    assert not latency("", [1.0], [20.1]).met
    assert latency("", [30.0], [60.0]).met
    assert not latency("", [30.0], []).met


def test_what_a_busy_machine_does_is_said_beside() -> None:
    line = str(latency("pings", [1.0], [9.0], [7.0]))
    assert "others' p99 (idle 1.0 ms, with a machine as busy 7.0 ms): 9 ms" in line


def test_what_the_store_takes_itself_is_said_beside() -> None:
    line = str(latency("slow", [1.0], [9.0], store=[7.0]))
    assert "others' p99 (idle 1.0 ms, the store itself meanwhile 7.0 ms): 9 ms" in line
    assert not latency("slow", [1.0], [20.1], store=[30.0]).met


def test_the_servers_own_part_has_the_limit_of_the_whole() -> None:
    assert own_work("", [1.0], [20.0]).met
    assert not own_work("", [1.0], [20.1]).met
    assert not own_work("", [30.0], []).met


def test_the_99th_percentile_is_by_nearest_rank() -> None:
    assert at_p99([float(one) for one in range(1, 101)]) == 99
    assert at_p99([5.0]) == 5
    assert at_p99([]) == math.inf


def test_a_line_says_what_was_wanted_and_what_came() -> None:
    assert str(at_most("memory", 200, 160, " MiB")) == "MISSED  memory: 200 MiB (at most 160 MiB)"
    assert str(at_least("whole", 5, 5)) == "met     whole: 5 (at least 5)"

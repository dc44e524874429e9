"""Stretches of work, chores, and faults that are survived."""

from __future__ import annotations

from itertools import pairwise
from time import monotonic

import pytest

from proxy.cache.upkeep.pacing import Pace


def test_work_is_cut_into_short_stretches() -> None:
    pauses: list[float] = []
    pace = Pace(lambda _: pauses.append(monotonic()))
    until = monotonic() + 0.05
    while monotonic() < until:
        pace.breathe()
    assert len(pauses) > 3
    assert all(later - earlier >= 0.001 for earlier, later in pairwise(pauses))


def test_what_ends_the_work_is_raised_by_the_pause() -> None:
    def end(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pace(end).breathe()


def test_a_chore_is_due_at_once_then_not_for_a_while() -> None:
    pace = Pace(lambda _: None)
    assert pace.is_due("a", 1000)
    assert not pace.is_due("a", 1000)
    assert pace.is_due("b", 0)
    assert pace.is_due("b", 0)
    pace.put_off("b", 1000)
    assert not pace.is_due("b", 0)


def test_faults_are_counted_and_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace(lambda _: None)
    for _ in range(5):
        pace.failed(PermissionError(13, "Permission denied", "a"))
    assert pace.errors == 5
    assert [record.getMessage() for record in caplog.records] == [
        "the cache's directory: [Errno 13] Permission denied: 'a'"
    ]

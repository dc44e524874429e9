"""The pacer, by a clock that the test turns: nothing here is timed."""

from __future__ import annotations

import pytest

from tests.faults.relay import Pacer


def seconds_for(pacer: Pacer, pieces: list[int], late: float = 0.0) -> float:
    """How long sending takes when each wait ends `late` seconds after its time."""
    now = 0.0
    for piece in pieces:
        now += pacer.wait(piece, now) + late
    return now


@pytest.mark.parametrize("pieces", [[1000] * 100, [1] * 1000 + [99_000], [100_000]])
def test_the_rate_is_kept_whatever_the_pieces(pieces: list[int]) -> None:
    assert seconds_for(Pacer(50_000.0, 0.0), pieces) == pytest.approx(2.0)


def test_what_wakes_up_late_makes_up_for_it() -> None:
    assert seconds_for(Pacer(50_000.0, 0.0), [1000] * 100, late=0.01) == pytest.approx(
        2.0, rel=0.01
    )


def test_a_client_that_paused_gets_no_burst() -> None:
    pacer = Pacer(1000.0, 0.0)
    assert pacer.wait(1000, 0.0) == 1.0
    assert pacer.wait(1000, 60.0) == pytest.approx(1.0, abs=0.051)
    assert pacer.wait(1000, 61.0) == pytest.approx(1.0, abs=0.051)


def test_no_rate_is_no_limit() -> None:
    assert Pacer(0.0, 0.0).wait(10**12, 0.0) == 0.0

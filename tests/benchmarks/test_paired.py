"""Ratios of pairs: a drift cancels, an interval is no narrower than the rounds allow."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.paired import CONFIDENCE, FEWEST, Pair, Sure, ratio, sure
from tests.benchmarks.streaming import Row

VALUES = st.lists(st.floats(0.1, 10), min_size=1, max_size=40)


@given(st.floats(0.5, 2), st.floats(0.1, 1000), st.floats(-0.2, 0.2))
def test_a_steady_drift_within_a_round_cancels(true: float, speed: float, drift: float) -> None:
    plain = [speed, speed * math.exp(3 * drift)]
    other = [true * speed * math.exp(drift), true * speed * math.exp(2 * drift)]
    assert ratio(plain, other) == pytest.approx(true)


@given(VALUES)
def test_the_median_lies_within_its_interval(values: list[float]) -> None:
    found = sure(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


@pytest.mark.parametrize(
    ("count", "cut"), [(6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (15, 3), (20, 5), (40, 13)]
)
def test_the_interval_is_that_of_the_sign_test(count: int, cut: int) -> None:
    """As in any table of the sign test at 5 %."""
    values = [float(one) for one in range(count)]
    random.Random(1).shuffle(values)
    found = sure(values)
    assert (found.low, found.high) == (cut, count - 1 - cut)
    assert found.confidence >= CONFIDENCE


def test_too_few_rounds_decide_nothing() -> None:
    assert sure([1.0] * FEWEST).is_at_least(0.95) == "yes"
    assert sure([1.0] * (FEWEST - 1)).is_at_least(0.95) == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.95, 1.0, "yes"), (0.94, 1.0, "undecided"), (0.9, 0.949, "no"), (0.9, 0.95, "undecided")],
)
def test_what_is_decided(low: float, high: float, said: str) -> None:
    assert Sure((low + high) / 2, low, high, 0.96).is_at_least(0.95) == said


def test_a_round_is_plain_other_other_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(row: Row, size: int) -> None:
        asked.append(row.name)
        slower = 2.0 if row.name == "other" else 1.0
        row.speeds.append(size / slower)
        row.costs.append(slower)

    monkeypatch.setattr(Row, "run", run)
    pair = Pair("a", Row("plain", "", lambda: 0), Row("other", "", lambda: 0))
    pair.run(8)
    assert asked == ["plain", "other", "other", "plain"]
    assert [*pair.speeds, *pair.costs] == pytest.approx([0.5, 0.5])
    pair.clear()
    assert not any((pair.speeds, pair.costs, pair.plain.speeds, pair.other.costs))

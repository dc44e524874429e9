"""Budgets of frames: honest clients stay below, floods do not, and time refills."""

from __future__ import annotations

import pytest

from proxy.server.http2.budgets import Budget, Kind
from proxy.server.http2.faults import ConnectionFault
from tests.server.http2.driving import Clock


def spent(budget: Budget, kind: Kind, most: int = 10_000) -> int:
    """How many it allowed."""
    for count in range(most):
        try:
            budget.spend(kind)
        except ConnectionFault:
            return count
    return most


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_runs_out_and_comes_back(kind: Kind) -> None:
    clock = Clock()
    budget = Budget(clock)
    first = spent(budget, kind)
    assert 10 <= first <= 500
    assert spent(budget, kind) == 0
    clock.now += 7
    assert 1 <= spent(budget, kind) <= first
    clock.now += 10_000
    assert spent(budget, kind) == first


def test_one_every_now_and_then_never_runs_out() -> None:
    clock = Clock()
    budget = Budget(clock)
    for _ in range(2000):
        clock.now += 1
        budget.spend(Kind.PING)


def test_kinds_do_not_share() -> None:
    budget = Budget(Clock())
    spent(budget, Kind.RESET)
    budget.spend(Kind.PING)


def test_bytes_and_requests_entitle_to_window_updates() -> None:
    budget = Budget(Clock())
    for _ in range(20_000):
        budget.earn(8192)
        budget.earn_request()
        for _ in range(4 + 2):
            budget.spend(Kind.UPDATE)

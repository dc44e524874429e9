"""Budgets of frames: honest clients stay below, floods do not, and time refills."""

from __future__ import annotations

import h2.events
import pytest

from proxy.server.floods import Budget

RESET = h2.events.StreamReset(stream_id=1)
UPDATE = h2.events.WindowUpdated(stream_id=1, delta=1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def allowed(budget: Budget, event: h2.events.Event, most: int = 100_000) -> int:
    for count in range(most):
        if not budget.allows(event):
            return count
    return most


@pytest.mark.parametrize(
    "event",
    [
        RESET,
        UPDATE,
        h2.events.PingReceived(ping_data=b"12345678"),
        h2.events.RemoteSettingsChanged(),
        h2.events.PriorityUpdated(),
        h2.events.DataReceived(stream_id=1, data=b"", flow_controlled_length=0),
    ],
)
def test_each_kind_runs_out_and_comes_back(event: h2.events.Event) -> None:
    clock = Clock()
    budget = Budget(clock)
    first = allowed(budget, event)
    assert 10 <= first <= 5000
    assert not budget.allows(event)
    clock.now += 1000
    assert allowed(budget, event) == first


def test_kinds_do_not_share() -> None:
    budget = Budget(Clock())
    allowed(budget, RESET)
    assert budget.allows(UPDATE)


def test_bodies_and_requests_are_free() -> None:
    budget = Budget(Clock())
    data = h2.events.DataReceived(stream_id=1, data=b"a", flow_controlled_length=1)
    assert allowed(budget, data) == 100_000
    request = h2.events.RequestReceived(stream_id=1, headers=[])
    assert allowed(budget, request) == 100_000


def test_bytes_sent_entitle_to_window_updates() -> None:
    budget = Budget(Clock())
    for _ in range(20_000):
        budget.earn(16_384)
        assert budget.allows(UPDATE)
        assert budget.allows(UPDATE)

"""How long to wait before a worker is replaced, and how addresses are named."""

from __future__ import annotations

import pytest

from proxy.errors import StartError
from proxy.server.crew import ServingPlan, next_delay
from proxy.server.tls import TLSFiles


def test_the_wait_doubles_to_a_limit_and_starts_anew() -> None:
    delays, last = [], 0.0
    for _ in range(8):
        last = next_delay(last, lived=0.5, served=False)
        delays.append(last)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert next_delay(5.0, lived=10, served=True) == 0.1


def test_whoever_kills_workers_that_serve_does_not_take_the_capacity() -> None:
    assert [next_delay(last, lived=3, served=True) for last in (0.1, 0.2, 0.4, 5.0)] == [
        0.2, 0.4, 0.4, 0.4
    ]  # fmt: skip


def test_addresses_are_named_by_themselves_but_for_port_0() -> None:
    files = TLSFiles(("a:0", "a:2"), "c", "k")
    plan = ServingPlan(("a:0", "a:1"), b"", tls=files, admin_bind="a:0")
    served = {"clear a:0": "a:0", "a:1": "a:1", "tls a:0": "a:0", "a:2": "a:2"}
    assert plan.served == served
    assert plan.addresses == {**served, "admin a:0": "a:0"}


def test_an_address_has_one_use() -> None:
    with pytest.raises(StartError, match="a:1 is given twice"):
        _ = ServingPlan(("a:1",), b"", admin_bind="a:1").addresses

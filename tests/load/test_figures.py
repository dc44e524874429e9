from __future__ import annotations

import pytest

from tests.load import figures as f
from tests.load.runs import run


def test_what_a_steady_run_says() -> None:
    found = {one.kind: one for one in f.figures(run())}
    assert found[f.REQUESTS].value == pytest.approx(100)
    assert found[f.REQUESTS].error == pytest.approx(0, abs=1e-9)
    assert found[f.THROUGHPUT].value == pytest.approx(100)
    assert found[f.MEDIAN].value == 10
    assert found[f.CPU].value == pytest.approx(9)  # 0.9 s a second over 100 requests a second
    assert found[f.MEMORY].value == 100
    assert found[f.WRONG].value == 0


def test_what_was_not_watched_is_left_out() -> None:
    unwatched = run(samples=[{"t": float(t), "reqs": 5.0 * t} for t in range(9)])
    kinds = {one.kind for one in f.figures(unwatched)}
    assert f.REQUESTS in kinds
    assert kinds.isdisjoint({f.CPU, f.MEMORY, f.THROUGHPUT})
    assert f.disturbance(unwatched) == 0


def test_a_run_that_wavers_has_an_error() -> None:
    samples = [{"t": float(t), "reqs": 100.0 * t + (30 if t % 2 else 0)} for t in range(20)]
    found = {one.kind: one for one in f.figures(run(samples=samples))}
    assert 0.05 < found[f.REQUESTS].error < 0.3


def test_what_others_took_of_the_machine() -> None:
    assert f.disturbance(run()) == pytest.approx(0)
    assert f.disturbance(run(others=0.25)) == pytest.approx(0.25)


def test_two_looks_at_the_same_moment_make_no_rate() -> None:
    seen = run(samples=[{"t": 1.0, "reqs": 1.0}, {"t": 1.0, "reqs": 5.0}, {"t": 2.0, "reqs": 7.0}])
    assert f.rates(seen, "reqs") == [(2.0, 2.0)]


def test_what_the_origin_sent_for_a_byte_that_went_out() -> None:
    counted = {"headgate_sent_bytes_total": 1000.0, "headgate_origin_bytes_total": 250.0}
    found = {one.kind: one.value for one in f.figures(run(counted=counted))}
    assert found[f.AMPLIFICATION] == 0.25
    assert f.AMPLIFICATION not in {one.kind for one in f.figures(run())}

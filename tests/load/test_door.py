from __future__ import annotations

from pathlib import Path

from tests.load import door

BEFORE = """# TYPE headgate_sent_bytes_total counter
headgate_sent_bytes_total 100.0
headgate_origin_bytes_total{origin="media"} 1e3
headgate_requests_in_flight 7
"""
AFTER = """headgate_sent_bytes_total 350.0
headgate_origin_bytes_total{origin="media"} 1500.0
headgate_origin_bytes_total{origin="a b} 1"} 5
headgate_requests_in_flight 9
"""


def test_what_was_counted_in_a_run(tmp_path: Path) -> None:
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text(BEFORE)
    assert door.gained(before, after) == {}
    after.write_text(AFTER)
    assert door.gained(before, after) == {
        "headgate_sent_bytes_total": 250,
        "headgate_origin_bytes_total": 505,
    }


def test_what_cannot_be_had_is_said_and_left_out(tmp_path: Path) -> None:
    assert not door.save("http://127.0.0.1:9/metrics", tmp_path / "metrics-before.txt")
    assert not (tmp_path / "metrics-before.txt").exists()


def test_a_run_that_is_over_at_once_has_no_profile(tmp_path: Path) -> None:
    with door.profile("http://127.0.0.1:9", 5, tmp_path / "profile.html"):
        pass
    assert not (tmp_path / "profile.html").exists()

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.load import door
from tests.servers.running import InThread

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


class BusyAtFirst(BaseHTTPRequestHandler):
    """A door at which another measurement runs when it is asked for the first time."""

    statuses: list[int]

    def do_GET(self) -> None:
        self.send_response(self.statuses.pop(0))
        self.end_headers()
        self.wfile.write(b"a profile")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_profile_waits_for_another_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_PROFILE_AFTER", 0.0)
    monkeypatch.setattr(BusyAtFirst, "statuses", [429, 200], raising=False)
    path = tmp_path / "profile.html"
    with (
        InThread(HTTPServer(("127.0.0.1", 0), BusyAtFirst)) as server,
        door.profile(server.endpoint, 1, path),
    ):
        until = time.monotonic() + 20
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.01)
    assert path.read_bytes() == b"a profile"

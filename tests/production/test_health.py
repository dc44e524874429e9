from __future__ import annotations

import http.server
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.production.health import ask, main
from tests.servers.process import free_ports
from tests.servers.running import InThread


class Door(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:  # the base's name
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with InThread(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)) as door:
        yield door.port


def test_it_asks_where_it_is_told(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(f"127.0.0.1:{port}") == 200
    assert main([f"localhost:{port}"]) == 0
    monkeypatch.setenv("HEADGATE_ADMIN__BIND", f"0.0.0.0:{port}")
    assert main([]) == 0


def test_another_answer_or_none_is_told_in_a_line(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Door, "status", 500)
    assert main([f"127.0.0.1:{port}"]) == 1
    assert "answered 500" in capsys.readouterr().err
    (nobody,) = free_ports(1)
    assert main([f"127.0.0.1:{nobody}"]) == 1
    assert main(["no address"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_as_a_module_it_needs_the_standard_library_only(port: int) -> None:
    command = [sys.executable, "-S", "-m", "proxy.production.health", f"127.0.0.1:{port}"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, env=environment, check=False).returncode == 0

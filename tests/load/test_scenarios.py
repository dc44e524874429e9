"""The scenarios against servers that lie: each lie has to fail the run.

The server is a few lines of the standard library, right or wrong as told. What Headgate makes of
the scenarios is seen by `just load`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from proxy.admin.openapi import DESCRIPTION
from tests.e2e.program import Headgate
from tests.load import data
from tests.load.scenarios import SCENARIOS, seconds
from tests.servers.process import program
from tests.servers.running import InThread

ROOT = Path(__file__).resolve().parents[2]
CROSSED = 99  # k6's exit code for a threshold

Answer = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Answers a GET with or without a range from files, by way of the server's `answer`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        content = (self.server.root / self.path.lstrip("/")).read_bytes()
        asked = self.headers.get("Range")
        if asked is None:
            self.server.answer(self, content, 200)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        self.range = (int(first), int(last))
        self.size = len(content)
        self.server.answer(self, content[int(first) : int(last) + 1], 206)

    def head(self, status: int, length: int, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if status == 206:
            first, last = self.range
            self.send_header("Content-Range", f"bytes {first}-{last}/{self.size}")
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root: Path, answer: Answer) -> None:
        self.root, self.answer = root, answer
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of the test."""


def right(handler: Handler, body: bytes, status: int) -> None:
    handler.head(status, len(body))
    handler.wfile.write(body)


def one_bit_wrong(handler: Handler, body: bytes, status: int) -> None:
    right(handler, bytes([body[0] ^ 1]) + body[1:], status)


def cut_short(handler: Handler, body: bytes, status: int) -> None:
    handler.head(status, len(body))
    handler.wfile.write(body[:-1])
    handler.close_connection = True


def shorter(handler: Handler, body: bytes, status: int) -> None:
    right(handler, body[:-1], status)


def range_of_something_else(handler: Handler, body: bytes, status: int) -> None:
    if status == 206:
        handler.size += 1
    right(handler, body, status)


def rude(handler: Handler, body: bytes, status: int) -> None:
    handler.head(503, 0)


def polite(handler: Handler, body: bytes, status: int) -> None:
    handler.head(503, 0, Retry_After="1")


@contextmanager
def serving(root: Path, answer: Answer) -> Iterator[str]:
    with InThread(Server(root, answer)) as server:
        yield server.endpoint + "/"


def play(
    script: Path, url: str, directory: Path, *command: str, **told: str
) -> subprocess.CompletedProcess[str]:
    """Plays a script, two users for a second; with its summary in `directory`."""
    return subprocess.run(
        command or [program("k6"), "run", "--quiet", "--address", "", str(script)],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "BASE_URL": url,
            "MANIFEST": str(directory / "manifest.json"),
            "OUT": str(directory),
            "USERS": "2",
            "DURATION": "1s",
            "RATE": "1048576",
            "K6_NO_USAGE_REPORT": "true",
            **told,
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path, small: None) -> Path:
    """Two small objects, their manifest beside them."""
    data.make(tmp_path)
    return tmp_path


@pytest.mark.servers
@pytest.mark.parametrize(
    ("answer", "code", "failing"),
    [
        (right, 0, set()),
        (one_bit_wrong, CROSSED, {"bytes are the object's", "wrong_bytes: count==0"}),
        (cut_short, CROSSED, {"body came to its end", "unexplained: count==0"}),
        (shorter, CROSSED, {"Content-Length is right", "unexplained: count==0"}),
        (range_of_something_else, CROSSED, {"Content-Range is right"}),
        (rude, CROSSED, {"status is as expected", "unexplained: count==0"}),
        (polite, CROSSED, {"status is as expected"}),  # `files` has no reason to be refused
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_lie_fails_the_run(root: Path, answer: Answer, code: int, failing: set[str]) -> None:
    with serving(root / "objects", answer) as url:
        done = play(ROOT / "k6/files.js", url, root)
    assert done.returncode == code, done.stdout + done.stderr
    cases = ET.parse(root / "junit.xml").getroot().findall("testcase")
    assert len(cases) >= 8
    failed = {case.attrib["name"] for case in cases if case.find("failure") is not None}
    assert failing <= failed
    assert bool(failing) == bool(failed)
    assert json.loads((root / "summary.json").read_text())["metrics"]["http_reqs"]


@pytest.mark.servers
@pytest.mark.parametrize(("answer", "code"), [(right, 0), (polite, CROSSED), (rude, CROSSED)])
def test_who_refuses_everybody_serves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, code: int
) -> None:
    monkeypatch.setattr(data, "sizes", lambda: {"cold": {"cold/new.bin": 5000}})
    data.make(tmp_path)
    with serving(tmp_path / "objects", answer) as url:
        done = play(ROOT / "k6/stampede.js", url, tmp_path)
    assert done.returncode == code, done.stdout + done.stderr


def cached_directory(root: Path) -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
[admin]
bind = "127.0.0.1:0"
debug = "on"
[log]
access = false
[origins.files]
type = "directory"
root = "{root / "objects"}"
cache = true
[[mounts]]
path = "/media/"
origin = "files"
"""


@pytest.fixture
def ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        data, "sizes", lambda: {"ladder": {"ladder/a.bin": 5, "ladder/b.bin": 9999}}
    )
    data.make(tmp_path)
    return tmp_path


@pytest.mark.servers
def test_every_endpoint_of_the_operators_door_is_asked(ladder: Path) -> None:
    text = cached_directory(ladder) + f'[cache]\ndirectory = "{ladder}/cache"\n'
    listed = ladder / "listed.json"
    command = [program("k6"), "run", "--quiet", "--address", "", "--out", f"json={listed}"]
    with Headgate(text) as ours:
        told = {"ADMIN_URL": ours.admin_url, "SERVER_PID": str(ours.pid), "USERS": "20"}
        done = play(Path(), f"{ours.url}/media/", ladder, *command, str(ROOT / "k6/api.js"), **told)
    assert done.returncode == 0, done.stdout + done.stderr
    described = {
        f"admin {method.upper()} {path}"
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations
    }
    asked = set(re.findall(r'"name":"(admin [^"]+)"', listed.read_text()))
    assert asked == described
    assert {"admin GET /cache", "admin POST /cache/purge", "admin POST /cache/warm"} <= asked


@pytest.mark.servers
@pytest.mark.parametrize(("told", "code"), [({}, 0), ({"SERVER_PID": "1"}, CROSSED)])
def test_only_a_target_that_was_named_may_lack_a_cache(
    ladder: Path, told: dict[str, str], code: int
) -> None:
    with Headgate(cached_directory(ladder).replace("cache = true", "")) as ours:
        done = play(
            ROOT / "k6/api.js", f"{ours.url}/media/", ladder, ADMIN_URL=ours.admin_url, **told
        )
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.servers
def test_a_script_that_breaks_fails_the_run(root: Path) -> None:
    script = root / "broken.js"
    script.write_text(
        f"""
        import {{ user }} from '{ROOT}/k6/lib/ask.js';
        import {{ options as make }} from '{ROOT}/k6/lib/settings.js';
        export const options = make({{ one: {{ executor: 'per-vu-iterations', vus: 1 }} }});
        export default user(() => {{ null.length; }});
        """
    )
    assert play(script, "http://127.0.0.1:9/", root).returncode == CROSSED


@pytest.mark.servers
def test_nobody_there_fails_the_run(root: Path) -> None:
    assert play(ROOT / "k6/files.js", "http://127.0.0.1:9/", root).returncode == CROSSED


@pytest.mark.servers
@pytest.mark.parametrize(
    ("answer", "code"),
    [(right, 0), (one_bit_wrong, CROSSED), (cut_short, CROSSED), (rude, CROSSED)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_slow_readers_see_lies_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, code: int
) -> None:
    sizes = {"bulk": {"bulk/a.bin": 4 * data.BLOCK}, "ladder": {"ladder/b.bin": 5000}}
    monkeypatch.setattr(data, "sizes", lambda: sizes)
    data.make(tmp_path)
    with serving(tmp_path / "objects", answer) as url:
        done = play(Path(), url, tmp_path, sys.executable, "-m", "tests.load.slow")
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_scenario_has_its_script_and_its_data(name: str) -> None:
    script = ROOT / ("tests/load/slow.py" if name == "slow" else f"k6/{name}.js")
    assert script.exists()
    assert data.sizes().keys() >= SCENARIOS[name].groups


@pytest.mark.parametrize("script", sorted((ROOT / "k6").rglob("*.js")), ids=lambda path: path.name)
def test_scripts_import_nothing_from_elsewhere(script: Path) -> None:
    assert "://" not in script.read_text().replace("http://127.0.0.1", "")
    names = {one.stem for one in (ROOT / "k6").glob("*.js")}
    assert names == SCENARIOS.keys() - {"slow"}


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("500ms", 0.5)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "90", "s", "1h x", "-5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


def test_a_run_is_cut_some_time_after_its_duration() -> None:
    assert SCENARIOS["soak"].limit("10m") == 720
    assert SCENARIOS["soak"].limit(None) == 3720

from __future__ import annotations

import http.server
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path

import pytest

from proxy.config.origins import DirectoryOrigin, S3Origin
from proxy.production.findings import Finding
from proxy.production.origins import check_origin, clock_skew
from tests.servers import SeaweedFS
from tests.servers.process import free_ports
from tests.servers.running import InThread


class Clock(http.server.BaseHTTPRequestHandler):
    """Answers with the time of `ahead` seconds from now, or with none."""

    ahead: float | None = 0.0

    def do_HEAD(self) -> None:  # the base's name
        self.send_response_only(403)
        if self.ahead is not None:
            self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815  # likewise

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def clock() -> Iterator[Callable[[float | None], str]]:
    """Starts a store whose clock is wrong by so much; gives its address."""
    servers = ExitStack()

    def start(ahead: float | None) -> str:
        handler = type("Ahead", (Clock,), {"ahead": ahead})
        server = InThread(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        return servers.enter_context(server).endpoint

    with servers:
        yield start


def store(endpoint: str, **options: object) -> S3Origin:
    given = {"type": "s3", "bucket": "media", "endpoint": endpoint, **options}
    return S3Origin.model_validate(given)


def severities(found: list[Finding]) -> list[str]:
    return [one.severity for one in found]


@pytest.mark.servers
def test_a_store_that_answers_is_well(seaweedfs: SeaweedFS) -> None:
    table = store(
        seaweedfs.endpoint,
        bucket=seaweedfs.bucket,
        access_key_id=seaweedfs.access_key_id,
        secret_access_key=seaweedfs.secret_access_key,
    )
    found = list(check_origin("media", table))
    assert [one.about for one in found] == ["origins.media"] * 2
    assert "error" not in severities(found)
    assert found[1].severity == "ok"


@pytest.mark.servers
def test_wrong_credentials_are_an_error_that_names_the_option(seaweedfs: SeaweedFS) -> None:
    table = store(
        seaweedfs.endpoint,
        bucket=seaweedfs.bucket,
        access_key_id=seaweedfs.access_key_id,
        secret_access_key="wrong",
    )
    first, _ = check_origin("media", table)
    assert first.severity == "error"
    assert "secret_access_key" in first.said


def test_a_store_that_is_not_there() -> None:
    (port,) = free_ports(1)
    found = list(check_origin("media", store(f"http://127.0.0.1:{port}", unsigned=True)))
    assert severities(found) == ["error", "warning"]


@pytest.mark.parametrize(
    ("ahead", "severity", "words"),
    [
        (0, "ok", ""),
        (-120, "warning", "120 s ahead"),
        (120, "warning", "120 s behind"),
        (-1200, "error", "ahead"),
        (None, "warning", "no Date"),
    ],
)
def test_clocks_are_compared(
    clock: Callable[[float | None], str], ahead: float | None, severity: str, words: str
) -> None:
    found = list(check_origin("media", store(clock(ahead), unsigned=True)))
    assert found[-1].severity == severity
    assert words in found[-1].said


def test_the_difference_is_known_to_a_second(clock: Callable[[float | None], str]) -> None:
    assert clock_skew(clock(-500), None) == pytest.approx(500, abs=1.5)


def test_a_directory(tmp_path: Path) -> None:
    (finding,) = check_origin("files", DirectoryOrigin(type="directory", root=tmp_path))
    assert finding.severity == "ok"
    missing = DirectoryOrigin(type="directory", root=tmp_path / "missing")
    (finding,) = check_origin("files", missing)
    assert finding.severity == "error"

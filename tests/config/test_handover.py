"""Settings come out of the handover as they went in, secrets and all."""

from __future__ import annotations

from pathlib import Path

from proxy.config import dump_for_worker, load_from_supervisor, made_for_worker
from tests.config.helpers import load_text

TEXT = """
[server]
bind = ["unix:/run/h.sock", "[::1]:8080"]
workers = "auto"
stall_timeout = "1234ms"
max_header_size = 12345
[origins.a]
type = "s3"
bucket = "media"
endpoint = "https://store.example"
access_key_id = "id"
secret_access_key_file = "secret"
[origins.b]
type = "directory"
root = "data"
[[mounts]]
path = "/a"
origin = "a"
precompressed = ["br"]
error_pages = { 404 = "errors/404.html" }
[[mounts]]
path = "/b"
origin = "b"
[[rules]]
path = "/a/**"
cache_control = "no-cache"
[cache]
directory = "kept"
[telemetry]
endpoint = "http://127.0.0.1:4318"
attributes = { "deployment.environment.name" = "test" }
[telemetry.headers.x-tenant]
value_file = "secret"
"""


def test_what_is_handed_over_arrives(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    settings = load_text(tmp_path, TEXT).settings
    dumped = dump_for_worker(settings)
    (tmp_path / "secret").unlink()
    assert b"hunter2" in dumped
    assert load_from_supervisor(dumped) == settings
    assert made_for_worker(dumped) is None


def test_what_was_made_for_the_workers_arrives_beside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    settings = load_text(tmp_path, TEXT).settings
    dumped = dump_for_worker(settings, {"directory": "/a\nb", "own": 3})
    assert load_from_supervisor(dumped) == settings
    assert made_for_worker(dumped) == {"directory": "/a\nb", "own": 3}

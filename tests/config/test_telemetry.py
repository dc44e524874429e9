"""The table of traces: what it takes, what it refuses, and that its secrets stay secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import dump_for_worker, load_from_supervisor
from proxy.config.render import render
from tests.config.helpers import ORIGIN, faults, load_text

TABLE = f'{ORIGIN}[telemetry]\nendpoint = "http://127.0.0.1:4318/"\n'


def test_headers_come_by_value_or_by_file_and_are_masked(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("Bearer hunter2\n")
    text = (
        f'{TABLE}sample = 0.5\nattributes = {{ "deployment.environment.name" = "production" }}\n'
        '[telemetry.headers.authorization]\nvalue_file = "key"\n'
        '[telemetry.headers.x-key]\nvalue = "hunter2 too"\n'
    )
    loaded = load_text(tmp_path, text)
    table = loaded.settings.telemetry
    assert table is not None
    assert (table.endpoint, table.sample) == ("http://127.0.0.1:4318", 0.5)
    assert table.attributes == {"deployment.environment.name": "production"}
    shown = "\n".join(render(loaded)) + repr(loaded.settings)
    assert "hunter2" not in shown
    received = load_from_supervisor(dump_for_worker(loaded.settings)).telemetry
    assert received is not None
    values = {name: one.value for name, one in received.headers.items()}
    assert {name: v.get_secret_value() for name, v in values.items() if v is not None} == {
        "authorization": "Bearer hunter2",
        "x-key": "hunter2 too",
    }


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("sample = 1.5", "h.toml:6: telemetry.sample = 1.5: "),
        ("sample = -0.1", "h.toml:6: telemetry.sample = -0.1: "),
        ('service_name = ""', "h.toml:6: telemetry.service_name"),
        ('service_name = "a\\nb"', "h.toml:6: telemetry.service_name"),
        ('headers = { Host = { value = "x" } }', "h.toml:6: telemetry.headers.Host"),
        ('headers = { "a b" = { value = "x" } }', 'h.toml:6: telemetry.headers."a b"'),
        ('headers = { content-length = { value = "x" } }', "h.toml:6: telemetry.headers.content-"),
        ('headers = { x-key = { value = "a\\nb" } }', "h.toml:6: telemetry.headers.x-key.value"),
        ("headers = { x-key = {} }", "h.toml:6: telemetry.headers.x-key: has neither value nor"),
        ('headers.x-key.value_file = "missing"', "h.toml:6: telemetry.headers.x-key.value_file"),
        ('ca_bundle = "missing"', "h.toml:6: telemetry.ca_bundle"),
        ('timeout = "0s"', "h.toml:6: telemetry.timeout"),
    ],
)
def test_what_it_refuses(said: str, fault: str, tmp_path: Path) -> None:
    told = faults(tmp_path, f"{TABLE}{said}\n")
    assert told[0].startswith(fault), told


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "ftp://a", "http://u:p@a", "http://a?b=c"])
def test_an_endpoint_is_a_url(endpoint: str, tmp_path: Path) -> None:
    [told] = faults(tmp_path, f'{ORIGIN}[telemetry]\nendpoint = "{endpoint}"\n')
    assert told.startswith("h.toml:5: telemetry.endpoint = ")
    [told] = faults(tmp_path, f"{ORIGIN}[telemetry]\nsample = 1\n")
    assert "endpoint" in told

"""`headgate config`: every option with its source, as TOML again, without secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path

from proxy.config import load
from proxy.config.render import render
from proxy.config.table import Table
from tests.config.helpers import load_text, write
from tests.config.test_handover import TEXT


def test_each_value_has_its_source(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    loaded = load_text(tmp_path, TEXT, {"HEADGATE_LOG__LEVEL": "debug"}, ["http.max_ranges=3"])
    lines = [line.replace(f"{tmp_path}/", "") for line in render(loaded)]
    for line in (
        'bind = ["unix:/run/h.sock", "[::1]:8080"]  # h.toml:3',
        'graceful_timeout = "30s"  # default',
        'stall_timeout = "1234ms"  # h.toml:5',
        'max_header_size = "12345B"  # h.toml:6',
        "# tls is not set",
        "[origins.a]",
        'secret_access_key = "********"  # h.toml:12',
        'secret_access_key_file = "secret"  # h.toml:12',
        'root = "data"  # h.toml:15',
        "[[mounts]]",
        'path = "/a/"  # h.toml:17',
        '404 = "errors/404.html"  # h.toml:20',
        'level = "debug"  # HEADGATE_LOG__LEVEL',
        "max_ranges = 3  # --set",
    ):
        assert line in lines, line
    assert "hunter2" not in "\n".join(lines)


def test_what_is_printed_is_a_configuration_again(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    loaded = load_text(tmp_path, TEXT)
    printed = "\n".join(line for line in render(loaded) if "********" not in line)
    again = load([write(tmp_path, printed, "again.toml")], {})
    assert again.settings == loaded.settings


def test_every_option_is_printed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    text = "\n".join(render(load_text(tmp_path, TEXT)))
    tomllib.loads(text)
    tables = {"Settings", "Tls"}  # tables have headers; there is no [server.tls] here
    for model in Table.__subclasses__():
        for name in model.model_fields if model.__name__ not in tables else ():
            assert f"{name} = " in text or f"# {name} is" in text or f".{name}" in text, name

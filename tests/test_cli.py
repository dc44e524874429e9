"""The command line in a process of its own: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy import __version__
from tests.config.helpers import ORIGIN, write
from tests.servers.process import free_ports

TOP = Path(__file__).parents[1]
BAD = f"{ORIGIN}[server]\nworkers = 0\nbnd = 1\n"


def headgate(
    *arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HEADGATE_")}
    return subprocess.run(
        [sys.executable, "-m", "proxy", *map(str, arguments)],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(TOP), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    done = headgate("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"headgate {__version__}\n")


def test_help_names_all_commands_but_the_worker(tmp_path: Path) -> None:
    done = headgate("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("serve", "check", "config", "samples"):
        assert f"    {name} " in done.stdout
    assert "worker" not in done.stdout


@pytest.mark.parametrize("arguments", [[], ["sevre"], ["check", "--confg", "x"], ["worker", "x"]])
def test_a_command_that_is_not_one(tmp_path: Path, arguments: list[str]) -> None:
    done = headgate(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: headgate")


def test_check_says_nothing_when_all_is_well(tmp_path: Path) -> None:
    done = headgate("check", "--config", write(tmp_path, ORIGIN), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_says_all_that_is_wrong(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    done = headgate("check", "--config", "h.toml", "--set", "log.level=x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'h.toml:5: server.workers = 0: expected a whole number from 1 to 1024, or "auto"',
        "h.toml:6: server.bnd = 1: is not a known key; did you mean bind?",
        '--set: log.level = "x": expected "debug", "info", "warning" or "error"',
    ]


@pytest.mark.parametrize("command", ["serve", "config"])
def test_a_bad_configuration_is_not_used(tmp_path: Path, command: str) -> None:
    done = headgate(command, "--config", write(tmp_path, BAD), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2


def test_the_usual_file_is_found(tmp_path: Path) -> None:
    write(tmp_path, BAD, "headgate.toml")
    done = headgate("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("headgate.toml:5: server.workers = 0:")


def test_no_file_at_all(tmp_path: Path) -> None:
    done = headgate("serve", cwd=tmp_path)
    assert done.returncode == 2
    assert "--config FILE" in done.stderr
    assert "config/local.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_variables_do_without_a_file(tmp_path: Path) -> None:
    environ = {"HEADGATE_ORIGINS__A__TYPE": "directory", "HEADGATE_ORIGINS__A__ROOT": "data"}
    done = headgate("config", cwd=tmp_path, environ=environ)
    assert done.returncode == 0
    assert f'root = "{tmp_path}/data"  # HEADGATE_ORIGINS__A__ROOT' in done.stdout


def test_config_shows_no_secret(tmp_path: Path) -> None:
    text = (
        '[origins.m]\ntype = "s3"\nbucket = "media"\naccess_key_id = "AKIA"\n'
        'secret_access_key = "hunter2"\n'
    )
    file = write(tmp_path, text)
    file.chmod(0o644)
    environ = {"HEADGATE_ORIGINS__M__SESSION_TOKEN": "hunter3"}
    done = headgate("config", "--config", file, cwd=tmp_path, environ=environ)
    assert done.returncode == 0
    assert "hunter" not in done.stdout + done.stderr
    assert f'secret_access_key = "********"  # {file}:5' in done.stdout
    assert 'session_token = "********"  # HEADGATE_ORIGINS__M__SESSION_TOKEN' in done.stdout
    assert done.stderr == (
        f'warning: {file}:5: origins.m.secret_access_key = "********": '
        "a secret in a file that everyone may read\n"
    )
    assert tomllib.loads(done.stdout)["origins"]["m"]["bucket"] == "media"


def test_schema_needs_no_configuration(tmp_path: Path) -> None:
    done = headgate("config", "--schema", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["$schema"].endswith("/2020-12/schema")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    command = f"{sys.executable} -m proxy config --schema | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_check_loads_no_server(tmp_path: Path) -> None:
    file = write(tmp_path, ORIGIN)
    code = (
        "import sys; from proxy.cli import main; "
        f"code = main(['check', '--config', {str(file)!r}]); "
        "heavy = {'hypercorn', 'starlette', 'aiohttp', 'botocore'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_trace_says_in_one_line_why_it_cant_look(tmp_path: Path) -> None:
    [port] = free_ports(1)
    done = headgate("trace", "--admin", f"127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"headgate: Can't look at 127.0.0.1:{port}")
    done = headgate("trace", "--token-file", "missing", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("missing: can't be read")

"""The unit, as systemd's own tools read it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.config.test_shipped import load_shipped
from tests.servers.process import program

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/headgate.service"
# What systemd calls "OK"; a service without any of this has 9.6.
EXPOSURE = 2.0


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The unit with the program of this environment, since systemd looks whether it is there."""
    unit = tmp_path / "headgate.service"
    program_here = Path(sys.executable).with_name("headgate")
    unit.write_text(UNIT.read_text().replace("/opt/headgate/bin/headgate", str(program_here)))
    return unit


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_accepts_it_without_a_word(here: Path) -> None:
    done = analyze("verify", "--man=no", here)
    ours = [line for line in done.stderr.splitlines() if "headgate" in line]
    assert (done.returncode, ours) == (0, [])


def test_a_misspelt_option_would_be_told(here: Path) -> None:
    here.write_text(here.read_text().replace("NoNewPrivileges=", "NoNewPriviledges="))
    assert "NoNewPriviledges" in analyze("verify", "--man=no", here).stderr


def test_it_leaves_little_open() -> None:
    done = analyze("security", "--offline=true", "--no-pager", UNIT)
    found = re.search(r"exposure level for headgate.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE


def test_it_gives_a_drain_its_time(tmp_path: Path) -> None:
    text = UNIT.read_text()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop is not None
    settings = load_shipped(ROOT / "config/production.toml", tmp_path).settings
    assert int(stop[1]) >= settings.server.graceful_timeout + 10
    assert "KillMode=mixed" in text, "workers are the supervisor's to stop"


def test_what_it_starts_are_commands_of_ours() -> None:
    for command in re.findall(
        r"^ExecStart(?:Pre)?=\S+/headgate (.+)$", UNIT.read_text(), re.MULTILINE
    ):
        name = command.split()[0]
        done = subprocess.run(
            [sys.executable, "-m", "proxy", name, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, name

from __future__ import annotations

import io
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config import load
from proxy.production.check import findings, report, secret_files
from tests.config.test_files import certificates


def configuration(directory: Path) -> Path:
    certificate, key = certificates(directory, "a")
    key.chmod(0o600)
    token = directory / "token"
    token.write_text("0123456789abcdef0123")
    token.chmod(0o600)
    (directory / "files").mkdir(exist_ok=True)
    file = directory / "headgate.toml"
    file.write_text(f"""
        [server]
        workers = 2
        tls = {{ certificate = "{certificate}", key = "{key}" }}
        [admin]
        token_file = "{token}"
        [origins.files]
        type = "directory"
        root = "{directory}/files"
    """)
    return file


def test_everything_is_looked_at(tmp_path: Path) -> None:
    about = [one.about for one in findings(load([configuration(tmp_path)], {}))]
    assert {"configuration", "tls", "admin", "nofile", "user", "versions"} <= set(about)
    assert "admin.token_file" in about
    assert about[-1] == "origins.files"


def test_the_cache_is_looked_at_where_there_is_one(tmp_path: Path) -> None:
    file = configuration(tmp_path)
    file.write_text(f'{file.read_text()}\n[cache]\ndirectory = "{tmp_path}/slices"\n')
    about = [one.about for one in findings(load([file], {}))]
    assert "cache" in about


def test_files_with_secrets_are_found(tmp_path: Path) -> None:
    settings = load([configuration(tmp_path)], {}).settings
    assert list(secret_files(settings)) == [("admin.token_file", tmp_path / "token")]
    header = [
        "telemetry.endpoint=http://127.0.0.1:4318",
        f"telemetry.headers.x-key.value_file={tmp_path / 'token'}",
    ]
    traced = load([configuration(tmp_path)], {}, header).settings
    found = [name for name, _ in secret_files(traced)]
    assert found == ["admin.token_file", "telemetry.headers.x-key.value_file"]


def test_the_command_prints_remedies_and_ends_with_1_on_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configuration(tmp_path)
    (tmp_path / "token").chmod(0o644)
    assert main(["check", "--production", "--config", str(file)]) == 1
    said = capsys.readouterr().out
    assert "error    admin.token_file" in said
    assert "-> chmod o=" in said
    assert said.splitlines()[-1].startswith(("errors: 1,", "errors: 2,"))  # root is one too


def test_without_an_error_it_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.production.machine.os.geteuid", lambda: 10001)
    out = io.StringIO()
    assert report(load([configuration(tmp_path)], {}), out), out.getvalue()
    assert out.getvalue().splitlines()[-1].startswith("errors: 0,")


def test_a_faulty_configuration_is_told_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--production", "--set", "origins.x.type=s3"]) == 1
    assert "bucket" in capsys.readouterr().err


def test_a_secret_in_a_readable_file_is_an_error(tmp_path: Path) -> None:
    file = configuration(tmp_path)
    text = file.read_text()
    file.write_text(text.replace(f'token_file = "{tmp_path}/token"', 'token = "0123456789abcdef"'))
    file.chmod(0o644)
    found = [one for one in findings(load([file], {})) if one.about == "configuration"]
    assert [one.severity for one in found] == ["ok", "error"]
    assert "0123456789abcdef" not in found[1].said

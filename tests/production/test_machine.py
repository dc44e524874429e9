from __future__ import annotations

import resource
from pathlib import Path

import pytest

from proxy.production.machine import (
    check_core_dumps,
    check_debugging,
    check_descriptors,
    check_disk,
    check_machine,
    check_memory,
    check_user,
    check_versions,
)


@pytest.mark.parametrize(
    ("hard", "origins", "severity"),
    [
        (resource.RLIM_INFINITY, 256, "ok"),
        (65536, 256, "ok"),
        (65535, 256, "warning"),
        (768, 256, "warning"),
        (767, 256, "error"),
        (255, 0, "error"),
    ],
)
def test_descriptors(hard: int, origins: int, severity: str) -> None:
    assert check_descriptors(hard, origins).severity == severity


@pytest.mark.parametrize(
    ("there_is", "severity"), [(50 + 2 * (95 + 128) + 256, "ok"), (751, "warning")]
)
def test_budgets_against_the_memory_there_is(there_is: int, severity: str) -> None:
    shares, whole = {"flow.memory": 128_000_000}, {"cache.memory": 256_000_000}
    found = check_memory(there_is * 1_000_000, 2, shares, whole)
    assert found.severity == severity
    assert ("flow.memory 122 MiB, cache.memory 244 MiB" in str(found)) == (severity == "warning")


def test_a_disk_with_room_is_well(tmp_path: Path) -> None:
    assert check_disk(tmp_path).severity == "ok"


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [(63, 1000, "error"), (900, 100_000, "warning"), (900, 2000, "ok"), (2000, 100_000, "ok")],
)
def test_a_disk_by_its_free_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, total: int, severity: str
) -> None:
    mib = 1024 * 1024
    usage = type("Usage", (), {"free": free * mib, "total": total * mib})
    monkeypatch.setattr("proxy.production.machine.shutil.disk_usage", lambda _: usage)
    assert check_disk(tmp_path).severity == severity


def test_a_directory_that_is_missing_or_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_disk(tmp_path / "missing").severity == "error"
    # Root, as which tests may run, may write everywhere.
    monkeypatch.setattr("proxy.production.machine.os.access", lambda *_: False)
    assert check_disk(tmp_path).severity == "warning"


def test_root_and_core_dumps() -> None:
    assert check_user(0).severity == "error"
    assert check_user(10001).severity == "ok"
    assert check_core_dumps(0).severity == "ok"
    assert check_core_dumps(resource.RLIM_INFINITY).severity == "warning"


def test_debugging_is_off() -> None:
    assert list(check_debugging({}, dev_mode=False)) == []
    for environ, dev_mode in (
        ({"PYTHONASYNCIODEBUG": "1"}, False),
        ({}, True),
        ({"AIOHTTP_NO_EXTENSIONS": "1"}, False),
    ):
        (finding,) = check_debugging(environ, dev_mode=dev_mode)
        assert finding.severity == "error"
        assert finding.remedy


def test_versions_below_their_last_hole() -> None:
    assert [one.severity for one in check_versions()] == ["ok"]
    (finding,) = check_versions({"h2": "4.3.9", "aiohttp": "3.14.4"})
    assert (finding.severity, "h2 4.3.9" in finding.said) == ("error", True)
    assert "aiohttp" not in finding.said
    assert [one.severity for one in check_versions({"h2": "4.10.0"})] == ["ok"]


def test_all_of_it(tmp_path: Path) -> None:
    about = [one.about for one in check_machine(256, [tmp_path])]
    assert about == ["nofile", "disk", "user", "core dumps", "versions"]

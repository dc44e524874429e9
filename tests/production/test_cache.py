"""The cache's directory before production."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from proxy.cache.memory.shared_memory import SHARED_MEMORY
from proxy.config.settings import Cache
from proxy.production.cache import (
    check_cache,
    check_file_system,
    check_files,
    check_open_files,
    check_privacy,
    check_room,
    check_sharing,
)

GIB = 1024**3


def table_of(directory: Path | None, **more: object) -> Cache:
    return Cache.model_validate({"directory": directory, "size": "16MiB", "free": "0B", **more})


def said_of(table: Cache) -> dict[str, str]:
    return {one.said: one.severity for one in check_cache(table, 64, 2)}


def test_a_private_directory_with_room_is_well(tmp_path: Path) -> None:
    directory = tmp_path / "slices"
    directory.mkdir(mode=0o700)
    said = said_of(table_of(directory))
    assert said[f"{directory} is private (drwx------)"] == "ok"
    assert len(said) >= 4
    assert "error" not in said.values()


def test_one_that_will_be_made(tmp_path: Path) -> None:
    assert said_of(table_of(tmp_path / "a" / "b"))[f"{tmp_path}/a/b will be made"] == "ok"


def test_one_that_can_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    directory = tmp_path / "file" / "slices"
    [severity] = [how for said, how in said_of(table_of(directory)).items() if "be made" in said]
    assert severity == "error"
    # Root, as which tests may run, may write everywhere.
    monkeypatch.setattr("proxy.production.cache.os.access", lambda *_: False)
    said = said_of(table_of(tmp_path / "none"))
    assert said[f"{tmp_path}/none is not there, and can't be made in {tmp_path}"] == "error"


@pytest.mark.parametrize(
    ("mode", "severity"),
    [(0o700, "ok"), (0o750, "warning"), (0o705, "warning"), (0o770, "error"), (0o702, "error")],
)
def test_who_else_gets_in(mode: int, severity: str, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    [finding] = check_privacy(tmp_path, os.geteuid())
    assert finding.severity == severity
    assert (severity == "ok") is not ("chmod 700" in finding.remedy)


def test_whose_it_is_and_what(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    [finding] = check_privacy(tmp_path, os.geteuid() + 1)
    assert finding.severity == "error"
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    [finding] = check_privacy(link, os.geteuid())
    assert (finding.severity, "is no directory" in finding.said) == ("error", True)


@pytest.mark.parametrize(
    ("size", "free", "held", "severity"),
    [(10, 1, 0, "ok"), (10, 5, 0, "ok"), (10, 6, 0, "warning"), (10, 6, 1, "ok"),
     (100, 0, 0, "warning"), (100, 1, 0, "error")],
)  # fmt: skip
def test_room(
    size: int,
    free: int,
    held: int,
    severity: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 100 GiB, 15 are free, beside what the cache itself holds."""
    usage = type("Usage", (), {"free": 15 * GIB, "total": 100 * GIB})
    monkeypatch.setattr("proxy.production.cache.shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr("proxy.production.cache._held", lambda _: held * GIB)
    table = table_of(tmp_path, size=size * GIB, free=free * GIB)
    assert check_room(tmp_path, tmp_path, table).severity == severity


def test_what_it_holds_already_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "slice").write_bytes(os.urandom(8 * 1024 * 1024))
    usage = type("Usage", (), {"free": 9 * 1024 * 1024, "total": GIB})
    monkeypatch.setattr("proxy.production.cache.shutil.disk_usage", lambda _: usage)
    assert check_room(tmp_path, tmp_path, table_of(tmp_path)).severity == "ok"


@pytest.mark.parametrize(("entries", "count"), [(0, 0), (999, 1), (1000, 0)])
def test_entries_for_files(
    entries: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = type("Counted", (), {"f_files": entries})
    monkeypatch.setattr("proxy.production.cache.os.statvfs", lambda _: counted)
    assert len(list(check_files(tmp_path, 1000))) == count


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("ext4", "ok"), ("xfs", "ok"), ("", "ok"), ("tmpfs", "warning"), ("nfs4", "error"),
     ("cifs", "error"), ("fuse.s3fs", "error"), ("fuse.glusterfs", "error")],
)  # fmt: skip
def test_disks_of_other_machines(kind: str, severity: str) -> None:
    assert check_file_system(Path("/a"), kind).severity == severity


@pytest.mark.parametrize(
    ("hard", "severity"),
    [(resource.RLIM_INFINITY, "ok"), (65536, "ok"), (1152, "ok"), (1151, "error")],
)
def test_descriptors(hard: int, severity: str) -> None:
    assert check_open_files(hard, 64).severity == severity


def test_in_memory_only_workers_share_or_are_told_why_not(tmp_path: Path) -> None:
    table = table_of(None, memory="16MiB", slice="256KiB")
    [finding] = check_cache(table, 64, 2)
    assert finding.severity == "ok"
    assert finding.said == "2 workers share 7 MiB of slices in /dev/shm; each has 3 MiB of its own"
    assert "by the one worker" in check_sharing(table, 1, tmp_path).said
    for base, more, why in (
        (tmp_path, {}, f"{tmp_path} is not in memory"),
        (tmp_path / "none", {}, f"there is no {tmp_path}/none"),
        (SHARED_MEMORY, {"slice": "8MiB"}, "cache.memory would have to be 66 MiB"),
        (SHARED_MEMORY, {"memory": "1024TiB"}, "/dev/shm has room for "),
    ):
        table = table_of(None, **{"memory": "16MiB", "slice": "256KiB", **more})
        told = check_sharing(table, 2, base)
        assert told.severity == "warning"
        assert told.said.startswith("each worker fetches and keeps slices for itself: " + why)

"""What a container may use, by the files that say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy import machine

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", None),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", 1),
        ("9900000 100000", None),
        ("", None),
    ],
)
def test_auto_keeps_to_the_quota_of_a_container(
    tmp_path: Path, quota: str, expected: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert machine.processors(tmp_path / "cpu.max") == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max\n", PHYSICAL), ("1048576\n", 1048576), (f"{PHYSICAL * 2}\n", PHYSICAL), ("", PHYSICAL)],
)
def test_memory_is_the_machines_or_the_containers(
    tmp_path: Path, limit: str, expected: int
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert machine.memory(tmp_path / "memory.max") == expected
    assert machine.memory(tmp_path / "none") == PHYSICAL

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import tables

SMALL, LARGE, STORE = (
    "directory, 1 KiB, 32 connections",
    "directory, 1 GiB, one download",
    "S3, 1 KiB, 32 connections",
)


def cell(*values: float, cost: float = 0.01) -> dict[str, Any]:
    return {"values": list(values), "costs": [cost] * len(values), "failed": ""}


RESULT: dict[str, Any] = {
    "machine": {"processor": "A", "cores": 2, "memory_gib": 4, "kernel": "6", "python": "3.11",
                "commit": "abc", "load_average": [0.5, 1, 1]},
    "load_average_after": [1.5, 1, 1],
    "arguments": {"rounds": 3, "seconds": 1},
    "versions": {"nginx": "1.22.1"},
    "rows": {
        SMALL: {"nginx": cell(2000, 1000, 3000), "Headgate": cell(500, 400, 700)},
        LARGE: {"nginx": cell(1000), "Headgate": cell(1500), "rclone": cell()},
        STORE: {"nginx, passing on": cell(100), "nginx, slice and cache": cell(400),
                "Headgate": cell(50)},
    },
    "slow": {"nginx": {"readers": 1000, "memory": 2048, "median": 1, "p99": 2},
             "Headgate": {"failed": "it was"}},
    "corrupt": {"nginx": {"bad_and_complete": 20, "visibly_broken": 0, "right": 0}},
}  # fmt: skip


def test_each_row_is_beside_the_same_question_to_nginx() -> None:
    assert tables.ratios(RESULT["rows"][SMALL], SMALL)["Headgate"] == 0.25
    beside = tables.ratios(RESULT["rows"][STORE], STORE)
    assert beside == {"nginx, passing on": 1, "nginx, slice and cache": 4, "Headgate": 0.5}
    assert tables.ratios({"Headgate": cell(5)}, SMALL) == {}


def test_the_document_says_medians_spread_and_cost() -> None:
    text = tables.document(RESULT)
    ours = "**Headgate** | 500 req/s | 400 to 700 | 0.25 | 10 µs each |"
    assert f"| {SMALL} | {ours}" in text
    assert f"| {LARGE} | **Headgate** | 1,500 MB/s | 1,500 to 1,500 | 1.50 | 0.01 s/GB |" in text
    assert f"| {LARGE} | rclone | failed |" in text
    assert "| nginx | 20 | 0 | 0 |" in text
    assert "Load average of the machine when it began 0.5, when it ended 1.5." in text


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    tables.write(RESULT, tmp_path)
    once = path.read_text()
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    tables.write(RESULT, tmp_path)
    assert path.read_text() == once
    for name in ("directory", "tls", "s3"):
        plot = (tmp_path / "benchmarks" / f"{name}.svg").read_text()
        assert plot.strip() == "" or ET.fromstring(plot).tag.endswith("svg")
    assert "nginx, slice and cache" in (tmp_path / "benchmarks" / "s3.svg").read_text()


def test_without_the_marks_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text("all of it\n")
    with pytest.raises(ValueError, match="begin: just bench"):
        tables.write(RESULT, tmp_path)
    assert (tmp_path / "benchmarks.md").read_text() == "all of it\n"

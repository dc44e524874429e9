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


def cell(*values: float, cost: float = 0.01, faults: int = 0) -> dict[str, Any]:
    rounds = len(values) + faults + 1
    costs, said = [cost] * len(values), ["it did"] * faults
    whole = [2.5 * one for one in costs]
    return {
        "values": list(values), "costs": costs, "whole": whole, "rounds": rounds, "faults": said
    }  # fmt: skip


RESULT: dict[str, Any] = {
    "machine": {"processor": "A", "cores": 2, "memory_gib": 4, "kernel": "6", "python": "3.11",
                "commit": "abc", "load_average": [0.5, 1, 1]},
    "load_average_after": [1.5, 1, 1],
    "arguments": {"rounds": 3, "seconds": 1},
    "versions": {"nginx": "1.22.1"},
    "rows": {
        SMALL: {"nginx": cell(2000, 1000, 3000), "Headgate": cell(500, 400, 700)},
        LARGE: {"nginx": cell(1000), "Headgate": cell(1500), "rclone": cell(faults=3),
                "Caddy": cell(10, 30, faults=1)},
        STORE: {"nginx, passing on": cell(100), "nginx, slice and cache": cell(400),
                "Headgate": cell(50)},
    },
    "slow": {"nginx": {"readers": 1000, "memory": 2048, "median": 1, "p99": 2},
             "Headgate": {"failed": "it was"}},
    "cold": {
        "size": 2**27, "delay": 0.03, "rate": 40e6, "load_average": [3.5, 1, 1],
        "cold": {"the store itself": cell(40), "Headgate": cell(200, 160, 180, cost=2.0)},
        "warm": {"Headgate": cell(2000, cost=0.5)},
    },
    "stampede": {
        "clients": 200, "size": 2**25, "join": 2.0, "load_average": [4.5, 1, 1],
        "found": {"Headgate": {
            "gets": 4, "amplification": 1.05, "waited": "nobody", "memory": [2**20, 2**21],
            "cpu": 3.0, "seen": {"right": 200, "received": 6e9, "seconds": 6.0, "slowest": 7.0},
        }},
    },
    "corrupt origin": {"nginx": {"bad_and_complete": 20, "visibly_broken": 0, "right": 0}},
}  # fmt: skip


def test_each_row_is_beside_the_same_question_to_nginx() -> None:
    assert tables.ratios(RESULT["rows"][SMALL], SMALL)["Headgate"] == 0.25
    beside = tables.ratios(RESULT["rows"][STORE], STORE)
    assert beside == {"nginx, passing on": 1, "nginx, slice and cache": 4, "Headgate": 0.5}
    assert tables.ratios({"Headgate": cell(5)}, SMALL) == {}


def test_the_document_says_medians_spread_and_cost() -> None:
    text = tables.document(RESULT)
    ours = "**Headgate** | 500 req/s | 400 to 700 | 0.25 | 10 µs each | 25 µs each |"
    assert f"| {SMALL} | {ours}" in text
    ours = "**Headgate** | 1,500 MB/s | 1,500 to 1,500 | 1.50 | 0.01 s/GB | 0.03 s/GB |"
    assert f"| {LARGE} | {ours}" in text
    assert f"| {LARGE} | rclone | failed in 3 of 4 rounds | | | | |" in text
    assert f"| {LARGE} | Caddy | 20 MB/s | 10 to 30; failed in 1 of 4 rounds | 0.02 |" in text
    assert "| nginx | 1,000 | 2 KiB | 1.0 ms | 2.0 ms |" in text
    assert "| nginx | 20 | 0 | 0 |" in text
    assert "Load average of the machine when it began 0.5, when it ended 1.5." in text


def test_what_was_asked_of_a_slow_and_counted_store_says_its_conditions() -> None:
    text = tables.document(RESULT)
    assert "another object of 128 MiB" in text
    assert "30 ms to its first byte and 40 MB/s" in text
    assert "| the store itself | 40 MB/s | 40 to 40 | 1.00 | 0.01 s/GB | | |" in text
    ours = "180 MB/s | 160 to 200 | 4.50 | 2.00 s/GB | 2,000 MB/s | 0.50 s/GB |"
    assert f"| Headgate | {ours}" in text
    assert "this began 3.5." in text
    assert "this began 4.5." in text
    assert "200 clients come within 2 s to one object of 32 MiB" in text
    ours = "4 | 1.050 | 200 | 1,000 MB/s | 0.50 s/GB | 7.0 s | nobody | 2 MiB |"
    assert f"| Headgate | {ours}" in text


def test_a_busy_machine_is_told() -> None:
    assert "other programs" not in tables.document(RESULT)
    assert "other programs" in tables.document({**RESULT, "load_average_after": [9, 1, 1]})


def test_a_part_of_the_questions_makes_a_document_too() -> None:
    some = {**RESULT, "rows": {}}
    del some["cold"], some["slow"]
    text = tables.document(some)
    assert "Stampede" in text
    assert "Cold" not in text
    assert "of nginx" not in text


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{tables.BEGIN}\nthe last run\n{tables.END}\nafter\n")
    tables.write(RESULT, tmp_path)
    once = path.read_text()
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "the last run" not in once
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

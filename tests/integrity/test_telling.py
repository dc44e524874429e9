"""The words of `headgate verify`."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from proxy.integrity.sweep import Progress, Result
from proxy.integrity.telling import as_bar, as_json, as_line, as_summary, printable, size

GOOD = Result("a/b.txt", "verified", "crc32c", bytes=2048)
BAD = Result("a\x1b[2J\nb\u202e", "mismatch", "sha1", "expected\nx", 5)


def test_lines() -> None:
    assert as_line(GOOD) == "verified     a/b.txt (crc32c, 2.0 KiB)"
    assert as_line(BAD) == "mismatch     a\\x1b[2J\\nb\\u202e: expected\\nx"


def test_json() -> None:
    assert json.loads(as_json("m", GOOD)) == {
        "origin": "m", "key": "a/b.txt", "outcome": "verified", "algorithm": "crc32c",
        "bytes": 2048,
    }  # fmt: skip
    line = as_json("m", BAD)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["key"] == BAD.key


def test_the_bar() -> None:
    assert as_bar(Progress(), 0.0) == f"[{'-' * 24}] 0 of 0+ objects, 0 B, 0 B/s"
    half = Progress(found=10, done=5, bytes=3 * 1024**2, listing=False)
    assert as_bar(half, 2.0) == f"[{'#' * 12}{'-' * 12}] 5 of 10 objects, 3.0 MiB, 1.5 MiB/s"
    half.listing = True
    assert as_bar(half, 2.0).startswith(f"[{'-' * 24}] 5 of 10+ objects")


def test_the_summary() -> None:
    progress = Progress(bytes=2048)
    counts = Counter(verified=2, unverifiable=1)
    assert as_summary(counts, progress, 1.26) == (
        "2 verified, 0 mismatch, 1 unverifiable; read 2.0 KiB in 1.3 s"
    )
    counts["failed"] = 3
    assert "3 failed" in as_summary(counts, progress, 1.0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**3, "1.0 GiB"),
        (5 * 1024**4, "5.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_printable() -> None:
    assert printable("é 日本 😀 \\") == "é 日本 😀 \\"
    assert printable("\x7f\x9b\t\ud800\u2028") == "\\x7f\\x9b\\t\\ud800\\u2028"

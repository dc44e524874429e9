from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import micro


def times(median: float, quickest: float) -> dict[str, float]:
    return {"median": median, "min": quickest, "iqr": 1.0}


def test_slower_is_what_is_slower_at_its_quickest_too() -> None:
    baseline = {"a": times(100, 90), "b": times(100, 90), "gone": times(1, 1)}
    found = {"a": times(200, 91), "b": times(200, 180), "new": times(9, 9)}
    assert micro.slower(found, baseline, 0.3) == ["b"]
    assert micro.slower(found, baseline, 1.5) == []


def test_the_table_has_the_baseline_and_what_is_not_there() -> None:
    text = micro.table({"range_parse": times(1500, 1400)}, {"range_parse": times(1000, 900)})
    assert "| range parse | 1,500 ns | 1,400 ns |  | 1,000 ns, +50% |" in text
    assert "| temporary name | not there | | 171 ns | |" in text
    assert "not there | | 171" not in micro.table({"temporary_name": times(1, 1)}, {})
    assert "not there" not in micro.table({"range_parse": times(1, 1)}, {}, only="range")
    assert "not there | | 171" in micro.table({"a_name": times(1, 1)}, {}, only="name")


def test_what_pytest_benchmark_writes_is_read_in_nanoseconds() -> None:
    kept = {"benchmarks": [{"name": "test_x", "stats": {"min": 1e-6, "median": 2e-6, "iqr": 0.0}}]}
    assert micro.read(kept) == {"x": {"min": 1000, "median": 2000, "iqr": 0}}


def test_what_is_done_a_thousand_times_is_told_for_each() -> None:
    stats = {"min": 1e-3, "median": 2e-3, "iqr": 0.0}
    kept = {"benchmarks": [{"name": "test_cache_cleanup_of_1000", "stats": stats}]}
    found = micro.read(kept)
    assert found == {"cache_cleanup_of_1000": {"min": 1000, "median": 2000, "iqr": 0}}
    assert micro.read({"benchmarks": micro._as_kept(found)}) == found
    assert "| cache cleanup of 1000, each | 2,000 ns | 1,000 ns | 4,178 ns |" in micro.table(
        found, {}
    )


def test_without_a_baseline_there_is_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(micro, "BASELINE", tmp_path / "none.json")
    assert micro.main(["--compare"]) == 1
    assert "just bench-micro --save" in capsys.readouterr().err


def test_the_baseline_is_kept_and_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real benchmarks, one of them."""
    monkeypatch.setattr(micro, "BASELINE", tmp_path / "kept" / "micro.json")
    assert micro.main(["--save", "--only", "etag_parse"]) == 0
    assert micro.main(["--compare", "--only", "etag_parse", "--band", "1000"]) == 0
    assert "etag parse" in capsys.readouterr().out
    quick = tmp_path / "kept" / "micro.json"
    quick.write_text(quick.read_text().replace("e-0", "e-1"))  # a thousandth of the time and less
    assert micro.main(["--compare", "--only", "etag_parse"]) == 1

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.load import figures as f
from tests.load.compare import differences, main
from tests.load.runs import run


def verdicts(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[f.Kind, str]:
    return {one.kind: one.verdict for one in differences(before, after) if one.verdict}


def test_the_same_build_twice_is_the_same() -> None:
    assert verdicts([run()], [run(speed=0.95)]) == {}


def test_half_as_fast_is_worse_and_twice_as_fast_is_better() -> None:
    slower, faster = verdicts([run()], [run(speed=0.5)]), verdicts([run()], [run(speed=2)])
    clocked = {f.REQUESTS, f.THROUGHPUT, f.MEDIAN, f.P95, f.P99}
    assert {kind for kind, verdict in slower.items() if verdict == "worse"} >= clocked
    assert {kind for kind, verdict in faster.items() if verdict == "better"} >= clocked


def test_one_wrong_body_is_a_regression() -> None:
    metrics = run()["metrics"] | {"wrong_bytes": {"values": {"count": 1}}}
    assert verdicts([run()], [run(metrics=metrics)]) == {f.WRONG: "worse"}
    assert verdicts([run(metrics=metrics)], [run()]) == {f.WRONG: "better"}


def test_on_a_busy_machine_the_clock_is_trusted_less_and_memory_as_much() -> None:
    grown = [one | {"server_memory": 130 * 2.0**20} for one in run(others=0.3)["samples"]]
    after = run(speed=0.8, others=0.3, samples=grown)
    assert f.REQUESTS in verdicts([run()], [run(speed=0.8)])
    assert verdicts([run(others=0.3)], [after]) == {f.MEMORY: "worse"}


def test_runs_of_one_side_that_lie_apart_widen_the_band() -> None:
    before = [run(), run(speed=0.6), run(speed=1.1)]
    assert f.REQUESTS not in verdicts(before, [run(speed=0.6)] * 3)
    assert f.REQUESTS in verdicts([run()] * 3, [run(speed=0.6)] * 3)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    runs = {
        "old": run(),
        "same": run(speed=1.05),
        "slow": run(speed=0.5),
        "failed": run(exit_code=99),
        "other": run(name="api"),
    }
    for name, one in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(one))
    return {name: str(tmp_path / name) for name in [*runs, "missing"]}


@pytest.mark.parametrize(
    ("after", "code"), [("same", 0), ("slow", 1), ("failed", 1), ("other", 2), ("missing", 2)]
)
def test_the_exit_code_says_it(folders: dict[str, str], after: str, code: int) -> None:
    assert main([folders["old"], folders[after]]) == code


def test_several_runs_a_side(folders: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    old, same, slow = folders["old"], folders["same"], folders["slow"]
    assert main([f"{old},{same}", f"{slow},{slow}"]) == 1
    assert "worse: requests" in capsys.readouterr().out

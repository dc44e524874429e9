"""What `just bench` asks, and how often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks import peers
from tests.benchmarks.contestants import Contestant
from tests.benchmarks.peers import Cell, measure
from tests.benchmarks.rows import Row
from tests.benchmarks.tools import Asked, Failed


def test_who_asks_for_what_there_is_not_is_told_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        peers.main(["--only", "s3"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "nothing begins with 's3'" in said
    assert {f"  {name}" for name in peers.QUESTIONS} <= set(said.splitlines())
    assert {"S3, ranges of 1 MiB", "slow readers", "cold"} <= set(peers.QUESTIONS)


# What a server answers in five rounds: the first good one warms, the others count.
@pytest.mark.parametrize(
    ("answers", "counted"),
    [
        ([1, 2, 3, 4, 5], [2, 3, 4, 5]),
        ([1, 2, None, 4, 5], [2, 4, 5]),
        ([None, None, 3, 4, None], [4]),
        ([None, 2, None, None, None], []),
        ([None, None, None, None, None], []),
        ([0, 0, 3, 4, 5], [4, 5]),
    ],
)
def test_who_failed_is_asked_again_in_the_next_round(
    tmp_path: Path, answers: list[int | None], counted: list[int]
) -> None:
    waiting = list(answers)

    def ask(url: str, seconds: int, work: Path) -> Asked:
        assert url == "https://x/1KiB"
        answer = waiting.pop(0)
        if answer is None:
            raise Failed("it would not")
        return Asked(requests=answer, per_second=answer, bytes_per_second=0)

    row = Row("a row", "directory_tls", "1KiB", "req/s", ask)
    contestant, cell = Contestant("a server", os.getpid, directory_tls="https://x/"), Cell()
    for _ in answers:
        measure(row, contestant, cell, tmp_path, 1)
    assert cell.values == counted
    assert len(cell.costs) == len(cell.whole) == len(counted)
    assert cell.rounds == len(answers)
    assert len(cell.faults) == sum(not one for one in answers)

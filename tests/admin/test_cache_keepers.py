"""Who is asked about the cache, and several answers as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.admin.cache_keepers import NOTHING_KEPT, Keepers, Unable, summed, total_of
from proxy.observability.fleet import Arguments, Reply
from tests.admin.fleet import StubFleet


class Workers(StubFleet):
    """Workers by process id: their state, and what they say of their statistics."""

    def __init__(self, workers: dict[int, tuple[str, Any]], failing: int = 0) -> None:
        super().__init__()
        self.workers, self.failing = workers, failing

    def present(self) -> dict[int, str]:
        return {pid: state for pid, (state, _) in self.workers.items() if state}

    async def ask(  # the fleet's
        self,
        what: str,
        arguments: Arguments,
        seconds: float,
        worker: str = "",
        take: Callable[[Any], None] | None = None,
        **_: object,
    ) -> list[Reply]:
        pids = [int(worker)] if worker else list(self.workers)
        return [self._reply(what, pid, take) for pid in pids]

    def _reply(self, what: str, pid: int, take: Callable[[Any], None] | None) -> Reply:
        if what == "cache-stats":
            said = self.workers[pid][1]
            return Reply(pid, "w", error=said) if said == "silent" else Reply(pid, "w", said)
        if take is not None:
            take({"done": 1, "by": [pid]})
        return Reply(pid, "w", {"by": [pid]}, "it fails" if pid == self.failing else "")


SHARED, OWN = {"directory": "/d"}, {"directory": ""}


@pytest.mark.parametrize(
    ("workers", "asked"),
    [
        ({1: ("ready", SHARED), 2: ("ready", SHARED)}, [1]),
        ({1: ("draining", SHARED), 2: ("ready", SHARED)}, [2]),
        ({1: ("draining", SHARED)}, [1]),
        ({1: ("ready", OWN), 2: ("ready", OWN), 3: ("draining", OWN)}, [1, 2]),
        ({1: ("ready", SHARED), 2: ("ready", {"directory": "/e"})}, [1, 2]),
        ({1: ("ready", None), 2: ("ready", SHARED)}, [2]),
        ({1: ("ready", "silent"), 2: ("ready", SHARED)}, [2]),
    ],
)
async def test_one_is_asked_for_each_directory_and_each_that_has_none(
    workers: dict[int, tuple[str, Any]], asked: list[int]
) -> None:
    told: list[Any] = []
    found = await Keepers(Workers(workers)).each("cache-list", {}, 1.0, told.append)
    assert [pid for one in found for pid in one["by"]] == asked
    assert told[-1] == {"done": len(asked), "by": asked}


@pytest.mark.parametrize(
    ("workers", "status"),
    [
        ({}, 503),
        ({1: ("ready", "silent")}, 503),
        ({1: ("ready", None)}, NOTHING_KEPT.status),
        ({1: ("ready", None), 2: ("ready", "silent")}, NOTHING_KEPT.status),
        ({1: ("ready", OWN), 7: ("ready", OWN)}, 503),
    ],
)
async def test_who_can_not_answer(workers: dict[int, tuple[str, Any]], status: int) -> None:
    with pytest.raises(Unable) as caught:
        await Keepers(Workers(workers, failing=7)).each("cache-list", {}, 1.0, lambda _: None)
    assert caught.value.outcome.status == status


def test_answers_of_one_form_add_up() -> None:
    assert summed([]) == {}
    answers = [
        {"done": 1, "listing": False, "faults": ["a"]},
        {"done": 2, "listing": True, "faults": []},
        {"done": 4, "listing": False, "faults": ["b"]},
    ]
    assert summed(answers) == {"done": 7, "listing": True, "faults": ["a", "b"]}


def test_what_workers_share_counts_once() -> None:
    workers = [
        {"entries": 3, "disk_bytes": 10, "disk_limit": 99, "resting": "", "directory": "/d"},
        {"entries": 4, "disk_bytes": 12, "disk_limit": 99, "resting": "full", "directory": "/d"},
    ]
    assert total_of(workers) == {
        "entries": 7,
        "disk_bytes": 12,
        "disk_limit": 99,
        "resting": "full",
        "directory": "/d",
    }

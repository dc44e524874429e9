"""Purges of workers that come, go, hang and fail while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from proxy.admin import purging
from proxy.admin.purging import Purged, Purging
from proxy.observability.fleet import Arguments, Reply
from tests.admin.fleet import StubFleet

PURGE: Arguments = {"kind": "key", "value": "a", "origin": "", "soft": False}


class Workers(StubFleet):
    """Workers by process id: state, directory. Scripts say what happens when one is asked."""

    def __init__(self, workers: Mapping[int, tuple[str, str | None]]) -> None:
        super().__init__()
        self.workers = dict(workers)
        self.did: list[tuple[str, int]] = []
        self.swept: list[str | None] = []
        self.when: dict[tuple[str, int], Callable[[], str]] = {}
        """By question and worker: what happens, and the error it answers with or ""."""
        self._order: tuple[str, Arguments] | None = None
        self.ordered_at: dict[int, tuple[str, Arguments] | None] = {}
        """The order that stood when a worker came."""

    @contextmanager
    def ordered(self, what: str, arguments: Arguments) -> Iterator[None]:
        self.did.append(("order", 0))
        self._order = (what, arguments)
        yield
        self._order = None
        self.did.append(("order ends", 0))

    def present(self) -> Mapping[int, str]:
        return {pid: state for pid, (state, _) in self.workers.items()}

    async def ask(
        self,
        what: str,
        arguments: Arguments,
        seconds: float,
        worker: str = "",
        *,
        starting: bool = False,
        take: Callable[[Any], None] | None = None,
    ) -> list[Reply]:
        pid = int(worker)
        if pid not in self.workers or (self.workers[pid][0] == "starting" and not starting):
            return []
        self.did.append((what, pid))
        state, directory = self.workers[pid]
        if state == "starting":  # it answers once it serves
            self.workers[pid] = ("ready", directory)
        error = self.when.get((what, pid), lambda: "")()
        if error:
            return [Reply(pid, f"worker-{pid}", error=error)]
        if what.startswith("cache-sweep"):
            self.swept.append(arguments.get("directory", self.workers[pid][1]))
            if take is not None:
                take({"done": 1})
            return [Reply(pid, f"worker-{pid}", {"objects": 2, "slices": 3})]
        value = {"objects": 1, "directory": directory, "settled": True}
        return [Reply(pid, f"worker-{pid}", value if directory is not None else None)]

    def gone(self, pid: int, error: str = "it is gone") -> Callable[[], str]:
        def go() -> str:
            self.workers.pop(pid, None)
            return error

        return go

    def comes(self, pid: int, directory: str = "/d") -> Callable[[], str]:
        def come() -> str:
            self.workers[pid] = ("starting", directory)
            self.ordered_at[pid] = self._order
            return ""

        return come


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_PAUSE", 0.001)
    monkeypatch.setattr(purging, "SETTLE", 0.5)


async def run(fleet: Workers) -> Purged:
    return await Purging(fleet, PURGE, lambda _: None, confirm=0.2).run()


async def test_all_forget_before_one_sweeps() -> None:
    fleet = Workers({1: ("ready", "/d"), 2: ("draining", "/d"), 3: ("starting", "/d")})
    told: list[Any] = []
    purged = await Purging(fleet, PURGE, told.append).run()
    asked = [("cache-purge", 1), ("cache-purge", 2), ("cache-purge", 3)]
    assert fleet.did[1:-1] == [*asked, ("cache-sweep", 1)]
    assert purged == Purged([1, 2, 3], 2, 3, {}, late=False, keeps=True)
    assert told == [{"done": 1}]


async def test_one_that_comes_meanwhile_has_its_order() -> None:
    """It forgets before it serves, and is not asked."""
    fleet = Workers({1: ("ready", "/d")})
    fleet.when[("cache-sweep", 1)] = fleet.comes(9)
    purged = await run(fleet)
    assert fleet.did == [("order", 0), ("cache-purge", 1), ("cache-sweep", 1), ("order ends", 0)]
    assert fleet.ordered_at == {9: ("cache-purge", PURGE)}
    assert not purged.faults


async def test_one_that_goes_has_forgotten() -> None:
    fleet = Workers({1: ("ready", "/d"), 2: ("draining", "/d")})
    fleet.when[("cache-purge", 2)] = fleet.gone(2)
    purged = await run(fleet)
    assert (purged.faults, purged.workers) == ({}, [1])


async def test_one_that_says_it_can_not_is_asked_again() -> None:
    fleet = Workers({1: ("ready", "/d")})
    errors = iter(["it owes too many answers", "it owes too many answers", ""])
    fleet.when[("cache-purge", 1)] = lambda: next(errors)
    assert not (await run(fleet)).faults


async def test_one_that_hangs_is_named_and_the_rest_is_done() -> None:
    fleet = Workers({1: ("ready", "/d"), 2: ("ready", "/d")})
    fleet.when[("cache-purge", 1)] = lambda: "no answer in 30 s"
    purged = await run(fleet)
    assert purged.faults == {"worker-1 (1)": "no answer in 30 s"}
    assert purged.late
    assert fleet.did[-2] == ("cache-sweep", 2)


async def test_a_disk_that_hangs_makes_it_no_success() -> None:
    class Unsettled(Workers):
        async def ask(self, *arguments: Any, **more: Any) -> list[Reply]:  # noqa: ANN401
            [reply] = await super().ask(*arguments, **more)
            if "settled" in reply.value:
                reply.value["settled"] = False
            return [reply]

    purged = await run(Unsettled({1: ("ready", "/d")}))
    assert purged.faults == {"worker-1 (1)": "it is still writing to disk"}


async def test_another_goes_on_with_the_sweep() -> None:
    fleet = Workers({1: ("ready", "/d"), 2: ("ready", "/d")})
    fleet.when[("cache-sweep", 1)] = fleet.gone(1)
    purged = await run(fleet)
    assert (purged.faults, purged.objects) == ({}, 2)
    assert fleet.did[-2] == ("cache-sweep", 2)


async def test_a_sweep_that_fails_everywhere_is_told() -> None:
    fleet = Workers({1: ("ready", "/d")})
    fleet.when[("cache-sweep", 1)] = lambda: "it failed: OriginFault"
    purged = await run(fleet)
    assert (purged.faults, purged.late) == ({"/d": "it failed: OriginFault"}, False)


async def test_if_all_go_before_the_sweep_it_is_no_success() -> None:
    fleet = Workers({1: ("ready", "/d")})
    fleet.when[("cache-sweep", 1)] = fleet.gone(1)
    assert (await run(fleet)).faults


async def test_each_directory_is_swept_by_one_who_uses_it() -> None:
    fleet = Workers({1: ("draining", "/old"), 2: ("ready", "/new"), 3: ("ready", "/new")})
    await run(fleet)
    swept = [pid for what, pid in fleet.did if what == "cache-sweep"]
    assert swept == [2, 1]


async def test_a_directory_that_nobody_uses_any_more_does_not_count() -> None:
    fleet = Workers({1: ("draining", "/old"), 2: ("ready", "/new")})
    fleet.when[("cache-sweep", 2)] = fleet.gone(1, "")
    purged = await run(fleet)
    assert (purged.faults, purged.objects) == ({}, 2)


async def test_in_memory_only_each_counts_its_own() -> None:
    purged = await run(Workers({1: ("ready", ""), 2: ("ready", "")}))
    assert (purged.objects, purged.slices, purged.faults) == (2, 0, {})


async def test_without_a_cache_there_is_nothing_to_purge() -> None:
    purged = await run(Workers({1: ("ready", None)}))
    assert (purged.keeps, purged.faults) == (False, {})


async def test_without_workers_nothing_is_sure() -> None:
    assert (await run(Workers({}))).faults == {"workers": "there is none"}


async def test_workers_that_come_and_go_for_ever_do_not_make_it_endless() -> None:
    fleet = Workers({1: ("ready", "/d")})
    numbers = iter(range(100, 1_000_000))

    def crash_loop() -> str:
        for pid in [one for one in fleet.workers if one >= 100]:
            del fleet.workers[pid]
        return fleet.comes(next(numbers))()

    fleet.when[("cache-sweep", 1)] = crash_loop
    assert not (await run(fleet)).faults


async def test_if_the_sweeper_goes_the_one_in_its_place_sweeps() -> None:
    fleet = Workers({1: ("ready", "/d")})

    def replaced() -> str:
        fleet.comes(9)()
        return fleet.gone(1)()

    fleet.when[("cache-sweep", 1)] = replaced
    purged = await run(fleet)
    assert not purged.faults
    assert fleet.did[-3:-1] == [("cache-purge", 9), ("cache-sweep", 9)]


async def test_a_directory_is_not_forgotten_with_the_worker_that_used_it() -> None:
    """All that use one end before they answer; the one that takes their place does use it."""
    fleet = Workers({1: ("draining", "/old"), 2: ("ready", "/new")})

    def replaced() -> str:
        fleet.comes(9, "/new")()
        return fleet.gone(2)()

    fleet.when[("cache-purge", 2)] = replaced
    purged = await run(fleet)
    assert not purged.faults
    assert sorted(pid for what, pid in fleet.did if what == "cache-sweep") == [1, 9]


async def test_workers_that_end_before_they_can_be_asked() -> None:
    fleet = Workers({1: ("ready", "/d"), 2: ("ready", "/d")})
    numbers = iter(range(100, 1_000_000))

    def dies(pid: int) -> Callable[[], str]:
        def die() -> str:
            new = next(numbers)
            fleet.comes(new)()
            fleet.when[("cache-purge", new)] = dies(new)
            return fleet.gone(pid)()

        return die

    fleet.when[("cache-purge", 2)] = dies(2)
    purged = await run(fleet)
    assert purged.faults
    assert set(purged.faults.values()) <= {
        "they end before they can be asked",
        "it is gone",
        "it was not asked in time",
    }


# --- what earlier configurations used -----------------------------------------------------------


async def purged_with(workers: Workers, *former: str) -> Purged:
    return await Purging(workers, PURGE, lambda _: None, former, confirm=0.2).run()


async def test_what_only_earlier_configurations_used_is_swept_too() -> None:
    workers = Workers({1: ("ready", "/d"), 2: ("draining", "/a")})
    purged = await purged_with(workers, "/a", "/b")
    assert (purged.faults, purged.objects, purged.slices) == ({}, 6, 9)
    assert sorted(map(str, workers.swept)) == ["/a", "/b", "/d"], "one that drains still uses /a"
    assert [what for what, _ in workers.did if "former" in what] == ["cache-sweep-former"]


async def test_it_is_swept_though_nothing_is_kept_now() -> None:
    workers = Workers({1: ("ready", None)})
    purged = await purged_with(workers, "/a")
    assert (purged.faults, purged.keeps, workers.swept) == ({}, True, ["/a"])


async def test_one_that_can_not_be_swept_makes_it_no_success() -> None:
    workers = Workers({1: ("ready", "/d"), 2: ("ready", "/d")})
    workers.when["cache-sweep-former", 1] = lambda: "the cache's directory fails"
    assert (await purged_with(workers, "/a")).faults == {}, "another one could"
    workers.when["cache-sweep-former", 2] = lambda: "the cache's directory fails"
    assert (await purged_with(workers, "/a")).faults == {"/a": "the cache's directory fails"}

"""What is counted, beside a dict of names and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.cache.upkeep.holdings import SHARDS, Holdings, is_head, is_ours

OBJECTS = [f"{number:032x}" for number in (0, 1, 16**31, 16**32 - 1)]
NAMES = [
    *(f"{one}.head" for one in OBJECTS),
    *(f"{one}.{7:016x}.{index}" for one in OBJECTS for index in (0, 1, 10)),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_ours(name: str) -> None:
    assert is_ours(name)
    assert is_head(name) == name.endswith("head")
    assert name[:2] in SHARDS


@pytest.mark.parametrize(
    "name",
    [
        "", "head", ".head", "a.head", "A" * 32 + ".head", "0" * 32, "0" * 32 + ".head ",
        "0" * 32 + ".head\n", "0" * 33 + ".head", "0" * 32 + ".tail", "0" * 32 + ".0",
        f"{0:032x}.{0:016x}", f"{0:032x}.{0:016x}.", f"{0:032x}.{0:016x}.-1",
        f"{0:032x}.{0:016x}.1.2", f"{0:032x}.{0:016x}.1e3", f"{0:032x}.{0:016x}.١",
        f"{0:032x}.{0:016x}." + "1" * 13, f"{0:032x}.{0:015x}.1",
    ],
)  # fmt: skip
def test_names_that_are_not_ours(name: str) -> None:
    assert not is_ours(name)


@given(st.text())
def test_any_text_is_ours_or_not(name: str) -> None:
    assert isinstance(is_ours(name), bool)


class Counted(RuleBasedStateMachine):
    """The holdings count what a dict does."""

    def __init__(self) -> None:
        super().__init__()
        self.holdings = Holdings()
        self.files: dict[str, int] = {}

    @rule(name=st.sampled_from(NAMES), size=st.integers(0, 9))
    def found(self, name: str, size: int) -> None:
        self.holdings.found(name, size)
        self.files[name] = size

    @rule(files=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 9))))
    def preload(self, files: list[tuple[str, int]]) -> None:
        self.holdings.preload(files)
        self.files.update(files)

    @rule(name=st.sampled_from(NAMES))
    def gone(self, name: str) -> None:
        self.holdings.gone(name)
        self.files.pop(name, None)

    @rule()
    def evict(self) -> None:
        victim = self.holdings.victim(lambda _: 0)
        if victim is None:
            assert all(map(is_head, self.files))
            return
        name, size = victim
        assert not is_head(name)
        assert self.files.pop(name) == size
        head = name[:32] + ".head"
        idle = head in self.files and not self.slices_of(head)
        assert self.holdings.idle_head_of(name) == (head if idle else None)

    def slices_of(self, head: str) -> list[str]:
        return [one for one in self.files if one[:32] == head[:32] and not is_head(one)]

    @invariant()
    def the_count_is_right(self) -> None:
        assert self.holdings.files == len(self.files)
        assert self.holdings.bytes == sum(self.files.values())
        assert sorted(self.holdings) == sorted(self.files)
        assert all((name in self.holdings) == (name in self.files) for name in NAMES)

    @invariant()
    def idle_heads_are_those_without_slices(self) -> None:
        idle = {one for one in self.files if is_head(one) and not self.slices_of(one)}
        assert set(self.holdings.idle_heads(len(OBJECTS))) == idle
        assert len(self.holdings.idle_heads(1)) == min(1, len(idle))


TestCounted = Counted.TestCase
TestCounted.settings = settings(max_examples=60, stateful_step_count=40)


def test_every_idle_head_has_its_turn() -> None:
    holdings = Holdings()
    for one in OBJECTS:
        holdings.found(f"{one}.head", 1)
    turns = [holdings.idle_heads(3) for _ in range(4)]
    assert {head for turn in turns for head in turn} == {f"{one}.head" for one in OBJECTS}


def test_what_is_oldest_goes_first_unless_it_is_used() -> None:
    holdings = Holdings()
    slices = [f"{OBJECTS[1]}.{0:016x}.{index}" for index in range(4)]
    holdings.preload((one, 1) for one in slices)
    uses = {slices[0]: 1}
    victims = [holdings.victim(lambda name: uses.pop(name, 0)) for _ in range(4)]
    assert victims == [(slices[index], 1) for index in (1, 2, 3, 0)]

"""S3-FIFO: beside a model made of plain lists, and what it is chosen for."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.cache.rules import eviction
from proxy.cache.rules.eviction import MOST_LOOKS, Policy

NAMES = st.integers(0, 9)
SIZES = st.integers(1, 100)  # no slice is empty


class Model:
    """The rules as the paper tells them, each queue a list of [name, size, uses]."""

    def __init__(self) -> None:
        self.small: list[list[int]] = []
        self.main: list[list[int]] = []
        self.ghosts: list[int] = []
        self.evicts = False

    def bytes(self) -> int:
        return sum(size for _, size, _ in self.small + self.main)

    def find(self, name: int) -> list[int] | None:
        return next((one for one in self.small + self.main if one[0] == name), None)

    def insert(self, name: int, size: int) -> None:
        held = self.find(name)
        if held is not None:
            held[1] = size
            return
        small = sum(one[1] for one in self.small)
        filling = not self.evicts and small * 10 >= self.bytes() > 0
        (self.main if name in self.ghosts or filling else self.small).append([name, size, 0])
        # A name that returns keeps its place in the order, as one that is not known any more.
        self.ghosts = [-1 if one == name else one for one in self.ghosts]

    def remove(self, name: int) -> None:
        self.small = [one for one in self.small if one[0] != name]
        self.main = [one for one in self.main if one[0] != name]

    def victim(self) -> int | None:
        self.evicts = True
        while self.small or self.main:
            small = sum(one[1] for one in self.small)
            if self.small and (small * 10 > self.bytes() or not self.main):
                name, size, uses = self.small.pop(0)
                if uses < 2:
                    self.ghosts = [*(-1 if one == name else one for one in self.ghosts), name]
                    self.ghosts = self.ghosts[max(0, len(self.ghosts) - len(self.main)) :]
                    return name
                self.main.append([name, size, 0])
            else:
                name, size, uses = self.main.pop(0)
                if uses == 0:
                    return name
                self.main.append([name, size, uses - 1])
        return None


class Compared(RuleBasedStateMachine):
    """The policy does what the model does."""

    def __init__(self) -> None:
        super().__init__()
        self.policy: Policy[int] = Policy()
        self.model = Model()

    @rule(name=NAMES, size=SIZES)
    def insert(self, name: int, size: int) -> None:
        self.policy.insert(name, size)
        self.model.insert(name, size)

    @rule(name=NAMES, size=SIZES)
    def preload(self, name: int, size: int) -> None:
        self.policy.preload([(name, size)])
        held = self.model.find(name)
        if held is None:
            self.model.main.append([name, size, 0])
        else:
            held[1] = size

    @rule(name=NAMES, times=st.integers(1, 5))
    def hit(self, name: int, times: int) -> None:
        for _ in range(times):
            self.policy.hit(name)
        held = self.model.find(name)
        if held is not None:
            held[2] = min(3, held[2] + times)

    @rule(name=NAMES)
    def remove(self, name: int) -> None:
        held = self.model.find(name)
        assert self.policy.remove(name) == (None if held is None else held[1])
        self.model.remove(name)

    @rule()
    def evict(self) -> None:
        assert self.policy.victim() == self.model.victim()

    @rule()
    def evict_as_if_all_were_unused(self) -> None:
        before = set(self.policy)
        victim = self.policy.victim(lambda _: 0)
        assert victim == self.model.victim()
        assert before - set(self.policy) == ({victim} if before else set())

    @invariant()
    def nothing_is_lost(self) -> None:
        held = {name: size for name, size, _ in self.model.small + self.model.main}
        assert set(self.policy) == held.keys()
        assert all(name in self.policy for name in held)
        assert self.policy.count == len(self.policy) == len(held)
        assert self.policy.bytes == sum(held.values())

    @invariant()
    def memory_is_bounded(self) -> None:
        held = self.policy.count
        for queue in (self.policy._small, self.policy._main):
            assert len(queue._names) <= 2 * held + eviction._SPARE
            assert sum(queue._removed.values()) == len(queue._names) - queue.count


TestCompared = Compared.TestCase
TestCompared.settings = settings(max_examples=150, stateful_step_count=80)


def served(policy: Policy[int], keys: list[int], room: int) -> int:
    hits = 0
    for key in keys:
        if key in policy:
            policy.hit(key)
            hits += 1
            continue
        if policy.count >= room:
            policy.victim()
        policy.insert(key, 1)
    return hits


def test_a_scan_leaves_what_is_used_where_it_is() -> None:
    policy: Policy[int] = Policy()
    used = list(range(80))
    served(policy, used * 5, 100)
    served(policy, list(range(1000, 6000)), 100)
    assert [name for name in used if name not in policy] == []


def test_what_was_evicted_too_early_comes_back_for_longer() -> None:
    policy: Policy[int] = Policy()
    served(policy, list(range(100)), 100)
    served(policy, list(range(100, 160)), 100)
    assert 120 not in policy
    served(policy, [120], 100)
    served(policy, list(range(1000, 1060)), 100)
    assert [name for name in range(1000, 1020) if name in policy] == []
    assert 120 in policy


def test_ghosts_are_no_more_than_the_main_queue_holds() -> None:
    policy: Policy[int] = Policy()
    chance = random.Random(1)
    for step in range(20_000):
        if policy.count >= 200:
            policy.victim()
        policy.insert(int(chance.paretovariate(0.6)) + step % 7, 1)
        assert policy.ghosts <= policy._main.count + 1
        assert len(policy._ghosts._order) <= policy._main.count + 1


@pytest.mark.parametrize(
    ("uses", "gone"),
    [
        ([0, 0, 0], [0, 1, 2]),
        ([1, 0, 0], [1, 2, 0]),
        ([3, 1, 0], [2, 1, 0]),
        ([9, 3, 2], [2, 0, 1]),
    ],
)
def test_uses_that_were_counted_elsewhere_count(uses: list[int], gone: list[int]) -> None:
    policy: Policy[int] = Policy()
    policy.preload((name, 1) for name in range(3))
    left = list(uses)

    def take(name: int) -> int:
        taken, left[name] = left[name], 0
        return taken

    assert [policy.victim(take) for _ in uses] == gone
    assert policy.victim(take) is None


def test_one_eviction_looks_at_only_so_many() -> None:
    policy: Policy[int] = Policy()
    policy.preload((name, 1) for name in range(10 * MOST_LOOKS))
    looked: list[int] = []

    def always_used(name: int) -> int:
        looked.append(name)
        return 3

    assert policy.victim(always_used) == MOST_LOOKS
    assert len(looked) == MOST_LOOKS + 1
    assert policy.count == 10 * MOST_LOOKS - 1


def test_the_small_queue_is_a_tenth_from_the_start() -> None:
    policy: Policy[int] = Policy()
    for name in range(1000):
        policy.insert(name, 7)
    assert 95 <= policy._small.count <= 105


def test_removing_for_ever_takes_no_memory() -> None:
    policy: Policy[int] = Policy()
    for round_ in range(5000):
        policy.insert(round_ % 3, 1)
        policy.remove(round_ % 3)
    assert len(policy._small._names) + len(policy._small._removed) <= 2 * eviction._SPARE + 3

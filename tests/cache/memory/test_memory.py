"""The budget holds whatever is begun, ended and discarded, in any order."""

from __future__ import annotations

import asyncio
from sys import getrefcount

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.cache.disk.stored import SliceGone
from proxy.cache.memory.growing import Slice
from proxy.cache.memory.memory import Memory
from proxy.errors import OriginBroke
from tests.cache.samples import bytes_of

NAMES = "abcdef"
LIMIT = 100
LENGTHS = st.integers(1, 120)


def filled(memory: Memory, name: str, length: int) -> Slice:
    """A whole slice of this name."""
    made = memory.begin(name, length)
    assert made is not None
    made.add(bytes(length))
    made.complete()
    memory.end(name, made)
    return made


class Budget(RuleBasedStateMachine):
    """The memory beside what it was asked to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(LIMIT)
        self.growing: list[tuple[str, Slice]] = []
        self.every: list[Slice] = []

    @rule(name=st.sampled_from(NAMES), length=LENGTHS, spare=st.sampled_from([0.0, 0.5, 1.0]))
    def begin(self, name: str, length: int, spare: float) -> None:
        taken = sum(one.length for _, one in self.growing)
        made = self.memory.begin(name, length, spare=spare)
        assert (made is not None) == (taken + length <= LIMIT * (1 - spare))
        if made is not None:
            self.growing.append((name, made))
            self.every.append(made)
            assert self.memory.peek(name) is made

    def take(self, data: st.DataObject) -> tuple[str, Slice]:
        return self.growing.pop(data.draw(st.integers(0, len(self.growing) - 1)))

    @precondition(lambda self: self.growing)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        name, made = self.take(data)
        wanted = self.memory.peek(name) is made
        made.add(bytes(made.length))
        made.complete()
        self.memory.end(name, made)
        assert (self.memory.get(name) is made) == wanted
        assert made.state == ("whole" if wanted else "gone")

    @precondition(lambda self: self.growing)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        name, made = self.take(data)
        other = self.memory.peek(name)
        made.fail(OriginBroke())
        self.memory.end(name, made)
        assert self.memory.peek(name) is (None if other is made else other)

    @rule(name=st.sampled_from(NAMES))
    def discard(self, name: str) -> None:
        found = self.memory.peek(name)
        self.memory.discard(name)
        assert self.memory.peek(name) is None
        if found is not None:
            grows = any(one is found for _, one in self.growing)
            assert found.state == ("growing" if grows else "gone")

    @rule(name=st.sampled_from(NAMES))
    def get(self, name: str) -> None:
        assert self.memory.get(name) is self.memory.peek(name)

    @invariant()
    def the_budget_holds(self) -> None:
        found = [one for name in self.memory.names() if (one := self.memory.peek(name))]
        grow = [one for _, one in self.growing]
        whole = [one for one in found if one.state == "whole"]
        assert self.memory.used == sum(one.length for one in [*grow, *whole]) <= LIMIT
        assert self.memory.count == len(found)
        assert all(one.state in ("growing", "whole") for one in found)

    @invariant()
    def what_is_not_held_holds_no_bytes(self) -> None:
        held = {id(self.memory.peek(name)) for name in self.memory.names()}
        for one in self.every:
            if one.state == "gone":
                assert id(one) not in held
                assert not one._buffers


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("growing", "length", "spare", "has_room"),
    [
        (0, 100, 0.0, True),
        (0, 101, 0.0, False),
        (60, 40, 0.0, True),
        (60, 41, 0.0, False),
        (0, 50, 0.5, True),
        (0, 51, 0.5, False),
        (30, 20, 0.5, True),
        (31, 20, 0.5, False),
        (0, 1, 1.0, False),
    ],
)
def test_room_by_what_grows(growing: int, length: int, spare: float, has_room: bool) -> None:
    memory = Memory(LIMIT)
    filled(memory, "whole", 40)  # it gives way, so that it makes no difference
    if growing:
        assert memory.begin("grows", growing) is not None
    assert (memory.begin("new", length, spare=spare) is not None) == has_room


def test_whole_slices_give_way_and_growing_ones_do_not() -> None:
    memory = Memory(LIMIT)
    whole = [filled(memory, name, 20) for name in "abc"]
    grows = memory.begin("g", 40)
    assert grows is not None
    assert memory.evicted == 0
    assert memory.begin("h", 60) is not None
    assert [one.state for one in whole] == ["gone"] * 3
    assert (memory.evicted, memory.used, memory.count) == (3, 100, 2)
    assert grows.state == "growing"
    assert memory.begin("i", 1) is None


def test_what_is_used_stays_longer() -> None:
    memory = Memory(LIMIT)
    for name in "abcde":
        filled(memory, name, 20)
    for _ in range(3):
        assert memory.get("c") is not None
        assert memory.peek("d") is not None  # which is no use of it
    for name in "vwxy":
        filled(memory, name, 60)
    left = [name for name in "abcde" if memory.peek(name)]
    assert "c" in left
    assert not {"a", "b", "d"} & set(left)


async def test_an_evicted_slice_is_free_at_once_though_it_is_read() -> None:
    memory = Memory(LIMIT)
    whole, buffer = memory.begin("a", 60), bytes_of(60)
    assert whole is not None
    whole.add(buffer)
    whole.complete()
    memory.end("a", whole)
    reading, slow = whole.read(0, 60), whole.read(0, 60)
    assert await anext(reading) is buffer
    held = getrefcount(buffer)
    assert memory.begin("b", 100) is not None
    assert getrefcount(buffer) == held - 1
    with pytest.raises(SliceGone):
        await anext(slow)
    await reading.aclose()


async def test_one_that_is_discarded_goes_on_for_its_readers() -> None:
    memory = Memory(LIMIT)
    made = memory.begin("a", 10)
    assert made is not None
    reading = asyncio.ensure_future(anext(made.read(0, 10)))
    await asyncio.sleep(0)
    memory.discard("a")
    another = memory.begin("a", 20)
    assert memory.used == 30
    made.add(b"0123456789")
    assert await reading == b"0123456789"
    made.complete()
    memory.end("a", made)
    assert (made.state, memory.used, memory.peek("a")) == ("gone", 20, another)


async def test_one_that_failed_and_is_discarded_still_gives_what_there_is() -> None:
    memory = Memory(LIMIT)
    made = memory.begin("a", 10)
    assert made is not None
    made.add(b"01234")
    reading = made.read(0, 10)
    made.fail(OriginBroke("it broke"))
    memory.discard("a")
    memory.end("a", made)
    assert await anext(reading) == b"01234"
    with pytest.raises(OriginBroke, match="it broke"):
        await anext(reading)
    assert (memory.used, memory.count) == (0, 0)


def test_one_that_is_begun_anew_takes_the_place_of_the_old() -> None:
    memory = Memory(LIMIT)
    old = filled(memory, "a", 50)
    new = memory.begin("a", 50)
    assert new is not None
    assert (old.state, memory.used) == ("gone", 50)
    new.fail(OriginBroke())
    memory.end("a", new)
    assert memory.used == 0
    assert memory.begin("b", 100) is not None


def test_names_can_be_discarded_while_they_are_gone_through() -> None:
    memory = Memory(LIMIT)
    for name in NAMES:
        filled(memory, name, 5)
    for name in memory.names():
        memory.discard(name)
    memory.discard("a")
    assert (memory.used, memory.count) == (0, 0)

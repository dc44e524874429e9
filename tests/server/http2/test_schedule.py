"""Whose turn it is (RFC 9218 §10)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.priority import Priority
from proxy.server.http2.schedule import Schedule
from proxy.server.http2.streams import Stream


def stream(number: int, urgency: int = 3, incremental: bool = True) -> Stream:
    made = Stream(number, 100, None)
    made.priority = Priority(urgency, incremental)
    return made


def turns(schedule: Schedule, count: int, *, again: bool = True) -> list[int]:
    order = []
    for _ in range(count):
        one = schedule.next()
        if one is None:
            break
        order.append(one.id)
        if again:
            schedule.add(one)
    return order


def scheduled(*streams: Stream) -> Schedule:
    schedule = Schedule()
    for one in streams:
        schedule.add(one)
    return schedule


def test_equal_streams_take_turns() -> None:
    assert turns(scheduled(stream(5), stream(1), stream(3)), 7) == [5, 1, 3, 5, 1, 3, 5]


def test_the_urgent_come_first() -> None:
    schedule = scheduled(stream(1, 7), stream(3, 0), stream(5, 3))
    assert turns(schedule, 9, again=False) == [3, 5, 1]


def test_what_is_of_use_only_whole_goes_one_after_the_other() -> None:
    schedule = scheduled(stream(5, 3, False), stream(1, 3, False))
    assert turns(schedule, 4) == [1, 1, 1, 1]


def test_both_kinds_share() -> None:
    schedule = scheduled(stream(1, 3, False), stream(3, 3, False), stream(5), stream(7))
    assert turns(schedule, 8) == [5, 1, 7, 1, 5, 1, 7, 1]


def test_adding_twice_is_adding_once() -> None:
    one = stream(1)
    schedule = scheduled(one, one)
    assert len(schedule) == 1
    assert turns(schedule, 5, again=False) == [1]
    assert schedule.next() is None


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=20))
def test_everyone_comes_once_and_by_urgency(kinds: list[tuple[int, bool]]) -> None:
    streams = [stream(2 * place + 1, *kind) for place, kind in enumerate(kinds)]
    order = turns(scheduled(*streams), 100, again=False)
    assert sorted(order) == [one.id for one in streams]
    urgencies = [streams[number // 2].priority.urgency for number in order]
    assert urgencies == sorted(urgencies)

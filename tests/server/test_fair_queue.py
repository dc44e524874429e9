"""Parties take turns, and each has its things in order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.fair_queue import FairQueue


def queued(*things: tuple[str, int]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for party, number in things:
        queue.add(party, (party, number))
    return queue


def test_whoever_has_much_waits_behind_itself() -> None:
    queue = queued(*(("a", one) for one in range(100)), ("b", 0), ("c", 0))
    assert [queue.next() for _ in range(5)] == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("a", 2)]


def test_one_that_was_served_comes_behind_those_that_wait() -> None:
    queue = queued(("a", 0), ("a", 1), ("b", 0))
    queue.next()
    queue.add("c", ("c", 0))
    assert [queue.next() for _ in range(3)] == [("b", 0), ("a", 1), ("c", 0)]


def test_an_empty_one_says_so() -> None:
    queue = queued(("a", 0))
    assert len(queue) == 1
    queue.next()
    assert not queue
    with pytest.raises(IndexError):
        queue.next()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=30))
def test_nothing_is_lost_and_each_party_keeps_its_order(things: list[tuple[str, int]]) -> None:
    queue = queued(*things)
    order = [queue.next() for _ in range(len(queue))]
    assert len(queue) == 0
    for party in "abc":
        own = [one for one in things if one[0] == party]
        assert [one for one in order if one[0] == party] == own
        # While it waits, nobody else is served twice before it.
        places = [place for place, one in enumerate(order) if one[0] == party]
        gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
        assert max(gaps, default=0) <= 3

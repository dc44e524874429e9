"""When to ask again: tables over the pure rules, and what a storm of refusals may cost."""

from __future__ import annotations

import random

import pytest

from proxy.errors import (
    ChecksumMismatch,
    Fault,
    Forbidden,
    NotFound,
    ObjectChanged,
    OriginBroke,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    OriginUnreachable,
)
from proxy.origins.retrying import (
    FREE_AFTER,
    MOST_TOKENS,
    GiveUp,
    Pause,
    RetryBudget,
    RetryOptions,
    Tries,
    can_be_joined,
    rest_of,
)
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation, Span

OPTIONS = RetryOptions(max_retries=3, first_pause=1.0, longest_pause=5.0, patience=30.0)


def tries(budget: RetryBudget | None = None, options: RetryOptions = OPTIONS) -> Tries:
    return Tries(options, budget or RetryBudget(1.0, 0.0), now=0.0)


@pytest.mark.parametrize(
    ("fault", "helps"),
    [
        (OriginBroke(), True),
        (OriginTimeout(), True),
        (OriginUnreachable(), True),
        (OriginUnavailable(), True),
        (OriginFault(), False),
        (OriginRefused(), False),
        (ObjectChanged(), False),
        (ChecksumMismatch(), False),
        (NotFound(), False),
        (Forbidden(), False),
        (Fault(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_faults_another_try_helps(fault: Fault, helps: bool) -> None:
    assert fault.retryable is helps
    assert isinstance(tries().after(fault, 0.0, 0.5), Pause) is helps


def test_a_fault_that_no_try_helps_is_no_giving_up() -> None:
    assert tries().after(NotFound(), 0.0, 0.5) == GiveUp("")


def test_pauses_double_and_are_jittered_down_to_nothing() -> None:
    one = tries()
    assert one.after(OriginBroke(), 0.0, 1.0) == Pause(1.0)
    assert one.after(OriginBroke(), 0.0, 1.0) == Pause(2.0)
    assert one.after(OriginBroke(), 0.0, 0.0) == Pause(0.0)
    assert one.after(OriginBroke(), 0.0, 1.0) == GiveUp("3 retries did not help")


def test_pauses_end_growing() -> None:
    one = tries(options=RetryOptions(max_retries=100, longest_pause=5.0, patience=1e9))
    pauses = [one.after(OriginBroke(), 0.0, 1.0) for _ in range(40)]
    assert pauses[-1] == Pause(5.0)


def test_enough_bytes_that_arrive_start_the_count_anew() -> None:
    one = tries()
    for _ in range(20):
        assert isinstance(one.after(OriginBroke(), 0.0, 0.1), Pause)
        one.progress(OPTIONS.enough - 1, 0.0)
        one.progress(1, 0.0)


def test_a_few_bytes_each_time_do_not() -> None:
    one = tries()
    for _ in range(3):
        one.progress(OPTIONS.enough - 1, 0.0)
        assert isinstance(one.after(OriginTimeout(), 0.0, 0.1), Pause)
    assert isinstance(one.after(OriginTimeout(), 0.0, 0.1), GiveUp)


@pytest.mark.parametrize(
    ("asked", "decided"),
    [
        (None, Pause(0.5)),
        (0, Pause(0.5)),
        (3, Pause(3.5)),
        (5, Pause(5.5)),
        (6, GiveUp("the origin asks for a pause of 6 s")),
    ],
)
def test_what_an_origin_asks_for_is_waited_if_it_is_bearable(
    asked: int | None, decided: Pause | GiveUp
) -> None:
    assert tries().after(OriginUnavailable(retry_after=asked), 0.0, 0.5) == decided


def test_clients_are_told_a_time_whether_or_not_the_origin_said_one() -> None:
    assert OriginUnavailable().retry_after == 2
    assert OriginUnavailable(retry_after=0).retry_after == 0
    assert OriginUnavailable(retry_after=7).retry_after == 7


def test_patience_ends_and_begins_anew_with_the_bytes() -> None:
    one = tries()
    one.progress(1, 100.0)
    assert isinstance(one.after(OriginTimeout(), 128.0, 0.5), Pause)
    assert one.after(OriginTimeout(), 131.0, 0.5) == GiveUp("nothing came for 31.0 s")


def test_an_empty_budget_ends_it() -> None:
    assert tries(RetryBudget(0.0, 0.0)).after(OriginBroke(), 0.0, 0.5) == GiveUp(
        "the origin's retry budget is empty"
    )


def test_a_body_that_brought_much_is_gone_on_with_for_nothing() -> None:
    one = tries(RetryBudget(0.0, 0.0))
    for _ in range(1000):
        one.progress(FREE_AFTER // 2, 0.0)
        one.progress(FREE_AFTER // 2, 0.0)
        assert isinstance(one.after(OriginBroke(), 0.0, 0.5), Pause)
    assert isinstance(one.after(OriginBroke(), 0.0, 0.5), GiveUp)  # but only once for each MiB
    one.progress(FREE_AFTER - 1, 0.0)
    assert isinstance(one.after(OriginBroke(), 0.0, 0.5), GiveUp)


def test_no_retry_is_asked_for_then_none_is_made() -> None:
    one = tries(options=RetryOptions(max_retries=0))
    assert one.after(OriginBroke(), 0.0, 0.5) == GiveUp("0 retries did not help")


def test_a_budget_is_what_successes_earn_and_a_trickle() -> None:
    budget = RetryBudget(0.1, now=0.0)
    spent = 0
    while budget.spend(0.0):
        spent += 1
    assert spent == MOST_TOKENS
    for _ in range(29):
        budget.earn()
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, False, False]
    assert [budget.spend(0.3) for _ in range(2)] == [True, True]
    assert not budget.spend(0.3)
    assert not budget.spend(-100.0)  # a clock that is set back gives nothing


def test_what_is_saved_is_bounded() -> None:
    budget = RetryBudget(1.0, now=0.0)
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend(1e6) for _ in range(10_000)) == MOST_TOKENS


def test_a_minute_of_refusals_is_no_storm() -> None:
    """1,000 requests a second for a minute, each refused and each wishing to be retried."""
    budget, chance = RetryBudget(0.1, now=0.0), random.Random(1)
    options = RetryOptions()
    clients = origin = 0
    for millisecond in range(60_000):
        now = millisecond / 1000
        one = Tries(options, budget, now)
        clients += 1
        origin += 1
        while isinstance(one.after(OriginUnavailable(), now, chance.random()), Pause):
            origin += 1
    assert clients < origin <= 1.1 * clients


@pytest.mark.parametrize(
    ("span", "received", "rest"),
    [
        (Span(0, 10), 0, Span(0, 10)),
        (Span(0, 10), 3, Span(3, 10)),
        (Span(7, 10), 2, Span(9, 10)),
        (Span(7, 10), 3, Span(10, 10)),
        (Span(5, 5), 0, Span(5, 5)),
    ],
)
def test_what_is_left(span: Span, received: int, rest: Span) -> None:
    assert rest_of(span, received) == rest


@pytest.mark.parametrize("received", [-1, 4])
def test_what_cannot_have_come(received: int) -> None:
    with pytest.raises(ValueError, match="received"):
        rest_of(Span(7, 10), received)


@pytest.mark.parametrize(
    ("known", "joinable"),
    [
        (Representation(9, etag=EntityTag("a")), True),
        (Representation(9, etag=EntityTag("a", weak=True)), False),
        (Representation(9, etag=EntityTag("a", weak=True), version="v1"), True),
        (Representation(9, version="v1"), True),
        (Representation(9, last_modified=1_700_000_000), False),
    ],
)
def test_what_two_reads_may_be_joined_by(known: Representation, joinable: bool) -> None:
    assert can_be_joined(known) is joinable

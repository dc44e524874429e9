"""Several processes as one: what is counted never falls, whoever ends."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.observability import metrics as names
from proxy.observability import process_metrics
from proxy.observability.meters import Value, Values
from proxy.observability.totals import Ledger, counters_of, of_process, total


def value_of(values: Values, name: str, *labels: str) -> Value:
    return next(value for found, value in values.get(name, []) if tuple(found) == labels)


def counted(number: float) -> Values:
    return {names.DOWNLOADS.name: [(["complete"], number)], names.IN_FLIGHT.name: [([], 1)]}


def test_counters_and_histograms_are_added_and_gauges_merged_as_they_say() -> None:
    one: Values = {
        names.DOWNLOADS.name: [(["complete"], 3), (["cut"], 1)],
        process_metrics.LOOP_LAG.name: [([], [1, 0, 2, 0.5])],
        names.IN_FLIGHT.name: [([], 2)],
        names.ORIGIN_UP.name: [(["a"], 0), (["b"], 0)],
    }
    other: Values = {
        names.DOWNLOADS.name: [(["complete"], 4)],
        process_metrics.LOOP_LAG.name: [([], [0, 1, 0, 0.25])],
        names.IN_FLIGHT.name: [([], 5)],
        names.ORIGIN_UP.name: [(["a"], 1)],
    }
    sums = total([one, other])
    assert value_of(sums, names.DOWNLOADS.name, "complete") == 7
    assert value_of(sums, names.DOWNLOADS.name, "cut") == 1
    assert value_of(sums, process_metrics.LOOP_LAG.name) == [1, 1, 2, 0.75]
    assert value_of(sums, names.IN_FLIGHT.name) == 7
    assert value_of(sums, names.ORIGIN_UP.name, "a") == 1
    assert value_of(sums, names.ORIGIN_UP.name, "b") == 0


def test_a_metric_that_is_not_known_is_passed_over() -> None:
    strange: Values = {"headgate_of_tomorrow_total": [([], 1)]}
    assert total([strange]) == {}
    assert of_process(strange, "worker-0") == {}


def test_the_name_of_a_process_is_filled_in() -> None:
    values: Values = {process_metrics.STALLS.name: [([""], 2)], **counted(1)}
    named = of_process(values, "worker-3")
    assert named[process_metrics.STALLS.name] == [(["worker-3"], 2)]
    assert named[names.DOWNLOADS.name] == values[names.DOWNLOADS.name]


def test_of_a_process_that_is_gone_the_counters_stay() -> None:
    ledger = Ledger()
    ledger.note("a", counted(10))
    ledger.note("b", counted(5))
    ledger.note("a", counted(11))
    ledger.close("a")
    sums = ledger.total(counted(100))
    assert value_of(sums, names.DOWNLOADS.name, "complete") == 116
    assert value_of(sums, names.IN_FLIGHT.name) == 2
    assert ledger.noted == ["b"]
    ledger.close("nobody")
    assert ledger.total(counted(100)) == sums


def test_gauges_are_no_counters() -> None:
    assert counters_of(counted(1)) == {names.DOWNLOADS.name: [(["complete"], 1)]}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("count"), st.integers(0, 3), st.integers(0, 9)),
            st.tuples(st.just("end"), st.integers(0, 3), st.just(0)),
        ),
        max_size=40,
    )
)
def test_the_sum_is_that_of_all_that_ever_counted(steps: Sequence[tuple[str, int, int]]) -> None:
    ledger, living, expected = Ledger(), dict.fromkeys(range(4), 0), 0
    for what, who, amount in steps:
        if what == "end":
            ledger.close(who)
            living[who] = 0
        else:
            expected += amount
            living[who] += amount
            ledger.note(who, {names.DOWNLOADS.name: [(["cut"], living[who])]})
        rows = ledger.total().get(names.DOWNLOADS.name, [([], 0)])
        assert rows[0][1] == expected

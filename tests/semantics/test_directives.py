"""Cache directives: a table, the oracle's reading, and the cost."""

from __future__ import annotations

import pytest
from hypothesis import given

from proxy.semantics import directives
from proxy.semantics.directives import (
    MALFORMED,
    MAX_FIELD_LENGTH,
    MAX_SECONDS,
    Argument,
    read_directives,
    seconds_of,
)
from tests.semantics import oracle
from tests.semantics.backtracking import StepCounter, hostile_texts
from tests.semantics.strategies import (
    REQUEST_DIRECTIVES,
    RESPONSE_DIRECTIVES,
    cache_control_fields,
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, {}),
        ("", {}),
        (" ,\t, ,", {}),
        ("no-store", {"no-store": None}),
        ("NO-Store", {"no-store": None}),
        ("max-age=60", {"max-age": "60"}),
        ('max-age="60"', {"max-age": "60"}),
        (" a ,\tb=c\t,,d", {"a": None, "b": "c", "d": None}),
        ("a=1, A=2", {"a": "1"}),
        ("a, a=2", {"a": None}),
        ("a=?, a=2", {"a": MALFORMED}),
        ("a=", {"a": MALFORMED}),
        ("a =1", {"a": MALFORMED}),
        ("a= 1", {"a": MALFORMED}),
        ("a=1;b", {"a": MALFORMED}),
        ("a b", {"a": MALFORMED}),
        ("=1, ;, \xe9, b", {"b": None}),
        ('a=""', {"a": ""}),
        ('a="x, b", c', {"a": "x, b", "c": None}),
        ('a="x\\"\\\\, b", c', {"a": 'x"\\, b', "c": None}),
        ('a="\xe9\t"', {"a": "\xe9\t"}),
        ('a="\0"', {"a": MALFORMED}),
        ('a="\\\0"', {"a": MALFORMED}),
        ('a="x"y', {"a": MALFORMED}),
        # A quote left open hides nothing.
        ('a="x, no-store', {"a": MALFORMED, "no-store": None}),
        ('a="x\\", no-store', {"a": MALFORMED, "no-store": None}),
        ('a="x\\', {"a": MALFORMED}),
        ('"no-store", b', {"b": None}),
        ("no-store\n", {"no-store": MALFORMED}),
    ],
)
def test_fields(field: str | None, expected: dict[str, Argument]) -> None:
    assert read_directives(field) == expected


@given(cache_control_fields(RESPONSE_DIRECTIVES + REQUEST_DIRECTIVES))
def test_agrees_with_the_oracle(field: str) -> None:
    slow = {
        name: argument if valid else MALFORMED
        for name, (valid, argument) in oracle.cache_directives(field).items()
    }
    assert dict(read_directives(field)) == slow
    for argument in slow.values():
        assert seconds_of(argument) == oracle.delta_seconds(argument)


@pytest.mark.parametrize(
    ("argument", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ("0060", 60),
        (str(MAX_SECONDS - 1), MAX_SECONDS - 1),
        (str(MAX_SECONDS), MAX_SECONDS),
        (str(MAX_SECONDS + 1), MAX_SECONDS),
        ("9" * MAX_FIELD_LENGTH, MAX_SECONDS),
        (None, None),
        ("", None),
        (MALFORMED, None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        (" 1", None),
        ("1\n", None),
        ("٣", None),
        ("²", None),
    ],
)
def test_seconds(argument: Argument, seconds: int | None) -> None:
    assert seconds_of(argument) == seconds


def test_a_long_field_is_not_read() -> None:
    assert read_directives("no-store".ljust(MAX_FIELD_LENGTH)) == {"no-store": None}
    assert read_directives("no-store".ljust(MAX_FIELD_LENGTH + 1)) == {}


def test_time_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the length takes no more than twice the steps, and a little."""
    patterns = ("_BALANCED", "_NAME", "_VALUE", "_SECONDS")

    def steps(length: int) -> int:
        counters = [StepCounter(getattr(directives, name)) for name in patterns]
        elements = StepCounter(directives._ELEMENT)
        with monkeypatch.context() as patch:
            for name, counter in zip(patterns, counters, strict=True):
                patch.setattr(directives, name, counter)
            worst = 0
            for text in hostile_texts(['a="', '"', "\\", ",", '\\"', "1"], length):
                before = sum(counter.steps for counter in [*counters, elements])
                for argument in read_directives(text).values():
                    seconds_of(argument)
                position = 0 if directives._BALANCED.fullmatch(text) else len(text) + 1
                while position <= len(text):  # as findall does
                    found = elements.match(text, position)
                    position = found.end() + 1 if found else len(text) + 1
                worst = max(worst, sum(one.steps for one in [*counters, elements]) - before)
        return worst

    assert steps(60) < 2.5 * steps(30)

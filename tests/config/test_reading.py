"""Text of variables and --set: what it is read as, and in which order."""

from __future__ import annotations

import pytest

from proxy.config.reading import read_assignments, read_environment, value_of
from proxy.config.sources import Layers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("media", "media"),
        ("30s", "30s"),
        ("4", 4),
        ("007", "007"),
        ("true", True),
        ("True", "True"),
        ('"4"', "4"),
        ("'a b'", "a b"),
        ('["a", 1]', ["a", 1]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("{ a.b = 1 }", {"a": {"b": 1}}),
        ("null", "null"),
        ("2024-01-01", "2024-01-01"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda found: str(found)[:20],
)
def test_values(text: str, value: object) -> None:
    assert value_of(text) == value


def test_tables_come_before_what_is_in_them_and_elements_in_order() -> None:
    layers = Layers()
    environ = {f"HEADGATE_RULES__{number}": str(number) for number in reversed(range(12))}
    environ |= {"HEADGATE_A__B": "2", "HEADGATE_A": '{"b" = 1, "c" = 1}'}
    assert list(read_environment(layers, environ, 1)) == []
    assert layers.tree == {"rules": list(range(12)), "a": {"b": 2, "c": 1}}


def test_the_last_assignment_wins() -> None:
    layers = Layers()
    assert list(read_assignments(layers, ["a.b=1", "a.c = x=y ", "a.b=2"], 1)) == []
    assert layers.tree == {"a": {"b": 2, "c": "x=y"}}

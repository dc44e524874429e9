"""Counts the steps of a backtracking match, so that "linear" can be tested without a clock.

A regular expression is walked as `re` itself would walk it, without its shortcuts: first choice
first, backing up on failure. Each node tried at a position is one step. Slow, so texts are short:
growth shows at a hundred characters as well as at ten thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_parser: Any = import_module("re._parser")

# What the parser gives has no types of its own.
Untyped = Any
Nodes = list[tuple[Untyped, Untyped]]


class StepCounter:
    """Stands in for a compiled pattern, and adds up the steps of every match asked of it."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.steps = 0
        self._nodes: Nodes = list(_parser.parse(pattern.pattern, pattern.flags))

    def match(self, text: str, position: int = 0) -> re.Match[str] | None:
        """As `Pattern.match`."""
        return self._agree(self.pattern.match(text, position), text, position, whole=False)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """As `Pattern.fullmatch`."""
        return self._agree(self.pattern.fullmatch(text), text, 0, whole=True)

    def _agree(
        self, found: re.Match[str] | None, text: str, position: int, *, whole: bool
    ) -> re.Match[str] | None:
        ends = self._sequence(self._nodes, 0, text, position)
        end = next((end for end in ends if not whole or end == len(text)), None)
        assert end == (found.end() if found else None), (self.pattern, text, end, found)
        return found

    def _sequence(self, nodes: Nodes, index: int, text: str, position: int) -> Iterator[int]:
        if index == len(nodes):
            yield position
            return
        for end in self._node(*nodes[index], text, position):
            yield from self._sequence(nodes, index + 1, text, end)

    def _node(
        self, operation: Untyped, argument: Untyped, text: str, position: int
    ) -> Iterator[int]:
        self.steps += 1
        name = str(operation)
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            if position < len(text) and _is_member(name, argument, text[position]):
                yield position + 1
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, nodes = argument
            ends = self._repeat(list(nodes), least, int(most), text, position, name == "MIN_REPEAT")
            yield from _first(ends) if name == "POSSESSIVE_REPEAT" else ends
        elif name == "SUBPATTERN":
            yield from self._sequence(list(argument[3]), 0, text, position)
        elif name == "ATOMIC_GROUP":
            yield from _first(self._sequence(list(argument), 0, text, position))
        elif name == "BRANCH":
            for choice in argument[1]:
                yield from self._sequence(list(choice), 0, text, position)
        else:
            raise NotImplementedError(name)

    def _repeat(
        self, nodes: Nodes, least: int, most: int, text: str, position: int, lazy: bool
    ) -> Iterator[int]:
        if lazy and least <= 0:
            yield position
        if most > 0:
            for end in self._sequence(nodes, 0, text, position):
                if end > position:
                    yield from self._repeat(nodes, least - 1, most - 1, text, end, lazy)
        if not lazy and least <= 0:
            yield position


def _first(ends: Iterator[int]) -> Iterator[int]:
    for end in ends:
        yield end
        return


def _is_member(name: str, argument: Untyped, character: str) -> bool:
    code = ord(character)
    if name == "ANY":
        return True
    if name != "IN":
        return bool((code == argument) == (name == "LITERAL"))
    members, negated = list(argument), False
    if str(members[0][0]) == "NEGATE":
        members, negated = members[1:], True
    found = any(
        code == value if str(kind) == "LITERAL" else value[0] <= code <= value[1]
        for kind, value in members
    )
    return found != negated


def hostile_texts(alphabet: list[str], length: int) -> Iterator[str]:
    """Texts of about this length that make backtracking patterns back up: pumped units."""
    for unit in [*alphabet, *(a + b for a in alphabet for b in alphabet)]:
        pumped = (unit * length)[:length]
        yield pumped
        for edge in alphabet:
            yield edge + pumped
            yield pumped + edge
            yield edge + pumped + edge

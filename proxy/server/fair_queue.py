"""A queue in which each party takes turns, however many things it has in it. Pure.

Who floods from one address then waits behind itself, and not the others behind it.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class FairQueue(Generic[Thing]):
    """Things of parties: of one party first in, first out; the parties one after the other."""

    __slots__ = ("_by_party", "_count")

    def __init__(self) -> None:
        self._by_party: dict[str, deque[Thing]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, party: str, thing: Thing) -> None:
        """Puts a thing at the end of what its party has here."""
        self._by_party.setdefault(party, deque()).append(thing)
        self._count += 1

    def next(self) -> Thing:
        """Takes the next thing of the party whose turn it is; raises `IndexError` when empty."""
        if not self._count:
            raise IndexError("nothing waits")
        party = next(iter(self._by_party))
        things = self._by_party.pop(party)
        self._count -= 1
        thing = things.popleft()
        if things:
            self._by_party[party] = things  # behind all others
        return thing

"""The slices in memory, within a budget of bytes.

Room is taken before a byte of a slice is asked for, so that the budget holds whatever is asked at
the same time. Whole slices give way to new ones, by the policy of `rules.eviction`; slices
that are still growing don't.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.cache.memory.growing import Slice
from proxy.cache.rules.eviction import Policy


class Memory:
    """Slices by name. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.evicted = 0
        self._growing = 0
        self._slices: dict[str, Slice] = {}
        self._policy: Policy[str] = Policy()

    @property
    def used(self) -> int:
        """Bytes taken, by whole slices and for growing ones."""
        return self._growing + self._policy.bytes

    @property
    def count(self) -> int:
        """How many slices there are."""
        return len(self._slices)

    def get(self, name: str) -> Slice | None:
        """The slice of a name; counts as a use of it."""
        found = self._slices.get(name)
        if found is not None and found.state == "whole":
            self._policy.hit(name)
        return found

    def peek(self, name: str) -> Slice | None:
        """The same without counting."""
        return self._slices.get(name)

    def begin(self, name: str, length: int, *, spare: float = 0.0) -> Slice | None:
        """A new slice to be filled, or None where there is no room for it.

        `spare` is the share of the budget that growing slices must leave to others.
        """
        if self._growing + length > self.limit * (1.0 - spare):
            return None
        self.discard(name)
        while self.used + length > self.limit:
            victim = self._policy.victim()
            if victim is None:
                return None
            self._forget(victim)
            self.evicted += 1
        self._growing += length
        made = self._slices[name] = Slice(length)
        return made

    def end(self, name: str, made: Slice) -> None:
        """A slice of `begin` will grow no more: it is kept if it is whole and still wanted.

        One that failed stays with its readers, who are given what there is.
        """
        self._growing -= made.length
        wanted = self._slices.get(name) is made
        if wanted and made.state == "whole":
            self._policy.insert(name, made.length)
            return
        if wanted:
            del self._slices[name]
        if made.state != "failed":
            made.drop()

    def discard(self, name: str) -> None:
        """Forgets a slice: nobody will find it any more. One that grows, or has just failed, goes
        on for its readers."""
        if self._policy.remove(name) is not None:
            self._forget(name)
        else:
            self._slices.pop(name, None)

    def names(self) -> Iterator[str]:
        """All names, as they are now."""
        return iter(list(self._slices))

    def _forget(self, name: str) -> None:
        self._slices.pop(name).drop()

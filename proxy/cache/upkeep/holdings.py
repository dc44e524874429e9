"""What the cache's directory holds, as the janitor keeps count of it. Pure: names and sizes only.

Files are known by their names alone: `<object>.<version>.<index>` is a slice, `<object>.head` what
is known of the object. Slices are the policy's, which says what goes next. A head stays as long as
its object has slices; one without is idle, and goes when it has been so for a while. Any other file
is not the cache's, and not counted.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from proxy.cache.rules.eviction import Policy

SHARDS = tuple(f"{number:02x}" for number in range(256))

_OURS = re.compile(r"[0-9a-f]{32}\.(?:[0-9a-f]{16}\.[0-9]{1,12}|head)")
_OBJECT = 32


def is_ours(name: str) -> bool:
    """Whether a file of this name is the cache's."""
    return _OURS.fullmatch(name) is not None


def is_head(name: str) -> bool:
    """Whether a file that is ours is a head."""
    return name.endswith(".head")


class Holdings:
    """Counts what is held. Names given to it are such that `is_ours` says yes.

    Objects are numbers here, their 128 bits: half the memory of a string.
    """

    def __init__(self) -> None:
        self._policy: Policy[str] = Policy()
        self._slices: dict[int, int] = {}
        self._heads: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._head_bytes = 0

    @property
    def bytes(self) -> int:
        """Of slices and heads."""
        return self._policy.bytes + self._head_bytes

    @property
    def files(self) -> int:
        """Slices and heads."""
        return self._policy.count + len(self._heads)

    def __contains__(self, name: str) -> bool:
        return _object_of(name) in self._heads if is_head(name) else name in self._policy

    def __iter__(self) -> Iterator[str]:
        """The names of all that is held, slices first."""
        yield from self._policy
        yield from map(_head_of, self._heads)

    def found(self, name: str, size: int) -> None:
        """A file is there, new or known."""
        if is_head(name):
            self._head_found(_object_of(name), size)
            return
        if name not in self._policy:
            self._count_slice(name)
        self._policy.insert(name, size)

    def preload(self, files: Iterable[tuple[str, int]]) -> None:
        """Files (name, size) that an earlier run left, what goes first first."""
        self._policy.preload(self._slices_among(files))

    def _slices_among(self, files: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Counts the rest on the way."""
        for name, size in files:
            if is_head(name):
                self._head_found(_object_of(name), size)
                continue
            if name not in self._policy:
                self._count_slice(name)
            yield name, size

    def gone(self, name: str) -> None:
        """A file is not there any more, if it was."""
        if is_head(name):
            size = self._heads.pop(_object_of(name), None)
            self._head_bytes -= size or 0
            self._idle.pop(_object_of(name), None)
        elif self._policy.remove(name) is not None:
            self._discount_slice(name)

    def victim(self, uses: Callable[[str], int]) -> tuple[str, int] | None:
        """Takes out the slice to evict next: its name and size. `uses` as for `Policy.victim`."""
        before = self._policy.bytes
        name = self._policy.victim(uses)
        if name is None:
            return None
        self._discount_slice(name)
        return name, before - self._policy.bytes

    def idle_head_of(self, slice_name: str) -> str | None:
        """The head of a slice's object, if it is held and the object has no slices."""
        found = _object_of(slice_name)
        return _head_of(found) if found in self._idle else None

    def idle_heads(self, most: int) -> list[str]:
        """Some heads of objects without slices; others with each call, until it is their turn."""
        some = list(islice(self._idle, most))
        for one in some:
            self._idle.move_to_end(one)
        return [_head_of(one) for one in some]

    def _head_found(self, found: int, size: int) -> None:
        self._head_bytes += size - self._heads.get(found, 0)
        self._heads[found] = size
        if found not in self._slices:
            self._idle[found] = None

    def _count_slice(self, name: str) -> None:
        found = _object_of(name)
        self._slices[found] = self._slices.get(found, 0) + 1
        self._idle.pop(found, None)

    def _discount_slice(self, name: str) -> None:
        found = _object_of(name)
        left = self._slices[found] - 1
        if left:
            self._slices[found] = left
            return
        del self._slices[found]
        if found in self._heads:
            self._idle[found] = None


def _object_of(name: str) -> int:
    return int(name[:_OBJECT], 16)


def _head_of(found: int) -> str:
    return f"{found:0{_OBJECT}x}.head"

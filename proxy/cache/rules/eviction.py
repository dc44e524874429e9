"""Which item a full cache gives up next: S3-FIFO (Yang et al., SOSP 2023). Pure: no clock, no I/O.

Why this and not LRU or another: docs/decisions/0008-the-cache-evicts-by-s3-fifo.md. The rules:

- A new item enters the small queue, which is a tenth of the bytes held. What was used twice by the
  time it reaches the end goes on to the main queue; the rest is evicted, and its name is a ghost
  for a while.
- What is inserted while its name is a ghost goes straight to the main queue: it left too early.
- In the main queue an item that was used is queued again with one use less; one that was not goes.
- Uses count up to three.

Until the first eviction nothing says what is worth keeping; then what the small queue has no room
for is inserted into the main queue. Not for several threads at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

MOST_USES = 3
# Uses in the small queue that are worth a place in the main queue. One would do without ranges; a
# player that asks for the same slice in two pieces is one viewer.
_WORTH_KEEPING = 2
# The small queue holds one in so many bytes.
_SMALL = 10
# Items looked at for one eviction. Where all of them were used, the next one goes nevertheless, so
# that an eviction has a bound: about 0.1 ms.
MOST_LOOKS = 256

# An item is one integer in a dict, for memory's sake: its size, a bit for the main queue, its uses.
_USES, _MAIN, _SIZE = 0b011, 0b100, 3
# Names in a queue that are of removed items, beyond as many as it holds.
_SPARE = 64


class Policy(Generic[Name]):
    """What is held, in bytes, and what goes next. It holds names and sizes, never the items."""

    def __init__(self) -> None:
        self._items: dict[Name, int] = {}
        self._small: _Queue[Name] = _Queue()
        self._main: _Queue[Name] = _Queue()
        self._ghosts = _Ghosts()
        self._evicts = False

    def __contains__(self, name: Name) -> bool:
        return name in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Name]:
        """All names held, in no order that matters."""
        return iter(self._items)

    @property
    def count(self) -> int:
        """How many items are held."""
        return len(self._items)

    @property
    def bytes(self) -> int:
        """The sizes of all items held."""
        return self._small.bytes + self._main.bytes

    @property
    def ghosts(self) -> int:
        """How many names of evicted items are remembered; never more than the main queue held."""
        return len(self._ghosts)

    def insert(self, name: Name, size: int) -> None:
        """Takes an item in. One that is held keeps its place and its uses, with the new size."""
        held = self._items.get(name)
        if held is not None:
            self._queue_of(held).bytes += size - (held >> _SIZE)
            self._items[name] = size << _SIZE | held & (_MAIN | _USES)
            return
        known = self._ghosts.discard(name)
        filling = not self._evicts and self._small.bytes * _SMALL >= self.bytes > 0
        self._push(name, size, _MAIN if known or filling else 0)

    def preload(self, found: Iterable[tuple[Name, int]]) -> None:
        """Takes in items (name, size) that an earlier run left, the first to go first.

        They have stood the test of the small queue already, as far as anybody knows.
        """
        for name, size in found:
            if name in self._items:
                self.insert(name, size)
            else:
                self._push(name, size, _MAIN)

    def hit(self, name: Name) -> None:
        """Notes that an item was used; of one that isn't held, nothing."""
        held = self._items.get(name)
        if held is not None and held & _USES != MOST_USES:
            self._items[name] = held + 1

    def remove(self, name: Name) -> int | None:
        """Takes out an item that is gone; its size, or None if it wasn't held."""
        held = self._items.pop(name, None)
        if held is None:
            return None
        self._queue_of(held).forget(name, held >> _SIZE)
        return held >> _SIZE

    def victim(self, uses: Callable[[Name], int] | None = None) -> Name | None:
        """Takes out the item to evict now; None if nothing is held.

        `uses` gives the uses of an item that were counted elsewhere since it was last asked.
        """
        self._evicts = True
        looks = 0
        while self._items:
            small = self._small.bytes * _SMALL > self.bytes or not self._main.count
            name = (self._small if small and self._small.count else self._main).pop()
            held = self._items[name]
            size = held >> _SIZE
            self._queue_of(held).leave(size)
            count = min(held & _USES, MOST_USES) + (uses(name) if uses is not None else 0)
            looks += 1
            if looks > MOST_LOOKS or not self._kept(name, held, min(count, MOST_USES)):
                del self._items[name]
                return name
        return None

    def _kept(self, name: Name, held: int, uses: int) -> bool:
        """Queues an item again that is worth it. What leaves the small queue becomes a ghost."""
        if held & _MAIN:
            if uses:
                self._push(name, held >> _SIZE, _MAIN | uses - 1)
            return uses > 0
        if uses >= _WORTH_KEEPING:
            self._push(name, held >> _SIZE, _MAIN)
            return True
        self._ghosts.add(name, self._main.count)
        return False

    def _push(self, name: Name, size: int, state: int) -> None:
        held = size << _SIZE | state
        self._items[name] = held
        self._queue_of(held).push(name, size)

    def _queue_of(self, held: int) -> _Queue[Name]:
        return self._main if held & _MAIN else self._small


class _Queue(Generic[Name]):
    """Names, first in, first out. A name that is removed stays inside until it comes to the front.

    This takes half the memory of an ordered dict, and is exact: of a name that was removed and then
    pushed again, the copies in front are the removed ones.
    """

    __slots__ = ("_names", "_removed", "bytes", "count")

    def __init__(self) -> None:
        self._names: deque[Name] = deque()
        self._removed: dict[Name, int] = {}
        self.bytes = 0
        self.count = 0

    def push(self, name: Name, size: int) -> None:
        """Adds a name at the end."""
        self._names.append(name)
        self.bytes += size
        self.count += 1

    def pop(self) -> Name:
        """Takes the first name that wasn't removed; `leave` has to follow."""
        while True:
            name = self._names.popleft()
            if not self._was_removed(name):
                return name

    def leave(self, size: int) -> None:
        """An item of this size is no longer here."""
        self.bytes -= size
        self.count -= 1

    def forget(self, name: Name, size: int) -> None:
        """Removes a name, wherever it stands."""
        self.leave(size)
        self._removed[name] = self._removed.get(name, 0) + 1
        if len(self._names) > 2 * self.count + _SPARE:
            self._names = deque(one for one in self._names if not self._was_removed(one))

    def _was_removed(self, name: Name) -> bool:
        copies = self._removed.get(name)
        if copies is None:
            return False
        if copies == 1:
            del self._removed[name]
        else:
            self._removed[name] = copies - 1
        return True


class _Ghosts:
    """Names of items that were evicted lately, by their hash alone: a wrong one does no harm."""

    __slots__ = ("_known", "_order")

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._order: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, name: Hashable, most: int) -> None:
        """Remembers a name, and forgets the oldest beyond `most`."""
        one = hash(name)
        self._known.add(one)
        self._order.append(one)
        while len(self._order) > most:
            self._known.discard(self._order.popleft())

    def discard(self, name: Hashable) -> bool:
        """Forgets a name; whether it was known."""
        one = hash(name)
        if one not in self._known:
            return False
        self._known.discard(one)
        return True

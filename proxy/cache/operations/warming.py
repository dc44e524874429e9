"""Reading objects to their end, some at a time, so that the next who wants them finds them kept.

They are read as a client would be given them, through all layers, and so are checked as well.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from proxy.errors import Fault, NotFound
from proxy.origins.base import OpenObject, Origin, Want
from proxy.origins.walking import for_each, keys_below
from proxy.semantics.freshness import Terms
from proxy.semantics.representation import Span

# Each holds a slice or two in memory; more would take room and connections from clients.
AT_ONCE: Final = 4
# Objects that could not be read and are told of; all are counted.
MOST_FAULTS: Final = 100

Target = tuple[str, str]


class Warming:
    """One errand. `told` is how far it is, as JSON in Python's types.

    `origins` are those that are kept, by name.
    """

    def __init__(self, origins: Mapping[str, Origin], terms: Terms) -> None:
        self._origins = origins
        self._want = Want(terms=terms)
        self._listing = True
        self._found = self._done = self._bytes = self._failed = 0
        self._faults: list[dict[str, str]] = []

    @property
    def told(self) -> dict[str, Any]:
        """`of` grows as long as prefixes are `listing`."""
        return {
            "done": self._done,
            "of": self._found,
            "listing": self._listing,
            "bytes": self._bytes,
            "failed": self._failed,
            "faults": list(self._faults),
        }

    async def run(self, targets: Sequence[Target]) -> None:
        """Reads each key, and all keys below each prefix ("" or ending in "/")."""
        await for_each(self._find(targets), self._read, AT_ONCE)

    async def _find(self, targets: Sequence[Target]) -> AsyncGenerator[Target, None]:
        for origin, key in targets:
            async with aclosing(self._keys(origin, key)) as keys:
                async for found in keys:
                    self._found += 1
                    yield origin, found
        self._listing = False

    async def _keys(self, origin: str, key: str) -> AsyncGenerator[str, None]:
        if key and not key.endswith("/"):
            yield key
            return
        try:
            async with aclosing(keys_below(self._origin(origin), key)) as below:
                async for found in below:
                    yield found
        except Fault as fault:
            self._fail(origin, key, fault)

    async def _read(self, target: Target) -> None:
        origin, key = target
        try:
            opened = await self._origin(origin).open(key, self._want)
            try:
                await self._read_all(opened)
            finally:
                await opened.aclose()
        except Fault as fault:
            self._fail(origin, key, fault)
        self._done += 1

    async def _read_all(self, opened: OpenObject) -> None:
        size = opened.representation.size
        if size:
            async with aclosing(opened.read(Span(0, size))) as buffers:
                async for buffer in buffers:
                    self._bytes += len(buffer)

    def _origin(self, name: str) -> Origin:
        found = self._origins.get(name)
        if found is None:
            raise NotFound(f"nothing of an origin {name!r} is kept")
        return found

    def _fail(self, origin: str, key: str, fault: Fault) -> None:
        self._failed += 1
        if len(self._faults) < MOST_FAULTS:
            why = fault.detail or fault.said
            self._faults.append({"origin": origin, "key": key, "why": why})

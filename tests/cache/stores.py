"""A cached origin that owns its cache, for tests: started and closed with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from proxy.cache.cache import Cache
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.origins.base import WHOLE, Lister, OpenObject, Origin, Page, Want
from proxy.origins.memory import MemoryOrigin
from proxy.semantics.freshness import Terms
from proxy.semantics.representation import Span

KIB = 1024


class OwningCached(Cached):
    """`terms` go over those of each request."""

    def __init__(self, origin: Origin, options: CacheOptions, terms: Terms | None = None) -> None:
        super().__init__(origin, "store", Cache(options))
        self._terms = terms

    async def start(self) -> None:
        await self.cache.start()
        await super().start()

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        if self._terms is not None:
            want = replace(want, terms=self._terms)
        return await super().open(key, want)

    async def aclose(self) -> None:
        try:
            await self.cache.aclose()
        finally:
            await super().aclose()


@dataclass
class Counting:
    """An origin that notes what is asked of it."""

    origin: MemoryOrigin
    opened: list[tuple[str, Want]] = field(default_factory=list)
    bytes: int = 0

    async def start(self) -> None:
        await self.origin.start()

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.opened.append((key, want))
        return _Counted(self, await self.origin.open(key, want))

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        lister: Lister = self.origin
        return await lister.list(prefix, after, limit)

    async def aclose(self) -> None:
        await self.origin.aclose()


class _Counted:
    def __init__(self, counting: Counting, opened: OpenObject) -> None:
        self._counting = counting
        self._opened = opened
        self.representation = opened.representation
        self.aclose = opened.aclose

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._opened.read(span)) as buffers:
            async for buffer in buffers:
                self._counting.bytes += len(buffer)
                yield buffer


async def read(opened: OpenObject, span: Span | None = None) -> bytes:
    """The bytes of a span, or all of them; closes the object."""
    span = span or Span(0, opened.representation.size)
    try:
        async with aclosing(opened.read(span)) as buffers:
            return b"".join([buffer async for buffer in buffers])
    finally:
        await opened.aclose()

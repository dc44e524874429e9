"""What the operator may ask of one process's cache.

An operation takes arguments and a way to tell how far it is, both JSON in Python's types, and gives
its answer. Without a cache all of them give None. A purge has two parts: every process forgets
(`purge`), and when all have done so, one of them goes through the disk (`sweep`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from time import monotonic
from typing import Any, Final

from proxy.cache.cache import Cache
from proxy.cache.disk.files import SHARDS, Files
from proxy.cache.operations.warming import Warming
from proxy.cache.rules.naming import object_name
from proxy.cache.rules.purge import Purge
from proxy.cache.upkeep.pacing import Pace
from proxy.cache.upkeep.sweeping import Swept, as_listed, list_shard, purge_shard, scrub_shard
from proxy.errors import OriginFault
from proxy.origins.base import USUAL_TERMS, Origin
from proxy.origins.threads import Threads
from proxy.semantics.freshness import Terms

Arguments = Mapping[str, Any]
Emit = Callable[[object], Awaitable[None]]
Operation = Callable[[Arguments, Emit], Awaitable[object]]
# What a thread does to a shard; it calls the second argument often.
Work = Callable[[str, Callable[[], None]], Any]

# Seconds between two words of progress.
TELL_EVERY: Final = 0.2
# Seconds for a shard: the 256th part of 10 TiB, read at 100 MB/s, takes seven minutes.
_SHARD_PATIENCE: Final = 1800.0
# Seconds for what was being written when a purge came. File work itself is given five.
_SETTLE: Final = 10.0


class _Stopped(Exception):
    """Nobody wants the work any more."""


class Operations:
    """The operations of one process.

    `origins` are those that are kept, by name, as they are served; `terms` are the usual ones.
    """

    def __init__(
        self, cache: Cache | None, origins: Mapping[str, Origin], terms: Terms = USUAL_TERMS
    ) -> None:
        self._cache = cache
        self._origins = origins
        self._terms = terms

    @property
    def by_name(self) -> Mapping[str, Operation]:
        """As they are asked for."""
        found = {
            "cache-stats": self._stats,
            "cache-purge": self._purge,
            "cache-sweep": self._sweep,
            "cache-list": self._list,
            "cache-scrub": self._scrub,
            "cache-warm": self._warm,
        }
        kept = found if self._cache is not None else dict.fromkeys(found, _nothing)
        return {**kept, "cache-sweep-former": self._sweep_former}

    @property
    def _kept(self) -> Cache:
        assert self._cache is not None  # noqa: S101  # else `by_name` has none of these
        return self._cache

    async def _stats(self, _: Arguments, __: Emit) -> dict[str, Any]:
        return asdict(self._kept.statistics())

    async def _purge(self, arguments: Arguments, _: Emit) -> dict[str, Any]:
        """Forgets what is meant. If it is "settled", nothing older will be written to disk."""
        objects = self._kept.purge(_purge_of(arguments))
        settled = await self._kept.settled(_SETTLE)
        directory = self._kept.options.directory or ""
        return {"objects": objects, "directory": directory, "settled": settled}

    async def _sweep(self, arguments: Arguments, emit: Emit) -> dict[str, Any]:
        purge, disk = _purge_of(arguments), self._kept.disk
        shards, names = self._where(purge)

        def work(shard: str, pace: Callable[[], None]) -> Swept:
            assert disk is not None  # noqa: S101  # else there are no shards
            return purge_shard(disk.files, shard, purge, names, pace)

        return await _swept(shards if disk is not None else (), work, emit)

    async def _sweep_former(self, arguments: Arguments, emit: Emit) -> dict[str, Any]:
        """As a sweep, of a directory that this process does not use, and nobody else does."""
        purge, files = _purge_of(arguments), Files(str(arguments["directory"]))

        def work(shard: str, pace: Callable[[], None]) -> Swept:
            return purge_shard(files, shard, purge, (), pace)

        return await _swept(SHARDS, work, emit)

    def _where(self, purge: Purge) -> tuple[Sequence[str], frozenset[str]]:
        """The shards to go through, and the only objects that can be meant, if they are known."""
        if purge.kind != "key":
            return SHARDS, frozenset()
        origins = (purge.origin,) if purge.origin else tuple(self._origins)
        names = frozenset(object_name(origin, purge.value) for origin in origins)
        return sorted({name[:2] for name in names}), names

    async def _scrub(self, _: Arguments, emit: Emit) -> dict[str, Any]:
        """Compares all slices on disk with their check values, and drops those that differ."""
        disk = self._kept.disk

        def work(shard: str, pace: Callable[[], None]) -> Swept:
            assert disk is not None  # noqa: S101  # as above
            return scrub_shard(disk.files, shard, pace)

        swept = await _swept(SHARDS if disk is not None else (), work, emit)
        if disk is not None:
            disk.counts.damaged += swept["damaged"]
        return swept

    async def _list(self, arguments: Arguments, _: Emit) -> dict[str, Any]:
        """What is kept, on disk or else in this process's memory; at most `limit` objects."""
        prefix, origin = str(arguments["prefix"]), str(arguments["origin"])
        limit, disk = int(arguments["limit"]), self._kept.disk
        found: list[dict[str, Any]] = []
        if disk is None:
            found = [one for one in _in_memory(self._kept) if one["key"].startswith(prefix)]
        else:
            files = disk.files

            def work(shard: str, pace: Callable[[], None]) -> list[dict[str, Any]]:
                return list_shard(files, shard, prefix, pace)

            async with aclosing(_each_shard(SHARDS, work)) as shards:
                async for some in shards:
                    found += [one for one in some if origin in ("", one["origin"])]
                    if len(found) > limit:
                        break
        found = [one for one in found if origin in ("", one["origin"])]
        found.sort(key=lambda one: (one["origin"], one["key"]))
        return {"objects": found[:limit], "truncated": len(found) > limit}

    async def _warm(self, arguments: Arguments, emit: Emit) -> dict[str, Any]:
        """Reads objects to their end, so that they are kept."""
        targets = [(str(origin), str(key)) for origin, key in arguments["targets"]]
        warming = Warming(self._origins, self._terms)
        running = asyncio.create_task(warming.run(targets))
        try:
            while not (await asyncio.wait([running], timeout=TELL_EVERY))[0]:
                await emit(warming.told)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return warming.told


async def _nothing(_: Arguments, __: Emit) -> None:
    """What is said where nothing is kept."""


def _purge_of(arguments: Arguments) -> Purge:
    return Purge(arguments["kind"], arguments["value"], arguments["origin"], soft=arguments["soft"])


async def _swept(shards: Sequence[str], work: Work, emit: Emit) -> dict[str, Any]:
    """What going through the shards came to; how far it is, is told now and then."""
    total, told, done = Swept(), monotonic(), 0
    async with aclosing(_each_shard(shards, work)) as all_swept:
        async for swept in all_swept:
            total.more(swept)
            done += 1
            if monotonic() - told >= TELL_EVERY:
                told = monotonic()
                await emit({"done": done, "of": len(shards), **asdict(total)})
    return {"done": done, "of": len(shards), **asdict(total)}


async def _each_shard(shards: Sequence[str], work: Work) -> AsyncGenerator[Any, None]:
    """What the work gives for each shard, a thread at a time, which ends when nobody wants more.

    Raises OriginFault where the directory fails.
    """
    stopping = threading.Event()

    def wait(seconds: float) -> None:
        if stopping.wait(seconds):
            raise _Stopped

    threads, pace = Threads(_SHARD_PATIENCE), Pace(wait)
    try:
        for shard in shards:
            try:
                yield await threads.run(work, shard, pace.breathe)
            except OSError as error:
                raise OriginFault(f"the cache's directory fails: {error}") from None
    finally:
        stopping.set()
        threads.close()


def _in_memory(cache: Cache) -> list[dict[str, Any]]:
    """As `list_shard`, for a cache without a directory."""
    kept: dict[str, list[int]] = {}
    for name in cache.memory.names():
        found = cache.memory.peek(name)
        if found is not None and found.state == "whole":
            kept.setdefault(name.rpartition(".")[0], []).append(found.length)
    return [
        as_listed(entry.head, kept.get(f"{entry.name}.{entry.version}", []))
        for entry in cache.entries
    ]

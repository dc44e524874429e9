"""Reading objects to their end: which, how many at a time, and what is told of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from proxy.cache.operations.warming import AT_ONCE, MOST_FAULTS, Warming
from proxy.errors import OriginBroke, OriginUnavailable
from proxy.origins.base import WHOLE, OpenObject, Origin, Page, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.freshness import Terms
from proxy.semantics.representation import Representation, Span

TERMS = Terms(default_ttl=77.0)


class Watched:
    """Notes what is wanted, and how much is read at the same time."""

    def __init__(self, **sizes: int) -> None:
        named = {name.replace("__", "/"): size for name, size in sizes.items()}
        self.memory = MemoryOrigin(
            {key: StoredObject(bytes(size), Representation(size)) for key, size in named.items()}
        )
        self.wants: list[Want] = []
        self.read: list[str] = []
        self.open_now = self.most_open = 0
        self.broken: set[str] = set()
        self.listing_fails = False

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.wants.append(want)
        opened = await self.memory.open(key, want)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        return _Opened(self, key, opened)

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        if self.listing_fails:
            raise OriginUnavailable("no list")
        return await self.memory.list(prefix, after, 2)


class _Opened:
    def __init__(self, origin: Watched, key: str, opened: OpenObject) -> None:
        self._origin, self._key, self._opened = origin, key, opened
        self.representation = opened.representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        await asyncio.sleep(0)
        if self._key in self._origin.broken:
            raise OriginBroke(f"{self._key} broke off")
        async for buffer in self._opened.read(span):
            yield buffer
        self._origin.read.append(self._key)

    async def aclose(self) -> None:
        self._origin.open_now -= 1
        await self._opened.aclose()


class Plain:
    """An origin that can't list."""

    def __init__(self, origin: Watched) -> None:
        self.open = origin.open

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


def warming_of(origin: Origin) -> Warming:
    return Warming({"store": origin}, TERMS)


async def test_keys_and_all_below_prefixes_are_read_on_the_terms_given() -> None:
    origin = Watched(a=5, b__c=10, b__d=20, b__e__f=30, b__g=0, z=1)
    warming = warming_of(origin)
    assert warming.told["listing"]
    await warming.run([("store", "a"), ("store", "b/")])
    assert sorted(origin.read) == ["a", "b/c", "b/d", "b/e/f"], "an empty one has nothing to read"
    assert warming.told == {
        "done": 5, "of": 5, "listing": False, "bytes": 65, "failed": 0, "faults": [],
    }  # fmt: skip
    assert all(want == Want(terms=TERMS) for want in origin.wants)
    assert origin.open_now == 0


async def test_all_there_is_by_the_empty_prefix() -> None:
    origin = Watched(a=1, b__c=1, d__e__f=1)
    await warming_of(origin).run([("store", "")])
    assert sorted(origin.read) == ["a", "b/c", "d/e/f"]


async def test_some_at_a_time() -> None:
    origin = Watched(**{f"a__{number}": 1 for number in range(5 * AT_ONCE)})
    await warming_of(origin).run([("store", "a/")])
    assert len(origin.read) == 5 * AT_ONCE
    assert 1 < origin.most_open <= AT_ONCE


async def test_what_can_not_be_read_is_told_and_the_rest_goes_on() -> None:
    origin = Watched(a=5, b=5, c=5)
    origin.broken = {"b"}
    warming = warming_of(origin)
    await warming.run([("store", key) for key in ("a", "b", "none", "c")] + [("other", "a")])
    told = warming.told
    assert (told["done"], told["of"], told["failed"], told["bytes"]) == (5, 5, 3, 10)
    why = {(one["origin"], one["key"]): one["why"] for one in told["faults"]}
    assert why["store", "b"] == "b broke off"
    assert why["other", "a"] == "nothing of an origin 'other' is kept"
    assert ("store", "none") in why
    assert origin.open_now == 0


@pytest.mark.parametrize("lists", [True, False])
async def test_a_prefix_that_can_not_be_listed_is_one_fault(lists: bool) -> None:
    origin = Watched(a=5)
    origin.listing_fails = True
    warming = warming_of(origin if lists else Plain(origin))
    await warming.run([("store", "b/"), ("store", "a")])
    told = warming.told
    assert (told["done"], told["failed"], told["listing"]) == (1, 1, False)
    assert told["faults"][0]["key"] == "b/"
    assert told["faults"][0]["why"] == ("no list" if lists else "this origin can't list")


async def test_faults_are_counted_and_not_all_told() -> None:
    warming = warming_of(Watched())
    await warming.run([("store", f"none-{number}") for number in range(MOST_FAULTS + 5)])
    assert warming.told["failed"] == MOST_FAULTS + 5
    assert len(warming.told["faults"]) == MOST_FAULTS


async def test_who_leaves_ends_the_work() -> None:
    origin = Watched(**{f"a__{number}": 1 for number in range(50)})
    running = asyncio.create_task(warming_of(origin).run([("store", "a/")]))
    while not origin.open_now:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert origin.open_now == 0
    assert len(asyncio.all_tasks()) == 1

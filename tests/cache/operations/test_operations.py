"""What the operator asks of the cache, above all purges while questions are under way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import pytest

from proxy.cache import cache as cache_module
from proxy.cache.operations.operations import Operations
from proxy.cache.options import CacheOptions
from proxy.cache.rules.purge import Purge
from proxy.errors import NotFound, ObjectChanged
from proxy.origins.base import WHOLE, OpenObject, Origin, Page, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.freshness import Terms
from proxy.semantics.representation import Representation, Span
from tests.cache.stores import OwningCached, read

KIB = 1024
LONG = Terms(default_ttl=86400.0)
Kind = Literal["key", "prefix", "tag"]


def stored(body: bytes, tags: tuple[str, ...] = ("film",)) -> StoredObject:
    tag = EntityTag(f"{hash(body):x}")
    return StoredObject(body, Representation(len(body), etag=tag, tags=tags))


class Late:
    """An origin whose answers are made at once, and arrive when `let` is set."""

    def __init__(self, origin: MemoryOrigin) -> None:
        self.origin = origin
        self.let = asyncio.Event()
        self.let.set()
        self.asked = 0

    async def start(self) -> None:
        pass

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.asked += 1
        kept = self.origin.current(key)
        try:
            if kept is None:
                raise NotFound(key)
            want.check(kept.representation)
            return Made(kept)
        finally:
            await self.let.wait()

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        return await self.origin.list(prefix, after, limit)

    async def aclose(self) -> None:
        pass


class Made:
    def __init__(self, kept: StoredObject) -> None:
        self.representation = kept.representation
        self._body = kept.body

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        yield self._body[span.start : span.stop]

    async def aclose(self) -> None:
        pass


def options(directory: Path | None) -> CacheOptions:
    return CacheOptions(
        directory=str(directory) if directory else None,
        memory=8 * KIB * KIB,
        width=64 * KIB,
        missing_ttl=3600.0,
    )


@asynccontextmanager
async def worker(
    origin: Origin, directory: Path | None
) -> AsyncIterator[tuple[OwningCached, Operations]]:
    cached = OwningCached(origin, options(directory), LONG)
    await cached.start()
    try:
        yield cached, Operations(cached.cache, {"store": cached})
    finally:
        await cached.aclose()


def slices_in(directory: Path) -> list[Path]:
    return list(directory.glob("[0-9a-f][0-9a-f]/*.0"))


async def nowhere(_: object) -> None:
    """For progress that nobody looks at."""


async def ask(operations: Operations, what: str, **arguments: object) -> Any:  # noqa: ANN401
    return await operations.by_name[what](arguments, nowhere)


async def purge(
    *workers: Operations, kind: Kind = "key", value: str = "a", soft: bool = False
) -> dict[str, Any]:
    """As the operator's door does it."""
    about: dict[str, Any] = {"kind": kind, "value": value, "origin": "", "soft": soft}
    for one in workers:
        assert (await ask(one, "cache-purge", **about))["settled"]
    swept: dict[str, Any] = await ask(workers[-1], "cache-sweep", **about)
    return swept


async def in_flight(late: Late, before: int) -> None:
    async with asyncio.timeout(30):
        while late.asked == before:
            await asyncio.sleep(0)


@pytest.fixture(params=["disk", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "slices" if request.param == "disk" else None


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("kind", ["key", "prefix", "tag"])
async def test_an_answer_that_was_under_way_is_not_kept(
    kind: Kind, soft: bool, directory: Path | None
) -> None:
    late = Late(MemoryOrigin({"a": stored(b"old")}))
    async with worker(late, directory) as (one, its), worker(late, directory) as (two, others):
        late.let.clear()
        early = asyncio.create_task(one.open("a"))
        await in_flight(late, 0)
        late.origin.put("a", stored(b"new"))
        value = {"key": "a", "prefix": "", "tag": "film"}[kind]
        await purge(its, others, kind=kind, value=value, soft=soft)
        late.let.set()
        assert await read(await early) == b"old", "it was asked before"
        for cached in (one, two, one):
            assert await read(await cached.open("a")) == b"new"
        async with worker(late, directory) as (third, _):
            assert await read(await third.open("a")) == b"new"


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_what_was_current_before_is_not_current_since(
    soft: bool, directory: Path | None
) -> None:
    """The origin said 304, then the object was replaced and purged, and then the 304 came."""
    late = Late(MemoryOrigin({"a": stored(b"old")}))
    async with worker(late, directory) as (one, its):
        await read(await one.open("a"))
        await purge(its, soft=True)
        late.let.clear()
        early = asyncio.create_task(one.open("a"))
        await in_flight(late, 1)
        late.origin.put("a", stored(b"new"))
        await purge(its, soft=soft)
        late.let.set()
        # A soft purge leaves the slices; without them, this version is nowhere any more.
        with nullcontext() if soft else pytest.raises(ObjectChanged):
            assert await read(await early) == b"old"
        assert await read(await one.open("a")) == b"new"
        async with worker(late, directory) as (third, _):
            assert await read(await third.open("a")) == b"new"


@pytest.mark.parametrize("joined", [False, True])
async def test_what_was_missing_before_may_be_there_since(
    joined: bool, directory: Path | None
) -> None:
    late = Late(MemoryOrigin())
    async with worker(late, directory) as (one, its):
        late.let.clear()
        early = asyncio.create_task(one.open("a"))
        await in_flight(late, 0)
        late.origin.put("a", stored(b"new"))
        await purge(its, kind="tag", value="none")
        later = asyncio.create_task(one.open("a")) if joined else None
        await asyncio.sleep(0.05)
        late.let.set()
        with pytest.raises(NotFound):
            await early
        if later is not None:
            assert await read(await later) == b"new", "it does not take the other's answer"
        assert await read(await one.open("a")) == b"new"


async def test_softly_purged_it_is_validated_and_given_again(directory: Path | None) -> None:
    late = Late(MemoryOrigin({"a": stored(b"x" * 100 * KIB)}))
    async with worker(late, directory) as (one, its):
        assert len(await read(await one.open("a"))) == 100 * KIB
        await one.cache.settled(10)
        before = one.cache.filler.counts.started
        await purge(its, soft=True)
        assert len(await read(await one.open("a"))) == 100 * KIB
        assert one.cache.filler.counts.started == before, "no byte is fetched again"
        await purge(its)
        assert len(await read(await one.open("a"))) == 100 * KIB
        assert one.cache.filler.counts.started > before


async def test_others_stay(directory: Path | None) -> None:
    late = Late(MemoryOrigin({"a": stored(b"a"), "ab": stored(b"ab", ("other",))}))
    async with worker(late, directory) as (one, its):
        for key in ("a", "ab"):
            await read(await one.open(key))
        asked = late.asked
        await purge(its, value="b")
        await purge(its, kind="prefix", value="b")
        await purge(its, kind="tag", value="fil")
        for key in ("a", "ab"):
            await read(await one.open(key))
        assert late.asked == asked
        await purge(its, value="a")
        await read(await one.open("ab"))
        assert late.asked == asked


async def test_a_write_that_hangs_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of an object is being written when the purge comes: it must not land behind
    the sweep."""
    late = Late(MemoryOrigin({"a": stored(b"old")}))
    async with worker(late, tmp_path / "slices") as (one, its):
        disk, hung, let = one.cache.disk, threading.Event(), threading.Event()
        assert disk is not None
        write = disk.files.write_head

        def slow(object_: str, head: Any) -> None:  # noqa: ANN401  # as the real one's
            hung.set()
            let.wait(20)
            write(object_, head)

        monkeypatch.setattr(disk.files, "write_head", slow)
        opening = asyncio.create_task(one.open("a"))
        assert await asyncio.to_thread(hung.wait, 10)
        late.origin.put("a", stored(b"new"))
        about = {"kind": "key", "value": "a", "origin": "", "soft": False}
        forgetting = asyncio.create_task(ask(its, "cache-purge", **about))
        await asyncio.sleep(0.05)
        assert not forgetting.done()
        let.set()
        assert (await forgetting)["settled"]
        await opening
        swept = await ask(its, "cache-sweep", **about)
        assert swept["objects"] == 1
        async with worker(late, tmp_path / "slices") as (third, _):
            assert await read(await third.open("a")) == b"new"


async def test_what_is_known_of_an_object_that_was_purged_is_not_written(tmp_path: Path) -> None:
    """A reader still has an entry that so many others have pushed out that no purge finds it."""
    late = Late(MemoryOrigin({"a": stored(b"old")}))
    async with worker(late, tmp_path / "slices") as (one, its):
        await read(await one.open("a"))
        [entry] = one.cache.entries
        one.cache.entries.remove(entry)
        await purge(its)
        await one.cache.keep_head(entry)
        assert one.cache.disk is not None
        assert list(one.cache.disk.files.names()) == []


async def test_more_purges_than_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_MOST_FENCES", 3)
    late = Late(MemoryOrigin({"a": stored(b"old")}))
    async with worker(late, tmp_path / "slices") as (one, its):
        late.let.clear()
        early = asyncio.create_task(one.open("a"))
        await in_flight(late, 0)
        late.origin.put("a", stored(b"new"))
        for value in "abcdefgh":
            await purge(its, value=value)
        late.let.set()
        await early
        assert await read(await one.open("a")) == b"new"


async def test_a_list_of_what_is_kept(directory: Path | None) -> None:
    objects = {key: stored(key.encode() * 1000, ("x", "y")) for key in ("b/1", "a", "b/2")}
    async with worker(Late(MemoryOrigin(objects)), directory) as (one, its):
        for key in objects:
            await read(await one.open(key))
        await one.cache.settled(10)
        for fill in list(one.cache.filler._filling.values()):
            await fill.task
        told = await ask(its, "cache-list", prefix="", origin="", limit=10)
        assert [one["key"] for one in told["objects"]] == ["a", "b/1", "b/2"]
        assert told["truncated"] is False
        first = told["objects"][0]
        assert (first["origin"], first["slices"], first["tags"]) == ("store", 1, ["x", "y"])
        assert first["size"] == 1000 <= first["kept"]
        told = await ask(its, "cache-list", prefix="b/", origin="store", limit=1)
        assert [one["key"] for one in told["objects"]] == ["b/1"]
        assert told["truncated"] is True
        told = await ask(its, "cache-list", prefix="", origin="other", limit=10)
        assert told == {"objects": [], "truncated": False}


async def test_progress_is_told_and_who_leaves_ends_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.cache.operations.operations.TELL_EVERY", 0.0)
    async with worker(Late(MemoryOrigin({"a": stored(b"x")})), tmp_path) as (one, its):
        await read(await one.open("a"))
        told: list[Any] = []

        async def emit(value: object) -> None:
            told.append(value)

        last: Any = await its.by_name["cache-scrub"]({}, emit)
        assert [one["done"] for one in told] == list(range(1, 257))
        assert (last["done"], last["of"], last["slices"], last["damaged"]) == (256, 256, 1, 0)

        async def stop(_: object) -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await its.by_name["cache-scrub"]({}, stop)
        assert not [one for one in threading.enumerate() if "headgate-files" in one.name][8:]


async def test_damage_is_found_dropped_and_counted(tmp_path: Path) -> None:
    async with worker(Late(MemoryOrigin({"a": stored(b"x" * 1000)})), tmp_path) as (one, its):
        await read(await one.open("a"))
        async with asyncio.timeout(30):
            while not (found := slices_in(tmp_path)):
                await asyncio.sleep(0.01)
        [file] = found
        body = bytearray(file.read_bytes())
        body[500] ^= 1
        file.write_bytes(body)
        assert (await ask(its, "cache-scrub"))["damaged"] == 1
        assert not file.exists()
        assert (await ask(its, "cache-stats"))["disk_damaged"] == 1


async def test_warming_reads_keys_and_prefixes(directory: Path | None) -> None:
    objects = {key: stored(key.encode() * 1000) for key in ("a/1", "a/b/2", "c", "d")}
    objects["a/empty"] = stored(b"")
    late = Late(MemoryOrigin(objects))
    async with worker(late, directory) as (one, its):
        targets = [["store", "a/"], ["store", "c"], ["store", "none"], ["other", "x"]]
        told = await ask(its, "cache-warm", targets=targets)
        assert (told["done"], told["of"], told["failed"]) == (6, 6, 2)
        assert told["bytes"] == 3000 + 5000 + 1000
        assert {(one["origin"], one["key"]) for one in told["faults"]} == {
            ("store", "none"),
            ("other", "x"),
        }
        asked = late.asked
        for key in ("a/1", "a/b/2", "c"):
            await read(await one.open(key))
        assert late.asked == asked, "they are kept"


async def test_without_a_cache_there_is_nothing() -> None:
    operations = Operations(None, {})
    for what in ("cache-stats", "cache-purge", "cache-scrub", "cache-warm", "cache-list"):
        assert await ask(operations, what) is None


@pytest.mark.parametrize("uses", [True, False])
async def test_a_directory_of_an_earlier_configuration_is_purged(
    tmp_path: Path, uses: bool
) -> None:
    """Of any origin, whatever they are called now."""
    about = {"kind": "key", "value": "a", "origin": "", "soft": False}
    former = tmp_path / "former"
    late = Late(MemoryOrigin({"a": stored(b"x" * 1000), "b": stored(b"y" * 1000)}))
    async with worker(late, former) as (one, _):
        for key in ("a", "b"):
            await read(await one.open(key))
    assert len(slices_in(former)) == 2
    async with AsyncExitStack() as stack:
        operations = Operations(None, {})
        if uses:
            _, operations = await stack.enter_async_context(worker(late, tmp_path / "now"))
        swept = await ask(operations, "cache-sweep-former", directory=str(former), **about)
        assert (swept["objects"], swept["slices"], swept["done"]) == (1, 1, 256)
        assert len(slices_in(former)) == 1
        nowhere = str(tmp_path / "none")
        swept = await ask(operations, "cache-sweep-former", directory=nowhere, **about)
        assert swept["objects"] == 0


async def test_statistics_are_plain_numbers(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        late = Late(MemoryOrigin({"a": stored(b"x" * 1000)}))
        one, its = await stack.enter_async_context(worker(late, tmp_path))
        await read(await one.open("a"))
        one.cache.purge(Purge("key", "b"))
        told = await ask(its, "cache-stats")
        assert all(isinstance(value, int | str) for value in told.values())
        assert (told["entries"], told["purges"], told["fills_started"]) == (1, 1, 1)
        assert told["bytes_fill"] + told["bytes_memory"] == 1000
        assert told["directory"] == str(tmp_path)

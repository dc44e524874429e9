"""Checking many objects: every key once, each with the right result, bounded at once."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable

import pytest

from proxy.errors import OriginTimeout
from proxy.integrity import sweep as module
from proxy.integrity.checking import Checking
from proxy.integrity.rolling import make_pool
from proxy.integrity.sweep import AT_ONCE, Progress, Result, sweep
from proxy.integrity.verified import Verified
from proxy.origins.base import WHOLE, OpenObject, Origin, Page, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.representation import Algorithm, Representation, Span
from tests.integrity.objects import (
    ALGORITHMS,
    PartedOrigin,
    checksum_of,
    composite_of,
    flipped,
    stored,
)
from tests.origins.cancelling import cancel_everywhere

BODY = random.Random(5).randbytes(10_001)
PARTS = [BODY[:4000], BODY[4000:]]
POOL = make_pool()


async def swept(
    origin: Origin, *targets: str, deep: bool = False
) -> tuple[dict[str, Result], Progress]:
    results: list[Result] = []
    progress = Progress()
    layer = Verified(origin, Checking("when-available", POOL))
    await sweep(layer, targets, results.append, progress, deep=deep)
    assert len({result.key for result in results}) == len(results)
    assert not progress.listing
    return {result.key: result for result in results}, progress


@pytest.mark.parametrize("deep", [False, True])
async def test_each_kind_of_object(deep: bool) -> None:  # a parameter
    objects = {f"good-{name}": stored(BODY, checksum_of(name, BODY)) for name in ALGORITHMS}
    objects |= {
        "bad": stored(flipped(BODY, 99), checksum_of("sha256", BODY)),
        "bad-empty": stored(b"", checksum_of("crc32c", BODY)),
        "good-empty": stored(b"", checksum_of("crc32c", b"")),
        "good-one": stored(b"x", checksum_of("crc32c", b"x")),
        "none": stored(BODY),
        "parts": stored(BODY, composite_of("crc32c", PARTS)),
    }
    results, progress = await swept(MemoryOrigin(objects), "", deep=deep)
    assert set(results) == set(objects)
    for key, result in results.items():
        outcome = key.partition("-")[0].replace("good", "verified").replace("bad", "mismatch")
        expected = {"none": "unverifiable", "parts": "unverifiable"}.get(outcome, outcome)
        assert (key, result.outcome) == (key, expected)
        if outcome == "verified":
            assert result.bytes == objects[key].representation.size
            assert result.algorithm in key or key in ("good-empty", "good-one")
    assert (results["none"].reason, results["parts"].reason) == (
        "no checksum",
        "part sizes unknown",
    )
    assert progress.found == progress.done == len(objects)
    twice = len(ALGORITHMS) * len(BODY)
    assert progress.bytes >= twice * (1 + deep)


@pytest.mark.parametrize("algorithm", ["sha1", "crc32c", "md5"])
async def test_parts(algorithm: Algorithm) -> None:
    promised = composite_of(algorithm, PARTS)
    memory = MemoryOrigin({"a": stored(BODY, promised)})
    parted = PartedOrigin(memory, (4000, len(BODY) - 4000))
    results, progress = await swept(parted, "a", deep=True)
    assert results["a"] == Result("a", "verified", algorithm, bytes=len(BODY))
    assert progress.bytes == 2 * len(BODY)


class Wrapping:
    """Memory whose objects are wrapped when they are opened."""

    def __init__(
        self, objects: dict[str, StoredObject], wrap: Callable[[OpenObject], OpenObject]
    ) -> None:
        memory = MemoryOrigin(objects)
        self.list = memory.list
        self._open, self._wrap = memory.open, wrap

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        return self._wrap(await self._open(key, want))


class BadRanges:
    """Right as a whole; a read of less gives one wrong byte."""

    def __init__(self, opened: OpenObject) -> None:
        self._opened = opened
        self.aclose = opened.aclose

    @property
    def representation(self) -> Representation:
        return self._opened.representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        whole = span.length == self.representation.size
        async for buffer in self._opened.read(span):
            yield buffer if whole or span.start else flipped(buffer, 3)


@pytest.mark.parametrize("algorithm", ["crc64nvme", "sha256"])
@pytest.mark.parametrize("slice_size", [8 * 1024 * 1024, 100])
async def test_only_a_deep_check_reads_ranges(
    algorithm: Algorithm, slice_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", slice_size)
    promised = checksum_of(algorithm, BODY)
    origin = Wrapping({"a": stored(BODY, promised)}, BadRanges)
    assert (await swept(origin, "a"))[0]["a"].outcome == "verified"
    found = (await swept(origin, "a", deep=True))[0]["a"]
    assert (found.outcome, found.algorithm) == ("mismatch", algorithm)
    assert "ranges" in found.reason


async def test_prefixes_go_down_and_keys_stand_for_themselves() -> None:
    names = [
        "a",
        "d/a",
        "d/b",
        "d/e/a",
        "d/e/f/g",
        "dd",
        "d//x",
        *(f"many/{i}" for i in range(2500)),
    ]
    memory = MemoryOrigin({name: stored(b"x", checksum_of("crc32", b"x")) for name in names})
    assert set((await swept(memory, ""))[0]) == set(names)
    assert set((await swept(memory, "d/"))[0]) == {"d/a", "d/b", "d/e/a", "d/e/f/g", "d//x"}
    assert set((await swept(memory, "d/e/", "dd"))[0]) == {"d/e/a", "d/e/f/g", "dd"}


async def test_what_can_not_be_read_or_listed() -> None:
    memory = MemoryOrigin({"a": stored(BODY, checksum_of("md5", BODY))})
    results, _ = await swept(memory, "a", "missing", "nothing/")
    assert {key: one.outcome for key, one in results.items()} == {
        "a": "verified", "missing": "failed", "nothing/": "failed",
    }  # fmt: skip
    assert "nothing lies below" in results["nothing/"].reason
    results, _ = await swept(PartedOrigin(memory), "")
    assert (results[""].outcome, results[""].reason) == ("failed", "this origin can't list")

    class Hangs(MemoryOrigin):
        async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
            raise OriginTimeout("no answer")

    results, _ = await swept(Hangs(), "x/")
    assert results["x/"] == Result("x/", "failed", reason="no answer")


async def test_few_at_once() -> None:
    seen = [0]

    class Counted(BadRanges):
        def __init__(self, opened: OpenObject) -> None:
            super().__init__(opened)
            self.aclose = self._close
            seen.append(seen[-1] + 1)

        async def _close(self) -> None:
            seen.append(seen[-1] - 1)

    objects = {str(i): stored(BODY, checksum_of("crc32", BODY)) for i in range(100)}
    await swept(Wrapping(objects, Counted), "")
    assert (max(seen), seen[-1]) == (AT_ONCE, 0)


async def test_cancelled_at_every_await() -> None:
    objects: dict[str, StoredObject] = {
        f"d{i}/{i}": stored(BODY[:200], checksum_of("crc32", BODY[:200])) for i in range(3)
    }
    memory = MemoryOrigin(objects)
    await cancel_everywhere(lambda: swept(memory, "", deep=True))

"""Part sizes: asked once for each version, a bounded number remembered."""

from __future__ import annotations

import pytest

from proxy.errors import OriginUnavailable
from proxy.integrity import parts
from proxy.integrity.parts import PartSizes
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation
from tests.integrity.objects import PartedOrigin, stored

TEN = bytes(10)


async def test_one_question_per_version() -> None:
    memory = MemoryOrigin({"a": stored(TEN), "b": stored(TEN)})
    origin, known = PartedOrigin(memory, (6, 4)), PartSizes()
    for _ in range(3):
        assert await known.of("a", await origin.open("a")) == (6, 4)
    assert origin.asked == 1
    assert await known.of("b", await origin.open("b")) == (6, 4)
    memory.put("a", stored(TEN, etag="v2"))
    assert await known.of("a", await origin.open("a")) == (6, 4)
    assert origin.asked == 3


async def test_without_a_strong_tag_nothing_is_remembered() -> None:
    for etag in (None, EntityTag("v", weak=True)):
        memory = MemoryOrigin({"a": StoredObject(TEN, Representation(10, etag))})
        origin, known = PartedOrigin(memory, (10,)), PartSizes()
        for _ in range(2):
            assert await known.of("a", await origin.open("a")) == (10,)
        assert origin.asked == 2


@pytest.mark.parametrize("sizes", [None, (), (6, 5), (3, 6), (11,)])
async def test_sizes_that_are_not_those_of_the_object(sizes: tuple[int, ...] | None) -> None:
    origin = PartedOrigin(MemoryOrigin({"a": stored(TEN)}), sizes)
    assert await PartSizes().of("a", await origin.open("a")) is None


async def test_a_store_that_fails_or_has_no_parts() -> None:
    memory = MemoryOrigin({"a": stored(TEN)})
    assert await PartSizes().of("a", await memory.open("a")) is None
    failing = PartedOrigin(memory, OriginUnavailable())
    with pytest.raises(OriginUnavailable):
        await PartSizes().of("a", await failing.open("a"))


async def test_the_oldest_used_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_OBJECTS", 2)
    memory = MemoryOrigin({key: stored(TEN) for key in "abc"})
    origin, known = PartedOrigin(memory, (6, 4)), PartSizes()
    for key in "abac":  # "b" is the oldest when "c" comes
        await known.of(key, await origin.open(key))
    assert origin.asked == 3
    await known.of("a", await origin.open("a"))
    assert origin.asked == 3
    await known.of("b", await origin.open("b"))
    assert origin.asked == 4
    monkeypatch.setattr(parts, "MOST_PARTS", 1)
    memory.put("d", stored(TEN))
    for _ in range(2):
        await known.of("d", await origin.open("d"))
    assert origin.asked == 6

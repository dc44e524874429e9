"""Part sizes and checksums: asked once for each version, a bounded number remembered."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import OriginUnavailable
from proxy.integrity import parts
from proxy.integrity.parts import PartSizes, SumsOfParts
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Checksum, Representation
from tests.integrity.objects import (
    PartedOrigin,
    checksum_of,
    composite_of,
    part_sums_of,
    stored,
)

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


# --- the parts' checksums ---------------------------------------------------------------------

SUMS = part_sums_of("crc32c", [TEN[:6], TEN[6:]])
SUM = composite_of("crc32c", [TEN[:6], TEN[6:]])


def two_parts(*checksums: Checksum, etag: str = "v1") -> StoredObject:
    return stored(TEN, *(checksums or (SUM,)), etag=etag)


async def test_the_sums_of_each_version_are_asked_for_once() -> None:
    memory = MemoryOrigin({"a": two_parts(), "b": two_parts()})
    for sums in (SUMS, None):
        origin, known = PartedOrigin(memory, None, sums), SumsOfParts()
        for key, asked in (("a", 1), ("a", 1), ("b", 2), ("a", 2)):
            opened = await origin.open(key)
            assert await known.of(key, opened) == sums
            assert origin.asked_for_sums == asked
            assert known.may_have(key, opened) is (sums is not None)
        memory.put("a", two_parts(etag=f"of {sums}"))
        assert known.may_have("a", await origin.open("a"))


@pytest.mark.parametrize(
    ("checksums", "said"),
    [
        ((SUM,), True),
        ((SUM, composite_of("md5", [TEN])), True),
        ((checksum_of("crc64nvme", TEN), SUM), False),
        ((checksum_of("md5", TEN),), False),
    ],
)
async def test_what_may_have_sums_of_parts(checksums: tuple[Checksum, ...], said: bool) -> None:
    memory = MemoryOrigin({"a": two_parts(*checksums)})
    opened = await PartedOrigin(memory, None, SUMS).open("a")
    assert SumsOfParts().may_have("a", opened) is said
    assert not SumsOfParts().may_have("a", await memory.open("a"))  # it can't be asked


async def test_without_checksums_or_a_strong_tag_there_are_none() -> None:
    for etag, checksums in ((EntityTag("v"), ()), (EntityTag("v", weak=True), (SUM,))):
        known = Representation(10, etag, checksums=checksums)
        origin = PartedOrigin(MemoryOrigin({"a": StoredObject(TEN, known)}), None, SUMS)
        assert not SumsOfParts().may_have("a", await origin.open("a"))


async def test_many_who_ask_at_once_are_told_the_same() -> None:
    memory = MemoryOrigin({"a": two_parts()})
    for sums in (SUMS, None, OriginUnavailable("busy")):
        origin, known = PartedOrigin(memory, None, sums), SumsOfParts()
        opened = await origin.open("a")
        asked = [asyncio.create_task(known.of("a", opened)) for _ in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert answers == [sums] * 5
        assert origin.asked_for_sums == 1


async def test_who_leaves_while_it_asks_hands_over_to_another() -> None:
    origin = PartedOrigin(MemoryOrigin({"a": two_parts()}), None, SUMS)
    opened, known = await origin.open("a"), SumsOfParts()
    first, *others = [asyncio.create_task(known.of("a", opened)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [SUMS, SUMS]
    assert origin.asked_for_sums == 2
    assert first.cancelled()


async def test_no_more_sums_are_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "MOST_SUMS", 5)  # two objects of two parts
    origin = PartedOrigin(MemoryOrigin({key: two_parts() for key in "abc"}), None, SUMS)
    known = SumsOfParts()
    for key in "abac":  # "b" is the oldest when "c" comes
        await known.of(key, await origin.open(key))
    assert origin.asked_for_sums == 3
    await known.of("a", await origin.open("a"))
    assert origin.asked_for_sums == 3
    await known.of("b", await origin.open("b"))
    assert origin.asked_for_sums == 4

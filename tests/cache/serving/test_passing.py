"""An object that goes past the cache is its origin's own, and says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from proxy.cache.serving.passing import PassedObject
from proxy.origins.base import OpenObject, Parted, SummedInParts
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.cache_status import cache_status
from proxy.semantics.representation import PartSums, Representation, Span
from tests.cache.stores import read

BODY = b"0123456789"
SUMS = PartSums("crc32c", (5, 5), (b"1234", b"5678"))


class PartedObject:
    """One whose store knows its parts."""

    representation = Representation(len(BODY))
    closed = 0

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        yield BODY[span.start : span.stop]

    async def part_sizes(self) -> tuple[int, ...] | None:
        return (5, 5)

    async def part_sums(self) -> PartSums | None:
        return SUMS

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
async def plain() -> OpenObject:
    return await MemoryOrigin({"key": StoredObject(BODY)}).open("key")


async def test_it_is_read_as_the_origins_object(plain: OpenObject) -> None:
    passed = PassedObject(plain)
    assert passed.representation is plain.representation
    assert await read(passed, Span(2, 5)) == b"234"


async def test_closing_closes_the_origins_object() -> None:
    below = PartedObject()
    passed = PassedObject(below)
    await passed.aclose()
    await passed.aclose()
    assert below.closed == 2


async def test_parts_are_known_only_where_the_origin_knows_them(plain: OpenObject) -> None:
    assert not isinstance(PassedObject(plain), Parted | SummedInParts)
    parted = PassedObject(PartedObject())
    assert isinstance(parted, Parted)
    assert await parted.part_sizes() == (5, 5)
    assert isinstance(parted, SummedInParts)
    assert await parted.part_sums() == SUMS


async def test_its_report_is_that_it_was_not_asked(plain: OpenObject) -> None:
    passed = PassedObject(plain)
    assert passed.standing.how == "passed"
    for spans in ([], [Span(0, 1)], [Span(0, 5), Span(7, 9)]):
        assert cache_status(await passed.cache_report(spans)) == b"headgate; fwd=bypass"

"""The table of docs/integrity.md: what is verified, by what is stored, read and configured."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from proxy.cache.cache import Cache
from proxy.cache.filling.judging import Checks
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.errors import NotVerifiable
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.checksums import new_sum
from proxy.integrity.choice import choose
from proxy.integrity.combination import combine, is_combinable
from proxy.integrity.judging import VerifiedObject
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.origins.base import Origin, Want
from proxy.origins.memory import MemoryOrigin
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, PartSums, Span
from tests.cache.stores import KIB, read
from tests.integrity.objects import (
    PartedOrigin,
    checksum_of,
    composite_of,
    part_sums_of,
    stored,
)

WIDTH = 256 * KIB
UP_TO = 2 * WIDTH
CHECKS = Checks(choose, new_sum, is_combinable, combine)
POOL = make_pool()

SMALL = random.Random(1).randbytes(2 * WIDTH - 5)
LARGE = random.Random(2).randbytes(6 * WIDTH - 5)
REFUSED, RANGE = "502", "unverified: range"
UNKNOWN, NONE = "unverified: part sizes unknown", "unverified: no checksum"


def parts_of(body: bytes, length: int = WIDTH) -> list[bytes]:
    return [body[start : start + length] for start in range(0, len(body), length)]


@dataclass(frozen=True)
class Kind:
    """What a store keeps and tells of an object."""

    checksums: tuple[Checksum, ...] = ()
    sizes: tuple[int, ...] | None = None
    sums: PartSums | None = None


def kind_of(name: str, body: bytes) -> Kind:
    if name == "crc32c":
        return Kind((checksum_of("crc32c", body),))
    if name == "sha256":
        return Kind((checksum_of("sha256", body),))
    length = 3 * WIDTH if name == "large parts" else WIDTH
    parts = parts_of(body, length)
    promised, sizes = (composite_of("sha256", parts),), tuple(map(len, parts))
    return {
        "parts": Kind(promised, sizes, part_sums_of("sha256", parts)),
        "large parts": Kind(promised, sizes, part_sums_of("sha256", parts)),
        "sizes only": Kind(promised, sizes),
        "sizes untold": Kind(promised),
        "none": Kind(),
    }[name]


def origin_of(name: str, body: bytes, policy: Policy, cache: Cache | None) -> Verified:
    kind = kind_of(name, body)
    memory = MemoryOrigin({"a": stored(body, *kind.checksums)}, buffer_size=64 * KIB)
    below: Origin = PartedOrigin(memory, kind.sizes, kind.sums)
    below = below if cache is None else Cached(below, "store", cache)
    return Verified(below, Checking(policy, POOL, read_through=UP_TO, kept_through=UP_TO))


async def label(origin: Verified, span: Span) -> str:
    first = ByteRange(span.start, span.stop - 1)
    try:
        opened = await origin.open("a", Want(first=first))
        assert isinstance(opened, VerifiedObject)
        await read(opened, span)
    except NotVerifiable:
        return REFUSED
    return str(opened.verdict)


@pytest.fixture
async def cache() -> AsyncIterator[Cache]:
    made = Cache(CacheOptions(memory=64 * WIDTH, width=WIDTH, read_ahead=0), CHECKS)
    yield made
    await made.aclose()


def checked(name: str) -> str:
    return f"{'crc32c' if name == 'crc32c' else 'sha256'} verified"


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("policy", ["when-available", "require"])
@pytest.mark.parametrize("name", ["crc32c", "sha256", "parts", "sizes only"])
async def test_wholes(name: str, policy: Policy, body: bytes, cache: Cache) -> None:
    for kept in (None, cache):
        origin = origin_of(name, body, policy, kept)
        assert await label(origin, Span(0, len(body))) == checked(name)


@pytest.mark.parametrize(("name", "said"), [("sizes untold", UNKNOWN), ("none", NONE)])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_wholes_that_can_not_be_checked(
    name: str, said: str, body: bytes, cache: Cache
) -> None:
    for kept in (None, cache):
        for policy in ("when-available", "require"):
            origin = origin_of(name, body, policy, kept)
            expected = said if policy == "when-available" else REFUSED
            assert await label(origin, Span(0, len(body))) == expected


# By whether it is larger than two slices: without a cache, with one, required.
RANGES = [
    ("crc32c", False, RANGE, "checked", "checked"),
    ("sha256", False, RANGE, "checked", "checked"),
    ("crc32c", True, RANGE, RANGE, REFUSED),
    ("sha256", True, RANGE, RANGE, REFUSED),
    ("parts", False, RANGE, "checked", "checked"),
    ("parts", True, RANGE, "checked", "checked"),
    ("large parts", True, RANGE, RANGE, REFUSED),
    ("sizes only", False, RANGE, "checked", "checked"),
    ("sizes only", True, RANGE, RANGE, REFUSED),
    ("sizes untold", False, RANGE, UNKNOWN, REFUSED),
    ("sizes untold", True, RANGE, RANGE, REFUSED),
    ("none", False, RANGE, NONE, REFUSED),
    ("none", True, RANGE, RANGE, REFUSED),
]


@pytest.mark.parametrize(("name", "large", "alone", "kept", "required"), RANGES)
async def test_first_ranges(
    name: str, large: bool, alone: str, kept: str, required: str, cache: Cache
) -> None:
    body = LARGE if large else SMALL
    span = Span(WIDTH + 10, WIDTH + 20)
    found = {
        "alone": await label(origin_of(name, body, "when-available", None), span),
        "kept": await label(origin_of(name, body, "when-available", cache), span),
        "required": await label(origin_of(name, body, "require", None), span),
    }
    expected = {"alone": alone, "kept": kept, "required": required}
    assert found == {
        way: checked(name) if said == "checked" else said for way, said in expected.items()
    }


@pytest.mark.parametrize("name", ["crc32c", "sha256", "parts", "large parts", "sizes only"])
@pytest.mark.parametrize("policy", ["when-available", "require"])
async def test_ranges_after_the_whole(name: str, policy: Policy, cache: Cache) -> None:
    origin = origin_of(name, LARGE, policy, cache)
    await label(origin, Span(0, len(LARGE)))
    assert await label(origin, Span(WIDTH + 10, WIDTH + 20)) == checked(name)
    without = origin_of(name, LARGE, "when-available", None)
    await label(without, Span(0, len(LARGE)))
    assert await label(without, Span(WIDTH + 10, WIDTH + 20)) == RANGE


@pytest.mark.parametrize(("name", "said"), [("crc32c", "crc32c verified"), ("sha256", RANGE)])
async def test_ranges_after_ranges_of_all_slices(name: str, said: str, cache: Cache) -> None:
    origin = origin_of(name, LARGE, "when-available", cache)
    for start in range(5 * WIDTH, -1, -WIDTH):
        await label(origin, Span(start, min(start + WIDTH, len(LARGE))))
    found = ""
    for _ in range(100):  # whoever fills the last slice may be a moment behind its reader
        found = found if found == said else await label(origin, Span(WIDTH + 10, WIDTH + 20))
    assert found == said


async def test_off(cache: Cache) -> None:
    for kept in (None, cache):
        origin = origin_of("parts", LARGE, "off", kept)
        for span in (Span(0, len(LARGE)), Span(5, 9)):
            assert await label(origin, span) == "unverified: off"

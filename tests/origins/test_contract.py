"""What every origin does, whatever it is made of: one suite over all of them."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing

import pytest

from proxy.errors import NotFound, ObjectChanged, OriginFault, RequestFault
from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.base import NO_BODY, WHOLE, Lister, OpenObject, Origin, Want
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span
from tests.origins.cancelling import cancel_everywhere
from tests.origins.conftest import FIELDS, ListingOrigin, Store

# Several buffers of every origin, and no multiple of any size a buffer may have.
BODY = random.Random(1).randbytes(1_000_003)
SIZE = len(BODY)
# More than fits into the socket buffers between a store and us.
LARGE = 24 * 1024 * 1024

SPANS = [
    Span(0, SIZE),
    Span(0, 0),
    Span(7, 7),
    Span(SIZE, SIZE),
    Span(0, 1),
    Span(SIZE - 1, SIZE),
    Span(1, SIZE - 1),
    Span(65_535, 65_537),
    Span(262_143, 524_289),
    Span(262_144, 524_288),
    Span(999_999, SIZE),
]
WANTS = [
    WHOLE,
    NO_BODY,
    Want(first=ByteRange(0, 0)),
    Want(first=ByteRange(0, None)),
    Want(first=ByteRange(500_000, None)),
    Want(first=ByteRange(10, 20)),
    Want(first=ByteRange(10, 10**18)),
    Want(first=ByteRange(None, 1)),
    Want(first=ByteRange(None, 10**18)),
    Want(first=ByteRange(None, 0)),
    Want(first=ByteRange(SIZE, None)),
    Want(first=ByteRange(10**30, 10**31)),
    Want(body=False, first=ByteRange(3, 5)),
]
KEYS = [
    "plain",
    "a b",
    "a+b",
    "100%",
    "%41",
    "a%2Fb",
    "(round) [square] {curly}",
    "it's",
    'the "quoted" one',
    "semi;colon,comma:colon=equals&and@at$dollar!",
    "question?mark#hash",
    "*star~tilde^caret`tick|bar<less>more",
    "back\\slash",
    "ünïcödé/日本語/ключ.txt",
    "e\u0301 is not \u00e9",
    "emoji 😀👩‍👩‍👧.bin",
    "trailing.",
    "trailing..",
    "...three",
    "-dash",
    "deep/" * 40 + "end",
    "n" * 200,
]
NOWHERE = [
    "",
    ".",
    "..",
    "../a",
    "a/../a",
    "a/..",
    "./a",
    "a/.",
    "x/../../a",
    "/../a",
    "a\ud800",
    "\udcff",
]


async def read(opened: OpenObject, span: Span) -> bytes:
    async with aclosing(opened.read(span)) as buffers:
        parts = [part async for part in buffers]
    assert all(parts), "an empty buffer"
    return b"".join(parts)


async def get(origin: Origin, key: str, want: Want = WHOLE) -> bytes:
    opened = await origin.open(key, want)
    try:
        return await read(opened, Span(0, opened.representation.size))
    finally:
        await opened.aclose()


async def names(origin: Lister, prefix: str, limit: int = 1000) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await origin.list(prefix, after, limit)
        assert len(page.entries) <= limit
        found += [entry.name for entry in page.entries]
        after = page.after
        if after is None:
            return found


# --- reading ----------------------------------------------------------------------------------


async def test_every_span(store: Store, origin: Origin) -> None:
    await store.put("a", BODY)
    opened = await origin.open("a")
    assert opened.representation.size == SIZE
    for span in SPANS:
        assert bytes_at_hand(opened, span) in (None, BODY[span.start : span.stop]), span
        assert await read(opened, span) == BODY[span.start : span.stop], span
    await opened.aclose()
    await opened.aclose()


async def test_a_want_is_only_a_hint(store: Store, origin: Origin) -> None:
    await store.put("a", BODY)
    for want in WANTS:
        for span in (Span(0, SIZE), Span(12, 40), Span(SIZE - 1, SIZE), Span(5, 5)):
            opened = await origin.open("a", want)
            assert opened.representation.size == SIZE, want
            assert await read(opened, span) == BODY[span.start : span.stop], (want, span)
            await opened.aclose()


async def test_a_want_that_comes_true(store: Store, origin: Origin) -> None:
    await store.put("a", BODY)
    for want in WANTS:
        span = want.first.meet(SIZE) if want.first else Span(0, SIZE)
        if span is not None:
            opened = await origin.open("a", want)
            assert await read(opened, span) == BODY[span.start : span.stop], want
            await opened.aclose()


async def test_opening_and_reading_nothing(store: Store, origin: Origin) -> None:
    await store.put("a", BODY)
    for want in WANTS:
        opened = await origin.open("a", want)
        await opened.aclose()
    assert await get(origin, "a") == BODY


async def test_an_empty_object(store: Store, origin: Origin) -> None:
    await store.put("empty", b"")
    for want in WANTS:
        opened = await origin.open("empty", want)
        assert opened.representation.size == 0, want
        assert await read(opened, Span(0, 0)) == b""
        await opened.aclose()


async def test_reading_one_object_often_and_at_the_same_time(store: Store, origin: Origin) -> None:
    await store.put("a", BODY)
    opened = await origin.open("a")
    assert await read(opened, Span(0, SIZE)) == await read(opened, Span(0, SIZE)) == BODY
    spans = [Span(i * 100_000, (i + 3) * 100_000) for i in range(6)]
    bodies = await asyncio.gather(*(read(opened, span) for span in spans))
    assert bodies == [BODY[span.start : span.stop] for span in spans]
    await opened.aclose()


async def test_many_readers(store: Store, origin: Origin) -> None:
    bodies = {f"{i}": BODY[i * 1000 :] for i in range(6)}
    for key, body in bodies.items():
        await store.put(key, body)
    answers = await asyncio.gather(*(get(origin, key) for key in list(bodies) * 4))
    assert answers == list(bodies.values()) * 4


async def test_stopping_early_leaves_nothing(store: Store) -> None:
    await store.put("a", bytes(LARGE))
    async with store.opened() as origin:
        for _ in range(8):  # more often than there are connections
            opened = await origin.open("a")
            async with aclosing(opened.read(Span(0, LARGE))) as buffers:
                assert await anext(buffers)
            assert await read(opened, Span(3, 9)) == bytes(6)
            await opened.aclose()


# --- replaced and removed ------------------------------------------------------------------------


async def test_a_read_after_it_was_replaced(store: Store, origin: Origin) -> None:
    await store.put("a", b"A" * SIZE)
    opened = await origin.open("a")
    await read(opened, Span(0, SIZE))
    await store.put("a", b"B" * SIZE)
    if store.keeps_old_versions or store.keeps_what_was_read:
        assert await read(opened, Span(0, SIZE)) == b"A" * SIZE
    else:
        with pytest.raises(ObjectChanged):
            await read(opened, Span(0, SIZE))
    await opened.aclose()
    assert await get(origin, "a") == b"B" * SIZE


async def test_a_read_after_it_was_removed(store: Store, origin: Origin) -> None:
    await store.put("a", b"A" * SIZE)
    opened = await origin.open("a", NO_BODY)
    await store.remove("a")
    if store.keeps_old_versions:
        assert await read(opened, Span(0, SIZE)) == b"A" * SIZE
    else:
        with pytest.raises(OriginFault):
            await read(opened, Span(0, SIZE))
    await opened.aclose()
    with pytest.raises(NotFound):
        await origin.open("a")


async def test_replaced_while_it_is_read_is_never_mixed(store: Store, origin: Origin) -> None:
    await store.put("a", b"A" * LARGE)
    opened = await origin.open("a")
    given = bytearray()
    try:
        async with aclosing(opened.read(Span(0, LARGE))) as buffers:
            given += await anext(buffers)
            await store.put("a", b"B" * LARGE)
            async for buffer in buffers:
                given += buffer
    except OriginFault:
        assert len(given) < LARGE
    else:
        assert given == b"A" * LARGE
    await opened.aclose()


# --- keys ----------------------------------------------------------------------------------------


async def test_missing(store: Store, origin: Origin) -> None:
    await store.put("dir/there", b"x")
    for key in ("missing", "dir/missing", "dir", "there", "dir/ther", "dir/theree", "Dir/there"):
        for want in (WHOLE, NO_BODY, Want(first=ByteRange(0, 5))):
            with pytest.raises(NotFound):
                await origin.open(key, want)


async def test_keys(store: Store, origin: Origin) -> None:
    keys = [f"x{key}" if store.hides_dots and key.startswith(".") else key for key in KEYS]
    if store.any_key:
        keys += ["a//b", "//", "/leading", "trailing/", "a", "a/b"]
    for key in keys:
        await store.put(key, key.encode())
    for key in keys:
        assert await get(origin, key) == key.encode(), key
        with pytest.raises(NotFound):
            await origin.open(key + "x")


async def test_keys_that_lead_nowhere(store: Store, origin: Origin) -> None:
    await store.put("a", b"x")
    for key in NOWHERE:
        with pytest.raises(RequestFault):
            await origin.open(key)


async def test_keys_too_long_for_any_store(store: Store, origin: Origin) -> None:
    for key in ("n" * 5000, "n/" * 5000 + "n"):
        with pytest.raises((RequestFault, OriginFault)):
            await origin.open(key)


# --- what is known --------------------------------------------------------------------------------


async def test_what_is_known(store: Store, origin: Origin) -> None:
    start = int(time.time()) - 60
    await store.put("a.txt", b"hello", **FIELDS)
    for want in (WHOLE, NO_BODY, Want(first=ByteRange(1, 2))):
        opened = await origin.open("a.txt", want)
        known = opened.representation
        await opened.aclose()
        assert known.size == 5
        assert known.etag is not None
        assert not known.etag.weak
        assert known.last_modified is not None
        assert start <= known.last_modified <= time.time() + 1
        if store.keeps_fields:
            assert known.media_type == FIELDS["content_type"]
            for name in ("cache_control", "content_disposition", "content_language"):
                assert getattr(known, name) == FIELDS[name], name
            assert known.content_encoding == "gzip"
        else:
            assert known.media_type == "text/plain; charset=utf-8"


async def test_the_tag_is_the_version(store: Store, origin: Origin) -> None:
    async def tag() -> str:
        opened = await origin.open("a", NO_BODY)
        await opened.aclose()
        return str(opened.representation.etag)

    await store.put("a", b"one")
    first = await tag()
    assert await tag() == first
    await store.put("a", b"two")
    assert await tag() != first


# --- leaving -----------------------------------------------------------------------------------


async def test_cancelled_at_every_await(store: Store) -> None:
    body = BODY[:300_000]
    await store.put("a", body)
    async with store.opened() as origin:

        async def use() -> None:
            opened = await origin.open("a", Want(first=ByteRange(0, 9)))
            try:
                assert await read(opened, Span(0, 10)) == body[:10]
                assert await read(opened, Span(10, len(body))) == body[10:]
            finally:
                await opened.aclose()

        await cancel_everywhere(use)
        await cancel_everywhere(lambda: origin.list(""))
        assert await asyncio.gather(*(get(origin, "a") for _ in range(6))) == [body] * 6


async def test_starting_cancelled_at_every_await(store: Store) -> None:
    await store.put("a", b"x")

    async def use() -> None:
        origin = store.make()
        try:
            await origin.start()
        finally:
            await origin.aclose()

    async with store.opened():
        await cancel_everywhere(use)


# --- listing -----------------------------------------------------------------------------------


async def test_listing(store: Store, origin: ListingOrigin) -> None:
    for key in ("b.txt", "a/1", "a/2", "a/sub/3", "Z", "zz/x", "ü b+%&.txt"):
        await store.put(key, key.encode())
    page = await origin.list("")
    assert page.after is None
    entries = {entry.name: entry for entry in page.entries}
    assert set(entries) == {"b.txt", "a/", "Z", "zz/", "ü b+%&.txt"}
    assert len(page.entries) == len(entries)
    assert entries["b.txt"].size == 5
    modified = entries["b.txt"].last_modified
    assert modified is not None
    assert time.time() - 600 < modified <= time.time() + 1
    assert entries["a/"].size is None
    assert set(await names(origin, "a/")) == {"1", "2", "sub/"}
    assert await names(origin, "a/sub/") == ["3"]
    for nothing in ("missing/", "b.txt/", "A/", "a/sub/3/"):
        assert (await origin.list(nothing)).entries == ()


async def test_listing_in_pages(store: Store, origin: ListingOrigin) -> None:
    for name in ("a", "b/1", "b/2", "b/3", "b.x", "c/1", "d", "é", "zz/z/z"):
        await store.put(f"p/{name}", b"x")
    for limit in (1, 2, 3, 6, 7, 100):
        found = await names(origin, "p/", limit)
        assert sorted(found) == ["a", "b.x", "b/", "c/", "d", "zz/", "é"], limit
        assert found == await names(origin, "p/", limit)

from __future__ import annotations

from contextlib import aclosing

import pytest

from proxy.errors import NotFound, ObjectChanged
from proxy.origins.base import Entry, Lister, Origin, Page
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation, Span


def is_origin(origin: Origin) -> Origin:
    """Does nothing: the type checker sees here that the interface is kept."""
    return origin


def is_lister(lister: Lister) -> Lister:
    return lister


async def body_of(origin: Origin, key: str) -> bytes:
    opened = await origin.open(key)
    span = Span(0, opened.representation.size)
    async with aclosing(opened.read(span)) as buffers:
        return b"".join([buffer async for buffer in buffers])


async def test_is_an_origin_and_a_lister() -> None:
    origin = MemoryOrigin()
    await is_origin(origin).start()
    assert await is_lister(origin).list("") == Page(())
    await origin.aclose()


async def test_put_replace_and_remove() -> None:
    origin = MemoryOrigin({"a": StoredObject(b"one")})
    assert await body_of(origin, "a") == b"one"
    origin.put("a", StoredObject(b"two!"))
    assert await body_of(origin, "a") == b"two!"
    origin.remove("a")
    origin.remove("a")
    with pytest.raises(NotFound):
        await origin.open("a")


def test_what_is_left_out_is_made_from_the_bytes() -> None:
    one, same, other = StoredObject(b"1"), StoredObject(b"1"), StoredObject(b"2")
    assert one.representation.size == 1
    assert one.representation == same.representation != other.representation
    assert one.representation.etag is not None
    assert not one.representation.etag.weak
    assert StoredObject(b"").representation.etag is not None


def test_what_is_given_is_kept_even_if_it_is_wrong() -> None:
    given = Representation(99, etag=EntityTag("x", weak=True), media_type="text/plain")
    assert StoredObject(b"1", given).representation is given
    assert StoredObject(b"", Representation(0)).representation.etag is None


async def test_buffers_are_of_the_size_asked_for() -> None:
    origin = MemoryOrigin({"a": StoredObject(b"0123456789")}, buffer_size=4)
    opened = await origin.open("a")
    assert [b async for b in opened.read(Span(1, 10))] == [b"1234", b"5678", b"9"]
    assert [b async for b in opened.read(Span(3, 3))] == []


async def test_a_read_under_way_goes_on_with_the_old_bytes_and_a_new_one_fails() -> None:
    origin = MemoryOrigin({"a": StoredObject(b"old!")}, buffer_size=2)
    opened = await origin.open("a")
    async with aclosing(opened.read(Span(0, 4))) as buffers:
        first = await anext(buffers)
        origin.put("a", StoredObject(b"new!"))
        assert [first, *[b async for b in buffers]] == [b"ol", b"d!"]
    with pytest.raises(ObjectChanged):
        await anext(opened.read(Span(0, 4)))


async def test_the_same_tag_is_the_same_version() -> None:
    origin = MemoryOrigin({"a": StoredObject(b"same")})
    opened = await origin.open("a")
    origin.put("a", StoredObject(b"same"))
    assert [b async for b in opened.read(Span(0, 4))] == [b"same"]


@pytest.mark.parametrize("tag", [None, EntityTag("x", weak=True)])
async def test_without_a_strong_tag_another_object_is_another_version(
    tag: EntityTag | None,
) -> None:
    def make() -> StoredObject:
        return StoredObject(b"same", Representation(4, etag=tag))

    origin = MemoryOrigin({"a": make()})
    opened = await origin.open("a")
    origin.put("a", make())
    with pytest.raises(ObjectChanged):
        await anext(opened.read(Span(0, 4)))


async def test_lists_by_octets_with_prefixes_folded() -> None:
    known = Representation(3, last_modified=7)
    names = ("b", "B", "a/x", "a/y", "a.txt", "//", "ü", "😀", "a/")
    origin = MemoryOrigin({name: StoredObject(b"abc", known) for name in names})
    page = await origin.list("")
    assert [e.name for e in page.entries] == ["/", "B", "a.txt", "a/", "b", "ü", "😀"]
    assert page.after is None
    assert page.entries[1] == Entry("B", 3, 7)
    assert page.entries[3] == Entry("a/")
    assert [e.name for e in (await origin.list("a/")).entries] == ["x", "y"]

"""The whole of a small object at once: of files, by the layers over them, and never of another."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.observability.spans import Span, Tracer
from proxy.observability.traced import Fetching, Traced
from proxy.origins import directory
from proxy.origins.base import WHOLE, Want
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.memory import MemoryOrigin
from proxy.origins.reading import BUFFER_SIZE, HotReader
from proxy.origins.whole import Whole, taker_of
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation
from tests.origins.test_directory import descriptors, serving
from tests.origins.test_known import write


@pytest.fixture
async def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DirectoryOrigin]:
    # Times of inodes can't be set: here a file that was written just now is as good as an old one.
    monkeypatch.setattr(directory, "_TICK_NS", 0)
    write(tmp_path / "a", b"one")
    async with serving(tmp_path, recheck=5) as made:
        yield made


async def known_of(origin: DirectoryOrigin, key: str = "a") -> Representation:
    opened = await origin.open(key)
    await opened.aclose()
    return opened.representation


def body_of(whole: Whole | None) -> bytes | None:
    return None if whole is None else whole.body


async def test_a_file_that_was_opened_before(origin: DirectoryOrigin) -> None:
    known = await known_of(origin)
    before = descriptors()
    whole = origin.take_whole("a", WHOLE, known)
    assert whole is not None
    assert (whole.body, whole.age, whole.sealed_by, whole.verdict) == (b"one", None, "", None)
    assert whole.lease is not None
    assert whole.lease.holds()
    assert descriptors() == before


async def test_one_that_was_not_is_not_given(origin: DirectoryOrigin, tmp_path: Path) -> None:
    known = await known_of(origin)
    write(tmp_path / "b", b"two")
    assert origin.take_whole("b", WHOLE, known) is None
    other = Representation(known.size, known.etag, known.last_modified, known.media_type)
    assert origin.take_whole("a", WHOLE, other) is None
    assert body_of(origin.take_whole("a", WHOLE, known)) == b"one"


@pytest.mark.parametrize("change", ["written", "replaced", "removed", "linked"])
async def test_what_changed_is_not_given(
    origin: DirectoryOrigin, tmp_path: Path, change: str
) -> None:
    known, path = await known_of(origin), tmp_path / "a"
    if change == "written":
        path.write_bytes(b"two")
    elif change == "replaced":
        write(tmp_path / "b", b"two")
        (tmp_path / "b").replace(path)
    else:
        path.unlink()
    if change == "linked":
        path.symlink_to("/etc/hostname")
    before = descriptors()
    assert origin.take_whole("a", WHOLE, known) is None
    assert descriptors() == before


async def test_what_changes_while_it_is_read_is_not_given(
    origin: DirectoryOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await known_of(origin)
    read = HotReader.read

    def changing(reader: HotReader, number: int, start: int, length: int) -> bytes | None:
        body = read(reader, number, start, length)
        (tmp_path / "a").write_bytes(b"two")
        return body

    monkeypatch.setattr(HotReader, "read", changing)
    assert origin.take_whole("a", WHOLE, known) is None


@pytest.mark.parametrize("read", [b"", b"on", None, OSError("broken")])
async def test_what_is_not_in_memory_is_not_given(
    origin: DirectoryOrigin, monkeypatch: pytest.MonkeyPatch, read: bytes | OSError | None
) -> None:
    known = await known_of(origin)

    def reading(*_: object) -> bytes | None:
        if isinstance(read, OSError):
            raise read
        return read

    monkeypatch.setattr(HotReader, "read", reading)
    before = descriptors()
    assert origin.take_whole("a", WHOLE, known) is None
    assert descriptors() == before


@pytest.mark.parametrize(
    "want", [Want(pin=Representation(3)), Want(unless=EntityTag("a"))], ids=["pin", "unless"]
)
async def test_who_wants_a_certain_version_opens_it(origin: DirectoryOrigin, want: Want) -> None:
    known = await known_of(origin)
    assert origin.take_whole("a", want, known) is None
    assert origin.take_whole("a", WHOLE, known, sealed=True) is None  # nobody has checked a file


async def test_what_is_large_is_opened(origin: DirectoryOrigin, tmp_path: Path) -> None:
    write(tmp_path / "most", bytes(BUFFER_SIZE))
    write(tmp_path / "more", bytes(BUFFER_SIZE + 1))
    most, more = [await known_of(origin, key) for key in ("most", "more")]
    assert body_of(origin.take_whole("most", WHOLE, most)) == bytes(BUFFER_SIZE)
    assert origin.take_whole("more", WHOLE, more) is None


async def test_without_looks_in_between_nothing_is_known(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    os.utime(tmp_path / "a")
    async with serving(tmp_path, recheck=0) as origin:
        assert origin.take_whole("a", WHOLE, await known_of(origin)) is None


def test_layers_of_traces_pass_it_on(tmp_path: Path) -> None:
    spans: list[Span] = []
    origin, tracer = DirectoryOrigin(tmp_path), Tracer(spans.append)
    for layer in (Traced(origin, "a", tracer, "internal"), Fetching(origin, "a", tracer)):
        assert taker_of(layer) == origin.take_whole
    assert taker_of(Fetching(MemoryOrigin({}), "a", tracer)) is None

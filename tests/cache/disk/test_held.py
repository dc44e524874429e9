"""Files that one writes and others follow, while disks fail and processes are killed."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk import held as module
from proxy.cache.disk.claims import Claim, claim
from proxy.cache.disk.held import MOST_UNWRITTEN, PIECE, Held
from proxy.cache.disk.watching import FileWatcher
from proxy.errors import OriginFault
from proxy.origins.threads import Threads
from tests.cache.claiming import Writers, is_locked, size_of, writers
from tests.cache.directory import eventually
from tests.cache.samples import bytes_of, descriptors, hanging
from tests.origins.cancelling import cancel_everywhere

LENGTH = 300_000
BODY = bytes_of(LENGTH)


class Place:
    """Where files are claimed."""

    def __init__(self, path: Path, patience: float = 60.0) -> None:
        self.path = path
        self.threads = Threads(patience)
        self.watcher = FileWatcher()

    def claim(self) -> Held:
        return Held(claim(str(self.path)), self.threads, self.watcher)

    def close(self) -> None:
        self.threads.close()
        self.watcher.close()


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    eventually(lambda: descriptors() == before)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path / "name")
    yield made
    made.close()


@pytest.fixture(scope="module")
def others() -> Iterator[Writers]:
    with writers() as made:
        yield made


async def follow(held: Held, position: int = 0, stop: int = LENGTH) -> bytes:
    async with aclosing(held.growth(position, stop)) as pieces:
        return b"".join([piece async for piece in pieces])


async def until(happened: object) -> None:
    """Waits on the event loop until a callable gives something true."""
    assert callable(happened)
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.002)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file can grow beyond that inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- writing ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([1, 1000, PIECE // 2, PIECE - 1, PIECE, PIECE + 1]), max_size=12))
def test_what_is_fed_gets_to_the_file_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fed"
    pieces = [bytes_of(size, seed) for seed, size in enumerate(sizes)]

    async def run() -> None:
        place = Place(path)
        held = place.claim()
        for piece in pieces:
            held.feed(piece)
            await asyncio.sleep(0)
            if held._waiting >= MOST_UNWRITTEN // 2:  # the test's disk is never too slow
                await held._written()
        rest = await held.settle()
        assert sum(map(len, rest)) < PIECE
        assert path.read_bytes() + b"".join(rest) == b"".join(pieces)
        assert await held.settle() == []
        await held.abandon()
        place.close()

    asyncio.run(run())


async def test_little_is_not_written_before_it_is_settled(place: Place) -> None:
    held = place.claim()
    held.feed(bytes(PIECE - 1))
    assert held._writing is None
    assert await held.settle() == [bytes(PIECE - 1)]
    assert size_of(place.path) == 0
    await held.abandon()


async def test_a_disk_that_is_too_far_behind_is_given_up(place: Place) -> None:
    held = place.claim()
    with hanging(place.threads):
        for _ in range(MOST_UNWRITTEN // PIECE):
            held.feed(bytes(PIECE))
            await asyncio.sleep(0)
            assert held.broken is None
        held.feed(bytes(PIECE))
        assert held.broken is not None
        assert held._pieces == []
        held.feed(bytes(PIECE))
        assert held._pieces == []
    with pytest.raises(OriginFault, match="too slow"):
        await held.settle()
    await held.abandon()
    assert not place.path.exists()


async def test_all_that_came_already_is_written_however_much(place: Place) -> None:
    held = place.claim()
    pieces = [bytes_of(PIECE, seed) for seed in range(2 * MOST_UNWRITTEN // PIECE)]
    await held.write(pieces)
    assert size_of(place.path) == 2 * MOST_UNWRITTEN
    await held.write([])
    held.feed(b"more")
    assert await held.settle() == [b"more"]
    assert place.path.read_bytes() == b"".join(pieces)
    await held.abandon()


async def test_another_ones_file_is_not_written_to(place: Place) -> None:
    ours, theirs = place.claim(), place.claim()
    assert (ours.mine, theirs.mine) == (True, False)
    theirs.feed(bytes(PIECE))
    await theirs.write([b"x"])
    assert await theirs.settle() == []
    assert size_of(place.path) == 0
    await theirs.abandon()
    assert place.path.exists()
    await ours.abandon()
    assert not place.path.exists()


async def test_a_full_disk_breaks_it_and_nothing_is_left(place: Place) -> None:
    held = place.claim()
    with files_up_to(PIECE):
        held.feed(bytes(PIECE))
        held.feed(bytes(PIECE))
        await until(lambda: held.broken)
    assert isinstance(held.broken, OSError)
    held.feed(bytes(PIECE))
    assert held._pieces == []
    with pytest.raises(OSError, match="too large"):
        await held.settle()
    await held.abandon()
    assert not place.path.exists()


async def test_abandoning_waits_for_the_thread_and_takes_the_file_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, gate, write = place.claim(), threading.Event(), Claim.write

    def slow(claim: Claim, buffers: list[bytes]) -> None:
        assert gate.wait(60)
        write(claim, buffers)

    monkeypatch.setattr(Claim, "write", slow)
    held.feed(bytes(PIECE))
    abandoning = asyncio.create_task(held.abandon())
    await asyncio.sleep(0.01)
    assert not abandoning.done()
    gate.set()
    await abandoning
    assert not place.path.exists()
    await held.abandon()


async def test_abandoning_never_raises_a_fault(tmp_path: Path) -> None:
    place = Place(tmp_path / "name", patience=0.05)
    held = place.claim()
    with hanging(place.threads):
        held.feed(bytes(PIECE))
        await held.abandon()
    assert held.claim.descriptor.number == -1
    place.path.unlink()
    closed = place.claim()
    place.close()
    await closed.abandon()
    assert closed.claim.descriptor.number == -1


async def test_writing_that_is_cancelled_is_broken_and_holds_up_nobody(place: Place) -> None:
    """As when an event loop that ends cancels every task."""
    for steps in range(3):
        held = place.claim()
        held.feed(bytes(PIECE))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing = held._writing
        assert writing is not None
        writing.cancel()
        async with asyncio.timeout(60):
            with pytest.raises(OriginFault, match="given up"):
                await held.settle()
            await held.abandon()
        assert not place.path.exists()


async def test_abandoning_can_be_cancelled_anywhere(place: Place) -> None:
    async def use() -> None:
        # A thread that was left behind still has the lock for a moment.
        eventually(lambda: not is_locked(place.path))
        held = place.claim()
        assert held.mine
        try:
            held.feed(bytes(PIECE))
            await asyncio.sleep(0)
        finally:
            await held.abandon()

    assert await cancel_everywhere(use) >= 2
    assert not place.path.exists()


# --- following ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("piece", "pause"), [(7000, 0.0005), (LENGTH, 0.0), (100_000, 0.02)])
async def test_another_process_is_followed_byte_for_byte(
    place: Place, others: Writers, piece: int, pause: float
) -> None:
    final = place.path.parent / "final"
    others.begin(place.path, LENGTH, piece=piece, pause=pause)
    await until(lambda: is_locked(place.path))
    held = place.claim()
    assert not held.mine
    many = await asyncio.gather(follow(held), follow(held, 5, 200_000), follow(held, LENGTH))
    assert list(many) == [BODY, BODY[5:200_000], b""]
    held.close()
    assert not final.exists()


async def test_following_goes_on_when_the_file_is_published(place: Place, others: Writers) -> None:
    final = place.path.parent / "final"
    others.begin(place.path, LENGTH, piece=50_000, pause=0.01, final=final)
    await until(lambda: is_locked(place.path))
    held = place.claim()
    got = held.growth(0, LENGTH)
    first = await anext(got)
    await until(final.exists)
    assert first + b"".join([piece async for piece in got]) == BODY
    held.close()


@pytest.mark.parametrize("seed", range(6))
async def test_one_that_is_killed_anywhere_is_taken_over(
    place: Place, others: Writers, seed: int
) -> None:
    """All bytes are there in the end, each the right one, whoever wrote it."""
    random, got = Random(seed), b""
    while len(got) < LENGTH:
        child = others.begin(place.path, LENGTH, piece=random.randrange(500, 9000), pause=0.0003)
        await until(lambda: is_locked(place.path))
        held = place.claim()
        assert not held.mine
        stop = min(LENGTH, len(got) + random.randrange(1, 150_000))
        async with aclosing(held.growth(len(got), LENGTH)) as pieces:
            async for piece in pieces:
                got += piece
                assert BODY.startswith(got)
                if len(got) >= stop:
                    child.kill()
        held.close()
    taken = place.claim()
    assert taken.mine
    await taken.write([got])
    assert place.path.read_bytes() == BODY
    await taken.abandon()


@pytest.mark.parametrize("final", ["withdraw", ""])
async def test_following_ends_early_when_the_writer_does(
    place: Place, others: Writers, final: str
) -> None:
    child = others.begin(place.path, LENGTH, stop=100_000, pause=0.0002, final=final)
    await until(lambda: is_locked(place.path))
    held = place.claim()
    following = asyncio.create_task(follow(held))
    if not final:
        await until(lambda: size_of(place.path) == 100_000)
        child.kill()
    assert await following == BODY[:100_000]
    held.close()


async def test_following_ends_when_nothing_comes_for_too_long(
    place: Place, others: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.2)
    others.begin(place.path, LENGTH, stop=5000)
    await until(lambda: size_of(place.path) == 5000)
    held = place.claim()
    assert await follow(held) == BODY[:5000]
    assert held.claim.is_locked()
    held.close()


async def test_following_goes_on_with_who_takes_over_the_same_file(
    place: Place, others: Writers
) -> None:
    first = others.begin(place.path, LENGTH, stop=5000)
    await until(lambda: size_of(place.path) == 5000)
    held = place.claim()
    got = held.growth(0, LENGTH)
    assert await anext(got) == BODY[:5000]
    inode = place.path.stat().st_ino
    first.kill()
    others.begin(place.path, LENGTH, piece=20_000)
    await until(lambda: size_of(place.path) == LENGTH)
    assert place.path.stat().st_ino == inode
    assert BODY[:5000] + b"".join([piece async for piece in got]) == BODY
    held.close()


@pytest.mark.parametrize("how", ["fails", "hangs", "closed"])
async def test_a_directory_that_fails_ends_the_following_and_raises_nothing(
    tmp_path: Path, others: Writers, how: str
) -> None:
    place = Place(tmp_path / "name", patience=0.05 if how == "hangs" else 60)
    others.begin(place.path, LENGTH, stop=5000)
    await until(lambda: size_of(place.path) == 5000)
    held = place.claim()
    if how == "hangs":
        with hanging(place.threads):
            assert await follow(held) == b""
            await held.ended(60)
    else:
        if how == "fails":
            held.claim.descriptor.close()
        else:
            place.threads.close()
        assert await follow(held) == b""
        await held.ended(60)
    held.close()
    place.close()


async def test_ended_waits_for_the_end_of_it_and_no_longer_than_it_is_told(
    place: Place, others: Writers
) -> None:
    child = others.begin(place.path, 10)
    await until(lambda: is_locked(place.path))
    held = place.claim()
    await held.ended(0.05)
    assert held.claim.is_locked()
    waiting = asyncio.create_task(held.ended(60))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    child.kill()
    await waiting
    held.close()


async def test_followers_can_be_cancelled_anywhere(place: Place, others: Writers) -> None:
    others.begin(place.path, LENGTH, piece=30_000)
    await until(lambda: size_of(place.path) == LENGTH)

    async def use() -> None:
        held = place.claim()
        try:
            assert await follow(held) == BODY
            await held.ended(0.01)
        finally:
            held.close()

    assert await cancel_everywhere(use) >= 4
    assert place.watcher.watched == 0
    assert place.path.exists()

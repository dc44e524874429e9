"""One of many has a claim, whoever dies, and nobody finds half a file."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.disk.claims import Claim, adopted, claim, write_all
from tests.cache.claiming import Writers, is_locked, size_of, writers
from tests.cache.directory import eventually
from tests.cache.samples import bytes_of, descriptors


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.fixture(scope="module")
def others() -> Iterator[Writers]:
    with writers() as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "name"


# --- who has it ---------------------------------------------------------------------------------


def test_the_first_has_it_and_the_others_look_on(path: Path) -> None:
    first, second = claim(str(path)), claim(str(path))
    assert (first.mine, second.mine) == (True, False)
    assert second.is_locked()
    first.write([b"abc", b"", b"def"])
    assert second.read(100, 0) == b"abcdef"
    assert second.read(2, 3) == b"de"
    assert second.read(100, 6) == b""
    assert path.stat().st_mode & 0o777 == 0o600
    first.close()
    first.close()
    assert not second.is_locked()
    second.close()


def test_looking_whether_it_is_locked_takes_it_from_nobody(path: Path) -> None:
    first, second = claim(str(path)), claim(str(path))
    for _ in range(3):
        assert second.is_locked()
    first.close()
    assert not second.is_locked()
    third = claim(str(path))  # looking left no lock
    assert third.mine
    for one in (second, third):
        one.close()


def test_the_file_of_one_that_died_is_used_again_and_is_empty(path: Path, others: Writers) -> None:
    child = others.begin(path, 5000)
    eventually(lambda: size_of(path) == 5000)
    looking = claim(str(path))
    assert not looking.mine
    before = path.stat().st_ino
    child.kill()
    assert not looking.is_locked()
    taken = claim(str(path))
    assert taken.mine
    assert (path.stat().st_ino, size_of(path)) == (before, 0)
    assert looking.is_locked()
    taken.write([b"new"])
    assert looking.read(100, 0) == b"new"
    for one in (taken, looking):
        one.close()


@pytest.mark.parametrize("seed", range(4))
def test_one_killed_anywhere_is_followed_and_taken_over(
    path: Path, others: Writers, seed: int
) -> None:
    """As long as one lives, what is there is the beginning of the right bytes."""
    random, length = Random(seed), 200_000
    body, got = bytes_of(length), b""
    while len(got) < length:
        child = others.begin(path, length, piece=random.randrange(100, 9000), pause=0.0002)
        eventually(lambda: is_locked(path))
        looking = claim(str(path))
        assert not looking.mine
        until = min(length, len(got) + random.randrange(1, 100_000))
        while len(got) < until:
            got += looking.read(10_000, len(got))
        assert body.startswith(got)
        child.kill()
        assert not looking.is_locked()
        looking.close()
    held = claim(str(path))
    assert held.mine
    held.close()


def test_who_waits_for_one_that_is_withdrawn_sees_it(path: Path, others: Writers) -> None:
    child = others.begin(path, 5000, pause=0.01, final="withdraw")
    eventually(lambda: size_of(path) > 0)
    looking = claim(str(path))
    assert not looking.mine
    child.wait()
    assert not looking.is_locked()
    assert not path.exists()
    assert looking.read(5000, 0) == bytes_of(5000)  # for whoever has it open
    new = claim(str(path))
    assert new.mine
    assert path.stat().st_size == 0
    new.withdraw()
    for one in (looking, new):
        one.close()


@pytest.mark.parametrize("end", ["publish", "withdraw", "close", "change"])
def test_there_is_one_at_any_time(path: Path, end: str) -> None:
    """Threads claim, and end it in each way: the kernel's locks know no threads."""
    having, most, times = 0, 0, 0
    lock, random = threading.Lock(), Random(end)

    def take_turns(_: int) -> None:
        while times < 20:
            take_a_turn()

    def take_a_turn() -> None:
        nonlocal having, most, times
        held = claim(str(path))
        if held.mine:
            with lock:
                having, times = having + 1, times + 1
                most = max(most, having)
            held.write([b"x"])
            assert held.read(10, 0) == b"x"
            how = random.choice(["publish", "withdraw", "close"]) if end == "change" else end
            with lock:
                having -= 1
            if how == "publish":
                held.publish(f"{path}.final")
            elif how == "withdraw":
                held.withdraw()
        held.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_turns, range(8)))
    assert most == 1


# --- how it ends --------------------------------------------------------------------------------


def test_who_looks_finds_a_whole_file_or_none(path: Path, others: Writers) -> None:
    final, length = path.parent / "final", 100_000
    bodies = {bytes_of(length, seed) for seed in range(5)}
    seen: set[bytes] = set()
    for seed in range(5):
        child = others.begin(path, length, seed, piece=5000, final=final)
        while os.path.exists(f"/proc/{child.number}"):
            if final.exists():
                seen.add(final.read_bytes())
        assert final.read_bytes() == bytes_of(length, seed)
    assert not path.exists()
    assert seen <= bodies


def test_publishing_where_there_is_no_directory_leaves_it_to_be_withdrawn(path: Path) -> None:
    held = claim(str(path))
    with pytest.raises(FileNotFoundError):
        held.publish(str(path.parent / "none" / "final"))
    assert path.exists()
    held.withdraw()
    assert not path.exists()
    held.close()


def test_what_was_withdrawn_while_it_was_synced_is_not_published(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, entered, gate = path.parent / "final", threading.Event(), threading.Event()
    slow = claim(str(path))
    slow.write([b"old"])
    sync = os.fdatasync

    def hang(number: int) -> None:
        entered.set()
        assert gate.wait(60)
        sync(number)

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(os, "fdatasync", hang)
        publishing = pool.submit(slow.publish, str(final))
        assert entered.wait(60)
        slow.withdraw()
        slow.close()
        another = claim(str(path))
        assert another.mine
        another.write([b"half of "])
        gate.set()
        with pytest.raises(OSError, match="withdrawn"):
            publishing.result()
    assert not final.exists()
    slow.withdraw()
    assert path.read_bytes() == b"half of "
    another.close()


def test_what_was_published_can_not_be_withdrawn(path: Path) -> None:
    held = claim(str(path))
    held.publish(str(path) + ".final")
    another = claim(str(path))
    assert another.mine
    held.withdraw()
    assert path.exists()
    for one in (held, another):
        one.close()


def test_what_is_closed_does_nothing(path: Path) -> None:
    held = claim(str(path))
    held.close()
    for work in (
        lambda: held.write([b"x"]),
        lambda: held.read(1, 0),
        lambda: held.publish("/nowhere"),
        held.is_locked,
    ):
        with pytest.raises(OSError, match="Bad file descriptor"):
            work()
    held.withdraw()
    assert path.exists()


# --- descriptors --------------------------------------------------------------------------------


def test_a_descriptor_is_open_for_as_long_as_a_thread_uses_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    number = os.open(fifo, os.O_RDWR)  # a disk that hangs once it is full
    held = Claim(str(fifo), adopted(number), mine=True)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(held.write, [bytes(300_000)])
        eventually(lambda: held.descriptor._users == 1)
        held.close()
        assert os.fstat(number).st_ino == fifo.stat().st_ino
        reading = os.open(fifo, os.O_RDONLY)
        left = 300_000
        while left:
            left -= len(os.read(reading, 100_000))
        writing.result()
        os.close(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_where_files_can_not_be_made_nothing_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name, kind in (
        ("none/name", FileNotFoundError),
        ("directory", IsADirectoryError),
        ("link", OSError),
        ("x" * 300, OSError),
    ):
        with pytest.raises(kind):
            claim(str(tmp_path / name))
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_its_place_is_refused_and_closed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="Invalid argument"):
        claim(str(tmp_path / "fifo"))


def test_one_that_is_renamed_again_and_again_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def rename_behind(name: str, *arguments: int) -> int:
        number = real(name, *arguments)
        os.rename(name, f"{name}.away")
        return number

    monkeypatch.setattr(os, "open", rename_behind)
    with pytest.raises(OSError, match="again and again"):
        claim(str(path))


# --- writing ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.binary(max_size=30), max_size=20) | st.just([b"ab"] * 1500),
    st.integers(1, 40),
)
def test_all_is_written_however_little_is_taken_at_once(buffers: list[bytes], most: int) -> None:
    def some(number: int, given_: Sequence[bytes | memoryview]) -> int:
        assert 0 < len(given_) <= 512
        return os.write(number, b"".join(given_)[:most])

    taken = os.memfd_create("file")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", some)
        write_all(taken, buffers)
    assert os.pread(taken, 10_000, 0) == b"".join(buffers)
    os.close(taken)


def test_a_file_that_gets_too_large_is_an_error(path: Path) -> None:
    held = claim(str(path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as raised:  # noqa: PT011  # its number is looked at
            held.write([bytes(600), bytes(600)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG
    assert size_of(path) == 1000
    held.withdraw()
    held.close()

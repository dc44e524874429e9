"""Answers from memory beside answers made anew: two whole programs, the same thousands of requests.

One keeps prepared answers, the other none; whatever is asked, in whatever order, both say the same,
log the same and count the same. Then files change under a program that has them in memory.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import odd_requests
from tests.e2e.odd_requests import (
    CONTENTS,
    OLD,
    Talking,
    ask_http1,
    ask_multiplexed,
    etag_of_plain,
    hot_answers,
    lines_of,
    metrics,
    some_requests,
    talking_http2,
    talking_http3,
    without_what_differs,
    without_what_differs_2,
)
from tests.e2e.program import Headgate
from tests.server.http3 import conftest

pytestmark = pytest.mark.servers

REQUESTS = 3000
# Until a file's times are older than that it may change unseen, and nothing made of it is kept.
SETTLED = 2.1


def configuration(
    root: Path, *, prepared: str = "16MiB", recheck: str = "1s", more: str = ""
) -> str:
    return (
        odd_requests.configuration("files", prepared, more)
        + f"""
[origins.files]
type = "directory"
root = "{root}"
recheck = "{recheck}"
"""
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hot")
    (root / "folder").mkdir()
    contents = CONTENTS | {".hidden": b"hidden"}
    for name, content in contents.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (OLD, OLD))
    (root / "linked.txt").symlink_to("plain.txt")
    time.sleep(SETTLED)
    return root


@pytest.fixture(scope="module")
def programs(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Headgate, Headgate]]:
    """One that answers from memory, and one that never does."""
    certificate, key = conftest.certificate(tmp_path_factory.mktemp("tls"))
    tls = f"""
[server.tls]
bind = ["127.0.0.1:0"]
certificate = "{certificate}"
key = "{key}"
http3 = true
http3_max_age = "0s"
"""
    with (
        Headgate(configuration(root, more=tls)) as hot,
        Headgate(configuration(root, prepared="0B", more=tls)) as full,
    ):
        yield hot, full


async def test_http1_answers_are_the_same(programs: tuple[Headgate, Headgate]) -> None:
    etag, same = map(etag_of_plain, programs)
    assert etag == same
    before = hot_answers(programs[0])
    requests = some_requests(etag, REQUESTS, http1=True, seed=1)
    hot, full = [await ask_http1(one, requests, seed=2) for one in programs]
    assert len(hot) == len(full) == REQUESTS
    for number, (ours, theirs) in enumerate(zip(hot, full, strict=True)):
        assert without_what_differs(ours) == without_what_differs(theirs), requests[number]
    ids = Counter(re.findall(rb"x-request-id: ([0-9a-f]{16})", b"".join(hot)))
    assert len(ids) > REQUESTS * 0.9
    assert set(ids.values()) == {1}
    assert hot_answers(programs[0]) - before > REQUESTS / 5
    assert hot_answers(programs[1]) == 0


# --- HTTP/2 and HTTP/3 ------------------------------------------------------------------------


@pytest.mark.parametrize(("talking_to", "count"), [(talking_http2, REQUESTS), (talking_http3, 600)])
async def test_multiplexed_answers_are_the_same(
    programs: tuple[Headgate, Headgate],
    talking_to: Talking,
    count: int,
) -> None:
    etag, same = map(etag_of_plain, programs)
    assert etag == same
    before = hot_answers(programs[0])
    requests = some_requests(etag, count, http1=False, seed=3)
    hot, full = [await ask_multiplexed(one, talking_to, requests) for one in programs]
    assert len(hot) == len(full) == count
    for number, (ours, theirs) in enumerate(zip(hot, full, strict=True)):
        assert without_what_differs_2(ours) == without_what_differs_2(theirs), requests[number]
    assert hot_answers(programs[0]) - before > count / 5


# --- what is said of it -----------------------------------------------------------------------

_COUNTED = re.compile(
    r"headgate_(requests|downloads|sent_bytes|verifications|verification_bytes)_total|"
    r"headgate_(request_duration|time_to_first_byte)_seconds_count|headgate_requests_in_flight"
)
_SAID = ("protocol", "method", "target", "status", "sent", "outcome", "origin", "verification",
         "length", "fault", "detail", "client", "trace_id")  # fmt: skip


def _counted(program: Headgate) -> dict[str, float]:
    return {name: value for name, value in metrics(program).items() if _COUNTED.match(name)}


async def test_log_and_metrics_are_the_same(root: Path) -> None:
    requests = some_requests('"unknown"', 400, http1=True, seed=5)
    said: list[tuple[dict[str, float], list[tuple[object, ...]]]] = []
    for prepared in ("16MiB", "0B"):
        with Headgate(configuration(root, prepared=prepared)) as program:
            before = _counted(program)
            await ask_http1(program, requests, seed=6)
            counted = {
                name: value - before.get(name, 0) for name, value in _counted(program).items()
            }
            used = hot_answers(program)
        assert (used > 50) == (prepared == "16MiB")
        lines = lines_of(program, _SAID)
        said.append((counted, [line for line in lines if line[2] != "/"]))  # asked at the start
    (counted, lines), (expected, expected_lines) = said
    assert counted == expected
    assert lines == expected_lines
    assert len(lines) > 350


# --- files that change ------------------------------------------------------------------------

COUNT = 40


def old(number: int) -> bytes:
    return b"old %3d" % number


def new(number: int) -> bytes:
    return b"new %3d" % number


def _replace(root: Path, path: Path, number: int) -> None:
    (root / f"{number}.new").write_bytes(new(number))
    (root / f"{number}.new").replace(path)


def _replace_keeping_times(root: Path, path: Path, number: int) -> None:
    (root / f"{number}.new").write_bytes(new(number))
    os.utime(root / f"{number}.new", (OLD, OLD))
    (root / f"{number}.new").replace(path)


def _write(root: Path, path: Path, number: int) -> None:
    with path.open("r+b") as file:
        file.write(new(number))
    os.utime(path, (OLD, OLD))


def _link(root: Path, path: Path, number: int) -> None:
    (root / f"{number}.aside").write_bytes(new(number))
    (root / f"{number}.link").symlink_to(f"{number}.aside")
    (root / f"{number}.link").replace(path)


def _link_outside(root: Path, path: Path, number: int) -> None:
    """The very same file, but by a way that leads outside: it may not be seen any more."""
    path.rename(root.parent / f"{number}.outside")
    path.symlink_to(root.parent / f"{number}.outside")


def _remove(root: Path, path: Path, number: int) -> None:
    path.unlink()


def _swap_for_a_directory(root: Path, path: Path, number: int) -> None:
    path.unlink()
    path.mkdir()


CHANGES: list[tuple[Callable[[Path, Path, int], None], bool]] = [
    (_replace, True),
    (_replace_keeping_times, True),
    (_write, True),
    (_link, True),
    (_link_outside, False),
    (_remove, False),
    (_swap_for_a_directory, False),
]  # with whether there is something new to see


class Changing:
    """Files that change under a program, and what it served that it should not have.

    `seconds`: for how long after a change the file as it was may be served.
    """

    def __init__(self, root: Path, base: str, seconds: float) -> None:
        self.root, self.base, self.seconds = root, base, seconds
        self.changed: dict[int, float] = {}
        self.wrong: list[str] = []
        self.stop = threading.Event()

    def change(self, number: int) -> None:
        CHANGES[number % len(CHANGES)][0](self.root, self.root / f"{number}.txt", number)
        self.changed[number] = time.monotonic()

    def check(self, client: httpx.Client, number: int) -> None:
        since, begun = self.changed.get(number), time.monotonic()
        answer = client.get(f"{self.base}/{number}.txt")
        if since is None or begun - since < self.seconds:
            return
        shows_new = CHANGES[number % len(CHANGES)][1]
        right = answer.content == new(number) if shows_new else answer.status_code == 404
        if not right:
            age = begun - since
            self.wrong.append(f"{number}, {age:.3f} s: {answer.status_code} {answer.content!r}")

    def load(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(trust_env=False) as client:
            while not self.stop.is_set():
                self.check(client, chance.randrange(COUNT))


@pytest.mark.parametrize(("recheck", "seconds"), [("0s", 0.0), ("1s", 1.0)])
def test_what_changed_is_not_served_any_more(tmp_path: Path, recheck: str, seconds: float) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(COUNT):
        (root / f"{number}.txt").write_bytes(old(number))
        os.utime(root / f"{number}.txt", (OLD, OLD))
    time.sleep(SETTLED)
    with Headgate(configuration(root, recheck=recheck)) as program:
        changing = Changing(root, program.url, seconds)
        threads = [threading.Thread(target=changing.load, args=(seed,)) for seed in range(2)]
        with httpx.Client(trust_env=False) as client:
            for number in list(range(COUNT)) * 3:
                assert client.get(f"{program.url}/{number}.txt").content == old(number)
            assert hot_answers(program) >= COUNT
            for thread in threads:
                thread.start()
            try:
                for number in range(COUNT):
                    changing.change(number)
                    changing.check(client, number)
                time.sleep(seconds)
                for number in range(COUNT):
                    changing.check(client, number)
            finally:
                changing.stop.set()
                for thread in threads:
                    thread.join()
    assert changing.wrong == []

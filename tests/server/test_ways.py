"""Answers that are made anew without a task: as the application gives them when it is called."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from time import monotonic

import pytest

from proxy.cache.cache import Cache
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.observability.responses import Responses
from proxy.observability.spans import Sampler
from proxy.origins import directory
from proxy.origins.base import WHOLE, Origin
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.memory import MemoryOrigin
from proxy.semantics.routing import Mount
from proxy.server import ways
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from proxy.server.prepared import PreparedAnswer
from proxy.server.ways import Way
from proxy.server.zero_copy import FEWEST_LENT
from tests.integrity.objects import checksum_of
from tests.integrity.objects import stored as promised
from tests.server.asgi import Client
from tests.server.test_hot_answers import hot_of, records, shown

OLD = 1_700_000_000


def write(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    os.utime(path, (OLD, OLD))


class House:
    """A door over a directory with all layers that such a one has, and what is counted there."""

    def __init__(self, origin: Origin, *mounts: Mount, prepared: int = 0) -> None:
        self.meters, self._pool = Meters(), make_pool()
        checking = Checking("when-available", self._pool, report=lambda _: None)
        self.origin = Verified(Metered(origin, "files", self.meters), checking)
        site = Site(mounts or [Mount("/", "files")], [], {"files": self.origin})
        self.memory = site.digester.memory
        self.door = PublicDoor(
            site, stall_timeout=5, responses=Responses(self.meters), prepared=prepared
        )

    async def get(self, target: str = "/a.txt", **fields: str) -> bytes:
        return (await Client(self.door).get(target, **fields)).body

    def made(
        self, target: bytes = b"/a.txt", method: bytes = b"GET", **fields: str
    ) -> PreparedAnswer | None:
        pairs = [(one.replace("_", "-").encode(), text.encode()) for one, text in fields.items()]
        return hot_of(self.door).hot(method, target, pairs)

    def counted(self, metric: names.Metric) -> object:
        return self.meters.read().get(metric.name)


@pytest.fixture
async def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DirectoryOrigin]:
    # Times of inodes can't be set: here a file that was written just now is as good as an old one.
    monkeypatch.setattr(directory, "_TICK_NS", 0)
    write(tmp_path / "a.txt", b"0123456789")
    write(tmp_path / "empty", b"")
    write(tmp_path / "most", bytes(FEWEST_LENT - 1))
    write(tmp_path / "lent", bytes(FEWEST_LENT))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "index.html", b"index")
    origin = DirectoryOrigin(tmp_path, recheck=5)
    await origin.start()
    yield origin
    await origin.aclose()


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate")


# --- which requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("/a.txt", True),
        ("/folder/", True),
        ("/most", True),
        ("/lent", False),
        ("/empty", False),
        ("/missing", False),
        ("/folder", False),
    ],
)
async def test_which_answers_have_a_way(files: DirectoryOrigin, target: str, there: bool) -> None:
    house = House(files, Mount("/", "files", index="index.html"))
    assert house.made(target.encode()) is None
    body = await house.get(target)
    made = house.made(target.encode())
    assert (made is not None) == there
    if made is not None:
        assert (made.body, made.length, made.anew) == (body, len(body), True)


@pytest.mark.parametrize(
    ("method", "target", "fields", "there"),
    [
        (b"GET", b"/a.txt", {}, True),
        (b"GET", b"/a.txt?v=3", {}, True),
        (b"GET", b"/a.txt?download", {}, False),
        (b"GET", b"/a.txt", {"host": "a", "user-agent": "b", "sec-fetch-mode": "cors"}, True),
        (b"GET", b"/a.txt", {"accept-encoding": "gzip"}, True),
        (b"HEAD", b"/a.txt", {}, False),
        (b"POST", b"/a.txt", {}, False),
        (b"GET", b"/a.txt", {"range": "bytes=0-3"}, False),
        (b"GET", b"/a.txt", {"if-none-match": '"x"'}, False),
        (b"GET", b"/a.txt", {"if-none-match": ""}, False),
        (b"GET", b"/a.txt", {"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, False),
        (b"GET", b"/a.txt", {"cache-control": "no-cache"}, False),
        (b"GET", b"/a.txt", {"pragma": "no-cache"}, False),
        (b"GET", b"/a.txt", {"want-repr-digest": "sha-256=1"}, False),
        (b"GET", b"/a.txt", {"traceparent": "00-1-1-01"}, False),
        (b"GET", b"/b.txt", {}, False),
    ],
)
async def test_which_requests_go_it(
    files: DirectoryOrigin, method: bytes, target: bytes, fields: Mapping[str, str], there: bool
) -> None:
    house = House(files)
    await house.get()
    assert (house.made(target, method, **fields) is not None) == there


async def test_only_answers_to_plain_requests_lead_to_it(files: DirectoryOrigin) -> None:
    house = House(files)
    await house.get(range="bytes=0-3")
    await house.get("/a.txt?download")
    await Client(house.door).head("/a.txt")
    assert house.made() is None
    await house.get(if_none_match='"x"')  # is answered as if it had not said so
    assert house.made() is not None


async def test_where_codings_are_looked_for_there_is_none(files: DirectoryOrigin) -> None:
    house = House(files, Mount("/", "files", codings=("br",)))
    await house.get()
    assert house.made() is None


async def test_there_are_so_many_and_no_more(
    files: DirectoryOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "MOST_WAYS", 1)
    house = House(files)
    await house.get()
    await house.get("/most")
    assert house.made() is None
    assert house.made(b"/most") is not None


# --- what they are given ----------------------------------------------------------------------


async def test_all_is_as_when_the_application_is_called(
    files: DirectoryOrigin, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(files)
    await house.get()
    caplog.clear()
    called = await Client(house.door).get("/a.txt")
    before = {metric: house.counted(metric) for metric in (names.REQUESTS, names.ORIGIN_REQUESTS)}
    made = house.made()
    assert made is not None
    hot_of(house.door).answered(made, b"0123456789abcdef", "192.0.2.1", "1.1", monotonic())
    assert (made.status, list(made.fields), made.body, True) == shown(called)
    theirs, ours = records(caplog)
    for name in ("method", "target", "status", "sent", "outcome", "origin", "verification",
                 "cache", "length"):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.verification == "unverified: no checksum"
    assert before[names.REQUESTS] == [(["GET", "2xx", "1.1"], 2)]
    assert house.counted(names.REQUESTS) == [(["GET", "2xx", "1.1"], 3)]
    assert house.counted(names.DOWNLOADS) is not None
    assert before[names.ORIGIN_REQUESTS] == [(["files", "open"], 2), (["files", "read"], 2)]
    assert house.counted(names.ORIGIN_REQUESTS) == [(["files", "open"], 3), (["files", "read"], 3)]
    assert house.counted(names.ORIGIN_BYTES) == [(["files"], 30)]
    assert house.counted(names.SENT_BYTES) == [([], 30)]
    assert house.counted(names.REQUESTS_HOT) == [([], 0)]


async def test_a_client_that_did_not_take_it_is_told_of(
    files: DirectoryOrigin, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(files)
    await house.get()
    made = house.made()
    assert made is not None
    caplog.clear()
    by = hot_of(house.door)
    by.answered(made, b"0123456789abcdef", "192.0.2.1", "1.1", monotonic(), gone="too slow")
    [record] = records(caplog)
    assert (record.outcome, record.detail, record.sent) == ("client gone", "too slow", 0)
    assert house.counted(names.REQUESTS_HOT) == [([], 0)]


async def test_the_head_is_written_once(files: DirectoryOrigin) -> None:
    house = House(files)
    await house.get()
    one, other = house.made(), house.made()
    assert one is not None
    assert other is not None
    assert one is not other
    assert one.written is other.written


# --- what changes -----------------------------------------------------------------------------


async def test_another_file_has_another_answer(files: DirectoryOrigin, tmp_path: Path) -> None:
    house = House(files)
    await house.get()
    write(tmp_path / "other", b"another...")
    (tmp_path / "other").replace(tmp_path / "a.txt")
    assert house.made() is None
    assert await house.get() == b"another..."
    made = house.made()
    assert made is not None
    assert made.body == b"another..."
    (tmp_path / "a.txt").unlink()
    assert house.made() is None


async def test_a_digest_that_was_learnt_is_told(files: DirectoryOrigin) -> None:
    house = House(files)
    await house.get()
    await house.get("/most")
    await house.get(want_repr_digest="sha-256=1")  # hashed, and remembered
    assert house.made() is None
    assert house.made(b"/most") is not None
    await house.get()
    made = house.made()
    assert made is not None
    assert b"repr-digest" in dict(made.fields)


async def test_one_that_is_made_is_prepared_where_that_is_wanted(files: DirectoryOrigin) -> None:
    house = House(files, prepared=1 << 20)
    await house.get()
    hot = hot_of(house.door)
    hot._answers._forget(b"/a.txt")
    kinds = [house.made(), house.made()]
    assert [one.anew for one in kinds if one is not None] == [True, False]


async def test_what_is_drawn_to_be_traced_is_left_to_the_application(
    files: DirectoryOrigin,
) -> None:
    house = House(files)
    await house.get()
    hot_of(house.door)._sampler = always = Sampler(1)
    assert house.made() is None
    assert always.draw()
    hot_of(house.door)._sampler = Sampler(0)
    assert house.made() is not None


async def test_what_is_not_at_hand_is_not_drawn_twice(
    files: DirectoryOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(files)
    await house.get()
    hot_of(house.door)._sampler = sampler = Sampler(0)
    monkeypatch.setattr(Way, "take", lambda _: None)
    assert house.made() is None
    sampler._below = 1 << 64  # from here on all would be drawn
    assert [bool(sampler.draw()) for _ in range(2)] == [False, True]


# --- from a cache -----------------------------------------------------------------------------

GOOD = b"good"


@pytest.mark.parametrize(
    ("policy", "said"), [("when-available", "crc32 verified"), ("off", "unverified: off")]
)
async def test_what_the_cache_has(
    policy: Policy, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache, pool = Cache(CacheOptions(memory=1 << 20, width=1 << 18)), make_pool()
    store = MemoryOrigin({"good": promised(GOOD, checksum_of("crc32", GOOD))})
    origin = Verified(Cached(store, "m", cache), Checking(policy, pool))
    door = PublicDoor(Site([Mount("/", "m")], [], {"m": origin}), stall_timeout=5)
    await Client(door).get("/good")
    caplog.clear()
    called = await Client(door).get("/good")
    before = cache.bytes.memory
    made = hot_of(door).hot(b"GET", b"/good", [])
    assert made is not None
    assert (made.body, made.verification, made.cache) == (GOOD, said, "hit (memory)")
    assert made.age is not None
    age = (b"age", b"%d" % made.age())
    assert [age, *made.fields] == [one for one in called.headers if one[0] != b"x-request-id"]
    assert cache.bytes.memory - before == len(GOOD)
    theirs: AccessRecord = records(caplog)[0]
    assert (theirs.verification, theirs.cache) == (said, "hit (memory)")
    entry = next(iter(cache.entries))
    entry.expire()
    assert hot_of(door).hot(b"GET", b"/good", []) is None  # stale: the origin has to be asked
    cache.replaced(entry)
    assert hot_of(door).hot(b"GET", b"/good", []) is None
    await cache.aclose()
    pool.shutdown()


async def test_where_clients_are_told_of_the_cache_there_is_none() -> None:
    cache = Cache(CacheOptions(memory=1 << 20, width=1 << 18))
    origin = Cached(MemoryOrigin({"good": promised(GOOD)}), "m", cache)
    door = PublicDoor(Site([Mount("/", "m")], [], {"m": origin}, tells_cache=True), stall_timeout=5)
    await Client(door).get("/good")
    assert hot_of(door).hot(b"GET", b"/good", []) is None
    await cache.aclose()


async def test_what_has_to_be_checked_is_given_only_where_it_was() -> None:
    cache, pool = Cache(CacheOptions(memory=1 << 20, width=1 << 18)), make_pool()
    store = MemoryOrigin({"good": promised(GOOD, checksum_of("crc32", GOOD))})
    kept = Cached(store, "m", cache)
    unchecked, checked = (Verified(kept, Checking(policy, pool)) for policy in ("off", "require"))
    site = Site([Mount("/", "off"), Mount("/checked/", "checked")], [], {
        "off": unchecked, "checked": checked,
    })  # fmt: skip
    door = PublicDoor(site, stall_timeout=5)
    await Client(door).get("/good")
    known = next(iter(cache.entries)).representation
    take = checked.take_whole
    assert take("good", WHOLE, known, sealed=False) is None  # nobody has checked it so far
    assert kept.take_whole("good", WHOLE, known, sealed=True) is None
    assert kept.take_whole("good", WHOLE, known) is not None
    await Client(door).get("/checked/good")
    known = next(iter(cache.entries)).representation
    whole = take("good", WHOLE, known, sealed=False)
    assert whole is not None
    assert str(whole.verdict) == "crc32 verified"
    await cache.aclose()
    pool.shutdown()

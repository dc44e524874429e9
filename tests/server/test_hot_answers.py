"""Prepared answers at the public door: what is kept, and that an ASGI server gets the same."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Mapping
from time import monotonic

import pytest
from starlette.types import Message

from proxy.cache.cache import Cache
from proxy.cache.options import CacheOptions
from proxy.cache.serving.layer import Cached
from proxy.errors import ClientGone, OriginTimeout
from proxy.integrity.checking import Checking, Policy
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.observability.responses import Responses
from proxy.origins.base import WHOLE, OpenObject, Origin, Want
from proxy.origins.memory import MemoryOrigin
from proxy.origins.resuming import Resuming
from proxy.semantics.globs import compile_glob
from proxy.semantics.representation import Representation, Span
from proxy.semantics.routing import Mount, Rule
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from proxy.server.hot_answers import HotAnswers
from proxy.server.prepared import MOST_BODY
from tests.integrity.objects import checksum_of
from tests.integrity.objects import stored as promised
from tests.server.asgi import Client, Reply
from tests.server.test_delivery import Failing, stored

OBJECTS = {
    "a.txt": stored(b"0123456789", media_type="text/plain"),
    "empty": stored(b""),
    "app.js": stored(b"identity", media_type="text/javascript"),
    "app.js.gz": stored(b"gzip"),
    "site/index.html": stored(b"<title>site</title>", media_type="text/html"),
    "404.html": stored(b"our 404"),
    "most": stored(bytes(MOST_BODY)),
    "more": stored(bytes(MOST_BODY + 1)),
    "good": promised(b"good", checksum_of("crc32", b"good")),
    "unknown": promised(b"unknown"),
}
TAG = '"3031323334353637"'  # of a.txt
RULES = [Rule(compile_glob("/spa/**"), fallback="/site/index.html")]
MOUNTS = [
    Mount("/", "memory", index="index.html", error_pages={404: "404.html"}),
    Mount("/listed/", "memory", listing=True),
]


def door_of(
    origin: Origin | None = None, mounts: list[Mount] | None = None, *, prepared: int = 1 << 20
) -> PublicDoor:
    origins = {"memory": origin or MemoryOrigin(OBJECTS)}
    site = Site(mounts or MOUNTS, RULES, origins)
    return PublicDoor(site, stall_timeout=5, prepared=prepared)


def hot_of(door: PublicDoor) -> HotAnswers:
    assert door.hot is not None
    return door.hot


def is_hot(door: PublicDoor, target: str, method: str = "GET", **fields: str) -> bool:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return hot_of(door).hot(method.encode(), target.encode(), pairs) is not None


def shown(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    headers = [(name, value) for name, value in reply.headers if name != b"x-request-id"]
    return reply.status, headers, reply.body, reply.complete


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate")


def records(caplog: pytest.LogCaptureFixture) -> list[AccessRecord]:
    return [one.access for one in caplog.records if hasattr(one, "access")]


# --- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "fields", "kept"),
    [
        ("GET", "/a.txt", {}, True),
        ("GET", "/a.txt", {"if-none-match": TAG}, True),
        ("GET", "/empty", {}, True),
        ("GET", "/site/", {}, True),
        ("GET", "/most", {}, True),
        ("GET", "/more", {}, False),
        ("GET", "/a.txt", {"range": "bytes=0-3"}, False),
        ("GET", "/a.txt", {"want-content-digest": "sha-256=1"}, False),
        ("GET", "/a.txt", {"if-match": '"other"'}, False),
        ("GET", "/a.txt?download", {}, False),
        ("GET", "/missing", {}, False),
        ("GET", "/site", {}, False),
        ("GET", "/spa/any", {}, False),
        ("GET", "/listed/", {}, False),
        ("GET", "/listed/site/", {}, False),
        ("OPTIONS", "/a.txt", {}, False),
        ("POST", "/a.txt", {}, False),
        ("GET", "/a%00", {}, False),
    ],
)
async def test_what_is_kept(
    method: str, target: str, fields: Mapping[str, str], kept: bool
) -> None:
    door = door_of()
    await Client(door).request(method, target, fields)
    assert is_hot(door, target) == (kept and method == "GET" and not fields)
    assert is_hot(door, target, "HEAD") == kept


async def test_with_no_memory_nothing_is() -> None:
    door = door_of(prepared=0)
    for _ in range(2):
        assert (await Client(door).get("/a.txt")).body == b"0123456789"
        assert not is_hot(door, "/a.txt")


async def test_a_body_that_is_not_sent_in_full_is_not_kept() -> None:
    door = door_of(MemoryOrigin(OBJECTS, buffer_size=4))
    client = Client(door)

    async def leave(message: Message) -> None:
        if message.get("body") == b"4567":
            raise ConnectionResetError

    client.on_send = leave
    with pytest.raises(ClientGone):
        await client.get("/a.txt")
    assert not is_hot(door, "/a.txt")
    assert not is_hot(door, "/a.txt", "HEAD")
    await Client(door).get("/a.txt")
    assert (await Client(door).get("/a.txt")).body == b"0123456789"
    assert is_hot(door, "/a.txt")


async def test_an_origin_that_fails_leaves_nothing() -> None:
    door = door_of(Failing(OriginTimeout("stalled"), after=2))
    with pytest.raises(OriginTimeout):
        await Client(door).get("/x")
    assert not is_hot(door, "/x", "HEAD")


async def test_an_origin_without_leases_is_always_asked() -> None:
    class Silent:
        async def start(self) -> None: ...
        async def aclose(self) -> None: ...

        async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
            class Opened:
                representation = Representation(1)

                async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
                    yield b"x"

                async def aclose(self) -> None: ...

            return Opened()

    door = door_of(Silent())
    for _ in range(2):
        assert (await Client(door).get("/x")).body == b"x"
    assert not is_hot(door, "/x")


async def test_what_is_replaced_is_made_anew() -> None:
    origin = MemoryOrigin(OBJECTS)
    door = door_of(origin)
    client = Client(door)
    await client.get("/a.txt")
    origin.put("a.txt", stored(b"other"))
    assert not is_hot(door, "/a.txt")
    assert (await client.get("/a.txt")).body == b"other"
    origin.remove("a.txt")
    assert (await client.get("/a.txt")).body == b"our 404"


async def test_a_sibling_that_is_not_there_needs_a_lease_too() -> None:
    door = door_of(mounts=[Mount("/", "memory", codings=("br", "gzip"))])
    client = Client(door)
    for accepted, expected in [("gzip", b"gzip"), ("br, gzip", b"gzip"), ("x", b"identity")]:
        assert (await client.get("/app.js", accept_encoding=accepted)).body == expected
    assert is_hot(door, "/app.js", accept_encoding="deflate, gzip")
    assert is_hot(door, "/app.js")
    assert not is_hot(door, "/app.js", accept_encoding="br, gzip")  # memory has no such lease


@pytest.mark.parametrize(
    ("policy", "target", "kept"),
    [
        ("require", "/good", True),
        ("require", "/unknown", False),
        ("when-available", "/good", True),
        ("when-available", "/unknown", True),
        ("off", "/good", True),
    ],
)
async def test_where_checks_are_required_only_what_passed_one_is_kept(
    policy: Policy, target: str, kept: bool
) -> None:
    pool = make_pool()
    try:
        origin = Verified(MemoryOrigin(OBJECTS), Checking(policy, pool))
        door = door_of(origin)
        await Client(door).head(target)
        if policy == "require":
            assert not is_hot(door, target, "HEAD")  # nothing was checked yet
        await Client(door).get(target)
        assert is_hot(door, target) == kept
    finally:
        pool.shutdown()


async def test_layers_pass_a_lease_on() -> None:
    door = door_of(Resuming(Metered(MemoryOrigin(OBJECTS), "memory", Meters())))
    await Client(door).get("/a.txt")
    assert is_hot(door, "/a.txt")


# --- by way of ASGI ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "fields"),
    [("GET", {}), ("HEAD", {}), ("GET", {"if-none-match": TAG})],
)
async def test_called_it_says_the_same(
    method: str, fields: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    meters, pool = Meters(), make_pool()
    verdicts: list[object] = []
    checking = Checking("when-available", pool, report=verdicts.append)
    origin = Verified(MemoryOrigin(OBJECTS), checking)
    site = Site([Mount("/", "memory")], [], {"memory": origin})
    door = PublicDoor(site, stall_timeout=5, responses=Responses(meters), prepared=1 << 20)
    await Client(door).get("/a.txt")
    before = meters.read()
    caplog.clear()
    full = await Client(PublicDoor(site, stall_timeout=5)).request(method, "/a.txt", fields)
    hot = await Client(door).request(method, "/a.txt", fields)
    pool.shutdown()
    assert shown(hot) == shown(full)
    assert hot["x-request-id"] != full["x-request-id"]
    theirs, ours = records(caplog)
    assert ours.request_id == hot["x-request-id"]
    for name in ("status", "sent", "outcome", "origin", "verification", "length", "target"):
        assert getattr(ours, name) == getattr(theirs, name), name
    after = meters.read()
    assert after[names.REQUESTS_HOT.name] == [([], 1)]
    assert before[names.REQUESTS_HOT.name] == [([], 0)]
    checks = sum(int(str(value)) for _, value in after.get(names.VERIFICATIONS.name, []))
    assert checks == len(verdicts) - 1 == (1 if method == "GET" and not fields else 0)


@pytest.mark.parametrize(
    ("method", "fields", "said"),
    [
        ("GET", {}, "hit (memory)"),
        ("HEAD", {}, "hit"),
        ("GET", {"if-none-match": TAG}, "hit"),
    ],
)
async def test_what_the_cache_has_says_so(
    method: str, fields: Mapping[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(CacheOptions(memory=1 << 20, width=1 << 18))
    site = Site([Mount("/", "m")], [], {"m": Cached(MemoryOrigin(OBJECTS), "m", cache)})
    door, other = (
        PublicDoor(site, stall_timeout=5, responses=Responses(Meters()), prepared=prepared)
        for prepared in (1 << 20, 0)
    )
    await Client(door).get("/a.txt")
    caplog.clear()
    given = []
    for one in (other, door):
        before = cache.bytes.memory
        given.append(await Client(one).request(method, "/a.txt", fields))
        assert given[-1]["age"] == "0"
        assert cache.bytes.memory - before == len(given[-1].body)
    hot, target = hot_of(door), b"/a.txt"
    asked = [(name.encode(), value.encode()) for name, value in fields.items()]
    prepared = hot.hot(method.encode(), target, asked)
    assert prepared is not None
    assert prepared.age is not None
    assert prepared.age() == 0
    hot.answered(prepared, b"0123456789abcdef", "192.0.2.1", "1.1", monotonic())
    await cache.aclose()
    assert shown(given[0]) == shown(given[1])
    assert [one.cache for one in records(caplog)] == [said] * 3
    counted = [one.responses.meters.read()[names.CACHE_ANSWERS.name] for one in (door, other)]
    assert (["hit"], 2) in counted[0]
    assert (["hit"], 1) in counted[1]


async def test_where_clients_are_told_of_the_cache_nothing_of_it_is_kept() -> None:
    cache = Cache(CacheOptions(memory=1 << 20, width=1 << 18))
    origins: dict[str, Origin] = {
        "m": Cached(MemoryOrigin(OBJECTS), "m", cache),
        "n": MemoryOrigin(OBJECTS),
    }
    site = Site([Mount("/", "m"), Mount("/n/", "n")], [], origins, tells_cache=True)
    door = PublicDoor(site, stall_timeout=5, prepared=1 << 20)
    for _ in range(2):
        await Client(door).get("/a.txt")
        await Client(door).get("/n/a.txt")
    await cache.aclose()
    assert not is_hot(door, "/a.txt")
    assert is_hot(door, "/n/a.txt")


async def test_a_client_that_takes_nothing_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    door = door_of()
    await Client(door).get("/a.txt")
    client = Client(door)

    async def reset(_: Message) -> None:
        raise ConnectionResetError

    client.on_send = reset
    with pytest.raises(ClientGone):
        await client.get("/a.txt")
    assert records(caplog)[-1].outcome == "client gone"


# --- for a server -----------------------------------------------------------------------------


async def test_what_a_server_gave_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    door = door_of()
    await Client(door).get("/a.txt")
    hot = hot_of(door)
    told: list[AccessRecord] = []
    door.responses.listeners.append(told.append)
    prepared = hot.hot(b"GET", b"/a.txt", [])
    assert prepared is not None
    caplog.clear()
    hot.answered(prepared, b"0123456789abcdef", "192.0.2.9", "2", 0.0)
    [record] = records(caplog)
    assert told == [record]
    assert (record.request_id, record.client, record.protocol) == (
        "0123456789abcdef",
        "192.0.2.9",
        "2",
    )
    assert (record.method, record.target, record.status) == ("GET", b"/a.txt", 200)
    assert (record.sent, record.length, record.outcome) == (10, 10, "complete")
    assert record.seconds == record.seconds_to_first_byte
    assert record.seconds > 0


async def test_a_client_that_did_not_take_it_is_counted_as_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = door_of()
    await Client(door).get("/a.txt")
    hot = hot_of(door)
    prepared = hot.hot(b"GET", b"/a.txt", [])
    assert prepared is not None
    caplog.clear()
    hot.answered(prepared, b"0123456789abcdef", "unix", "1.1", 0.0, gone="too slow")
    [record] = records(caplog)
    assert (record.outcome, record.detail, record.sent) == ("client gone", "too slow", 0)
    read = door.responses.meters.read()
    assert (["client_gone"], 1) in read[names.DOWNLOADS.name]
    assert read[names.REQUESTS_HOT.name] == [([], 1)]


async def test_the_memory_that_answers_take_is_shown() -> None:
    door = door_of()
    assert door.responses.meters.read()[names.PREPARED_BYTES.name] == [([], 0)]
    await Client(door).get("/a.txt")
    [(_, taken)] = door.responses.meters.read()[names.PREPARED_BYTES.name]
    assert isinstance(taken, int)
    assert taken > 10


# --- thousands of requests --------------------------------------------------------------------

TARGETS = (
    *("/a.txt", "/app.js", "/empty", "/site/", "/most", "/missing"),
    *("/a.txt?v=1", "/a.txt?download"),
)
DATES = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "x")
CHANCES: tuple[tuple[float, str, tuple[str, ...]], ...] = (
    (0.3, "accept-encoding", ("gzip", "br, gzip", "identity", "*;q=0")),
    (0.2, "if-none-match", (TAG, f"W/{TAG}", '"other"', "*", f'"x", {TAG}')),
    (0.1, "if-modified-since", DATES),
    (0.1, "range", ("bytes=0-3", "bytes=99-", "bytes=0-0,2-2")),
    (0.05, "if-match", (TAG, '"other"')),
    (0.02, "want-repr-digest", ("sha-256=1",)),
    (0.3, "user-agent", ("a", "b")),
    (0.05, "x-unknown", ("a",)),
)  # fmt: skip


async def test_server_and_application_say_the_same_thousands_of_times() -> None:
    chance, given = random.Random(7), 0
    mounts = [Mount("/", "memory", index="index.html", codings=("gzip",))]
    door, plain = door_of(mounts=mounts), door_of(mounts=mounts, prepared=0)
    for _ in range(3000):
        method, target = chance.choice(("GET", "GET", "GET", "HEAD")), chance.choice(TARGETS)
        fields = {
            name: chance.choice(values)
            for likely, name, values in CHANCES
            if chance.random() < likely * chance.choice((0, 1))
        }
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        prepared = hot_of(door).hot(method.encode(), target.encode(), pairs)
        called = await Client(door).request(method, target, fields)
        expected = await Client(plain).request(method, target, fields)
        own, others = called["x-request-id"].encode(), expected["x-request-id"].encode()
        assert called.body.replace(own, b"") == expected.body.replace(others, b"")
        if own not in called.body:
            assert shown(called) == shown(expected), (method, target, fields)
        if prepared is not None:
            given += 1
            said = prepared.status, list(prepared.fields), prepared.body, True
            assert said == shown(called), (method, target, fields)
    assert given > 500

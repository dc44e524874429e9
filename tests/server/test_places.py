"""What is remembered of a path, and that it never outlives what it was made of."""

from __future__ import annotations

import pytest

from proxy.errors import NotFound
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.freshness import Terms
from proxy.semantics.globs import compile_glob
from proxy.semantics.plan import Plan, Policy
from proxy.semantics.representation import Representation
from proxy.semantics.routing import Mount, Rule
from proxy.server import places as module
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from proxy.server.places import Place, Places, Planned
from tests.server.asgi import Client

MEMORY = MemoryOrigin()
ORIGINS = {"m": MEMORY, "n": MemoryOrigin()}
MOUNTS = [Mount("/", "m"), Mount("/n/", "n", index="index.html")]
RULES = [Rule(compile_glob("/n/**"), cache_ttl=5.0)]


def places() -> Places:
    return Places(MOUNTS, RULES, ORIGINS, Terms())


def test_where_a_path_leads() -> None:
    found = places().find("/n/x")
    assert (found.key, found.origin, found.mount) == ("x", ORIGINS["n"], MOUNTS[1])
    assert found.want.terms == Terms(ttl=5.0)
    assert places().find("/x").want.terms == Terms()
    with pytest.raises(NotFound):
        Places([], [], {}, Terms()).find("/x")


def test_what_is_wanted_under_the_same_rules_is_one_value() -> None:
    one = places()
    assert one.find("/n/x").want is one.find("/n/y").want


def test_only_what_is_kept_is_remembered_and_that_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    made = places()
    assert made.find("/a") is not made.find("/a")
    for path in ("/a", "/b", "/a", "/c"):
        made.keep(path, made.find(path))
    assert [*made] == ["/b", "/c"]
    assert made.find("/c") is made.find("/c")


def test_an_index_is_a_place_of_its_own() -> None:
    folder = places().find("/n/d/")
    folder.planned = Planned(Representation(1), {}, Policy(), Plan(200, ()))
    index = folder.of_index("index.html")
    assert index is folder.of_index("index.html")
    assert (index.key, index.want, index.planned) == ("d/index.html", folder.want, None)


def test_a_plan_is_for_one_object_and_what_is_known_of_it() -> None:
    place: Place = places().find("/a")
    one, other = Representation(1), Representation(1)
    assert place.plan_for(one, {}) is None
    place.planned = planned = Planned(one, {"sha-256": b"x"}, Policy(), Plan(200, ()))
    assert place.plan_for(one, {"sha-256": b"x"}) is planned
    assert place.plan_for(one, {}) is None
    assert place.plan_for(other, {"sha-256": b"x"}) is None


# --- as a client sees it --------------------------------------------------------------------------


def client_of(origin: MemoryOrigin, *rules: Rule, index: str | None = None) -> Client:
    mounts = [Mount("/", "m", index=index)]
    return Client(PublicDoor(Site(mounts, rules, {"m": origin}), stall_timeout=5))


async def test_another_request_than_a_plain_one_is_planned_for_itself() -> None:
    client = client_of(MemoryOrigin({"a.txt": StoredObject(b"0123456789")}))
    first = await client.get("/a.txt")
    etag = first["etag"]
    for fields, status in (
        ({"range": "bytes=1-2"}, 206),
        ({"range": "bytes=1-2,4-5"}, 206),
        ({"range": "bytes=99-"}, 416),
        ({"if_none_match": etag}, 304),
        ({"if_match": '"other"'}, 412),
        ({"if_unmodified_since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"if_range": etag, "range": "bytes=0-0"}, 206),
    ):
        assert (await client.get("/a.txt", **fields)).status == status
        assert (await client.get("/a.txt")).body == b"0123456789"
    saved = await client.get("/a.txt?download")
    assert saved["content-disposition"].startswith("attachment")
    again = await client.get("/a.txt")
    assert {name for name, _ in again.headers} == {name for name, _ in first.headers}


async def test_a_replaced_object_is_planned_anew() -> None:
    origin = MemoryOrigin({"a": StoredObject(b"one")})
    client = client_of(origin)
    assert (await client.get("/a")).body == b"one"
    origin.put("a", StoredObject(b"other"))
    reply = await client.get("/a")
    assert (reply.body, reply["content-length"]) == (b"other", "5")
    origin.remove("a")
    assert (await client.get("/a")).status == 404


async def test_an_index_comes_and_goes() -> None:
    origin = MemoryOrigin({"d/index.html": StoredObject(b"index")})
    client = client_of(origin, index="index.html")
    for _ in range(2):
        assert (await client.get("/d/")).body == b"index"
    origin.remove("d/index.html")
    assert (await client.get("/d/")).status == 404


async def test_a_fallback_stays_under_the_rules_of_what_was_asked_for() -> None:
    origin = MemoryOrigin({"app/index.html": StoredObject(b"app")})
    rule = Rule(compile_glob("/app/x/**"), cache_control="no-store", fallback="/app/index.html")
    client = client_of(origin, rule)
    for _ in range(2):
        assert "cache-control" not in await client.get("/app/index.html")
        assert (await client.get("/app/x/y"))["cache-control"] == "no-store"

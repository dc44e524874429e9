"""Deliveries over an origin in memory: mounts, siblings, indexes, fallbacks, listings, errors."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from proxy.errors import NotFound, OriginTimeout, OriginUnavailable
from proxy.origins.base import WHOLE, OpenObject, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.globs import compile_glob
from proxy.semantics.representation import Representation, Span
from proxy.semantics.routing import Mount, Rule
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from tests.server.asgi import Client


def stored(body: bytes, **known: Any) -> StoredObject:  # noqa: ANN401  # fields of the representation
    tag = EntityTag(body.hex()[:16] or "empty")
    plain = Representation(len(body), tag, 784111777)
    return StoredObject(body, replace(plain, **known))


OBJECTS = {
    "a.txt": stored(b"0123456789", media_type="text/plain"),
    "empty": stored(b""),
    "app.js": stored(b"identity", media_type="text/javascript"),
    "app.js.br": stored(b"brotli", media_type="application/octet-stream"),
    "app.js.gz": stored(b"gzip"),
    "site/index.html": stored(b"<title>site</title>", media_type="text/html"),
    "site/index.html.gz": stored(b"gzipped site"),
    "site/deep/page.html": stored(b"deep", media_type="text/html"),
    "folder/x": stored(b"x"),
    "404.html": stored(b"our 404", media_type="text/html"),
    "evil.html": stored(
        b"<script>",
        media_type="text/html\r\nx-injected: 1",
        cache_control="no-cache\n",
        content_disposition="inline\0",
        content_language="en\r\n",
    ),
    "own.css": stored(
        b"css", cache_control="max-age=1", content_disposition='inline; filename="n"'
    ),
}


class Failing:
    """An origin that fails as it is told, at opening or after some bytes."""

    def __init__(self, fault: Exception, *, after: int | None = None) -> None:
        self.fault, self.after = fault, after
        self.closed = 0

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        if self.after is None:
            raise self.fault
        origin, after, fault = self, self.after, self.fault

        class Broken:
            representation = Representation(1000, media_type="text/plain")

            async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
                for _ in range(after):
                    yield b"x"
                raise fault

            async def aclose(self) -> None:
                origin.closed += 1

        return Broken()


def client_of(
    mounts: list[Mount] | None = None,
    rules: list[Rule] | None = None,
    **origins: MemoryOrigin | Failing,
) -> Client:
    everything = {"memory": MemoryOrigin(OBJECTS), **origins}
    mounts = mounts or [Mount("/", "memory")]
    return Client(PublicDoor(Site(mounts, rules or [], everything), stall_timeout=5))


async def test_the_longest_mount_wins_and_its_root_has_a_slash() -> None:
    other = MemoryOrigin({"a.txt": stored(b"other")})
    mounts = [Mount("/", "memory"), Mount("/o/", "other")]
    client = client_of(mounts, other=other)
    assert (await client.get("/a.txt")).body == b"0123456789"
    assert (await client.get("/o/a.txt")).body == b"other"
    assert (await client.get("/o/empty")).status == 404
    moved = await client.get("/o")
    assert (moved.status, moved["location"]) == (308, "./o/")


async def test_outside_of_all_mounts_is_nothing() -> None:
    client = client_of([Mount("/in/", "memory")])
    assert (await client.get("/a.txt")).status == 404


@pytest.mark.parametrize(
    ("accepted", "body", "coding"),
    [
        ("br", b"brotli", "br"),
        ("gzip", b"gzip", "gzip"),
        ("gzip;q=1, br;q=0.1", b"gzip", "gzip"),
        ("*", b"brotli", "br"),
        ("zstd", b"identity", None),
        ("br;q=0, gzip;q=0", b"identity", None),
        ("", b"identity", None),
    ],
)
async def test_siblings(accepted: str, body: bytes, coding: str | None) -> None:
    client = client_of([Mount("/", "memory", codings=("br", "zstd", "gzip"))])
    reply = await client.get("/app.js", accept_encoding=accepted)
    assert reply.body == body
    assert reply.all("content-encoding") == ([coding] if coding else [])
    assert reply["content-type"].startswith("text/javascript")
    assert reply["vary"] == "accept-encoding"


async def test_siblings_have_validators_and_ranges_of_their_own() -> None:
    client = client_of([Mount("/", "memory", codings=("br", "gzip"))])
    tag = (await client.get("/app.js", accept_encoding="br"))["etag"]
    assert tag != (await client.get("/app.js"))["etag"]
    reply = await client.get("/app.js", accept_encoding="br", if_none_match=tag)
    assert (reply.status, reply["vary"]) == (304, "accept-encoding")
    assert (await client.get("/app.js", if_none_match=tag)).status == 200
    part = await client.get("/app.js", accept_encoding="br", range="bytes=1-2")
    assert (part.body, part["content-range"]) == (b"ro", "bytes 1-2/6")


async def test_no_sibling_is_looked_for_unless_configured() -> None:
    reply = await client_of().get("/app.js", accept_encoding="br")
    assert reply.body == b"identity"
    assert "vary" not in reply


async def test_an_index_stands_for_its_folder() -> None:
    client = client_of([Mount("/", "memory", index="index.html", codings=("gzip",))])
    assert (await client.get("/site/")).body == b"<title>site</title>"
    assert (await client.get("/site/", accept_encoding="gzip")).body == b"gzipped site"
    moved = await client.get("/site")
    assert (moved.status, moved["location"], moved.body) == (308, "./site/", b"")
    assert (await client.get("/site/deep/")).status == 404
    assert (await client.get("/")).status == 404
    assert (await client.get("/folder")).status == 404, "no index and no listing: no folder"


async def test_no_redirect_leads_to_another_host() -> None:
    memory = MemoryOrigin({"/evil.com/index.html": stored(b""), "a:b/index.html": stored(b"")})
    client = client_of([Mount("/", "m", index="index.html")], m=memory)
    assert (await client.get("//evil.com"))["location"] == "./evil.com/"
    assert (await client.get("/a:b"))["location"] == "./a:b/"


async def test_a_fallback_serves_single_page_applications() -> None:
    rules = [Rule(compile_glob("/app/**"), fallback="/site/index.html", cache_control="no-cache")]
    client = client_of(None, rules)
    reply = await client.get("/app/some/route")
    assert (reply.status, reply.body) == (200, b"<title>site</title>")
    assert reply["cache-control"] == "no-cache", "the rules of the path asked for"
    assert (await client.get("/app/")).status == 200
    assert (await client.get("/other/route")).status == 404


async def test_a_missing_fallback_ends() -> None:
    rules = [Rule(compile_glob("/**"), fallback="/nowhere")]
    assert (await client_of(None, rules).get("/x")).status == 404


async def test_rules_fill_in_what_objects_leave_open() -> None:
    rules = [
        Rule(compile_glob("/*.css"), download=True, content_security_policy="sandbox"),
        Rule(compile_glob("/**"), cache_control="max-age=9", download=False),
    ]
    client = client_of(None, rules)
    own = await client.get("/own.css")
    assert own["cache-control"] == "max-age=1"
    assert own["content-disposition"] == 'attachment; filename="n"'
    assert own["content-security-policy"] == "sandbox"
    plain = await client.get("/a.txt")
    assert plain["cache-control"] == "max-age=9"
    assert "content-disposition" not in plain


async def test_metadata_can_not_inject_fields() -> None:
    reply = await client_of().get("/evil.html")
    assert reply.status == 200
    assert reply["content-type"] == "application/octet-stream"
    for name in ("cache-control", "content-disposition", "content-language", "x-injected"):
        assert name not in reply
    assert all(not re.search(rb"[\r\n\0]", value) for _, value in reply.headers)


async def test_listing_in_two_forms_and_pages() -> None:
    site = Site([Mount("/l/", "memory", listing=True)], [], {"memory": MemoryOrigin(OBJECTS)},
                listing_page=3)  # fmt: skip
    client = Client(PublicDoor(site, stall_timeout=5))
    names, target = [], "/l/"
    while True:
        reply = await client.get(target, accept="application/json")
        assert (reply.status, reply["vary"]) == (200, "accept")
        listing = json.loads(reply.body)
        names += [entry["name"] for entry in listing["entries"]]
        if listing["next"] is None:
            break
        target = "/l/" + listing["next"]
    assert sorted(names) == sorted({key.partition("/")[0] for key in OBJECTS})
    page = await client.get("/l/folder/", accept="text/html")
    assert b"./x" in page.body
    assert "default-src 'none'" in page["content-security-policy"]
    assert (await client.head("/l/folder/"))["content-length"]
    assert (await client.get("/l/folder"))["location"] == "./folder/"
    assert (await client.get("/l/none/")).status == 404
    assert (await client.get("/l/none")).status == 404


async def test_error_pages_of_the_operator() -> None:
    client = client_of([Mount("/", "memory", error_pages={404: "404.html", 405: "gone.html"})])
    reply = await client.get("/missing", if_none_match="*", range="bytes=0-1")
    assert (reply.status, reply.body) == (404, b"our 404")
    assert reply["cache-control"] == "no-store"
    assert "etag" not in reply
    head = await client.head("/missing")
    assert (head.status, head.body, head["content-length"]) == (404, b"", "7")
    assert json.loads((await client.request("POST", "/a.txt")).body)["status"] == 405


@pytest.mark.parametrize(
    ("fault", "status"),
    [(OriginTimeout("s3.internal timed out"), 504), (OriginUnavailable("SlowDown"), 503),
     (NotFound("k"), 404), (RuntimeError("bug at 10.0.0.1"), 500)],
)  # fmt: skip
@pytest.mark.parametrize("after", [None, 0])
async def test_a_fault_before_the_first_byte_has_its_status(
    fault: Exception, status: int, after: int | None
) -> None:
    failing = Failing(fault, after=after)
    client = client_of([Mount("/", "f")], f=failing)
    reply = await client.get("/x")
    assert reply.status == status
    problem = json.loads(reply.body)
    assert problem["request_id"] == reply["x-request-id"]
    assert str(fault) not in reply.body.decode() or status == 404
    assert reply["cache-control"] == "no-store"
    assert ("retry-after" in reply) is (status == 503)
    assert failing.closed == (0 if after is None else 1)


async def test_a_fault_after_the_first_byte_breaks_the_body_off() -> None:
    failing = Failing(OriginTimeout("stalled"), after=3)
    client = client_of([Mount("/", "f")], f=failing)
    with pytest.raises(OriginTimeout):
        await client.get("/x")
    assert (client.reply.status, client.reply.body, client.reply.complete) == (200, b"xxx", False)
    assert failing.closed == 1


async def test_methods() -> None:
    client = client_of()
    options = await client.request("OPTIONS", "/a.txt")
    assert (options.status, options["allow"]) == (204, "GET, HEAD, OPTIONS")
    for method in ("POST", "get", "PROPFIND", "_private"):
        reply = await client.request(method, "/a.txt")
        assert (reply.status, reply["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await client.head("/missing")).body == b""


async def test_412_and_416_have_a_short_body() -> None:
    client = client_of()
    failed = await client.get("/a.txt", if_match='"other"', accept="text/html")
    assert (failed.status, failed["content-type"]) == (412, "text/html; charset=utf-8")
    assert failed["etag"]
    beyond = await client.get("/a.txt", range="bytes=10-")
    assert (beyond.status, beyond["content-range"]) == (416, "bytes */10")
    assert json.loads(beyond.body)["status"] == 416
    assert len(beyond.body) == int(beyond["content-length"])
    for reply in (failed, beyond):
        assert reply["cache-control"] == "no-store"
        assert len(reply.all("content-length")) == 1


async def test_the_query_counts_as_part_of_the_target() -> None:
    client = client_of()
    assert (await client.get("/a.txt?" + "q" * 100)).status == 200
    assert (await client.get("/a.txt?" + "q" * 9000)).status == 414

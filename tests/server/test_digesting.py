"""Wishes for digests, over an origin in memory: what is said, when, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

import pytest
from starlette.types import Message

from proxy.errors import ClientGone, OriginBroke
from proxy.integrity.rolling import make_pool
from proxy.origins.base import WHOLE, OpenObject, Origin, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Checksum, Representation, Span
from proxy.semantics.routing import Mount
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from proxy.server.digesting import HELD_WHOLE, Digester
from tests.server.asgi import Client

P = ParamSpec("P")
T = TypeVar("T")

HELLO = b'{"hello": "world"}\n'  # the object of RFC 9530 §B
HELLO_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
EMPTY_256 = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
LARGE = bytes(range(256)) * 4096
WANTED = {"want_content_digest": "sha-256=1", "want_repr_digest": "sha-256=1"}


def sha_256(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sha_512(body: bytes) -> str:
    return f"sha-512=:{base64.b64encode(hashlib.sha512(body).digest()).decode()}:"


def stored(body: bytes, tag: str = "", *, summed: bool = False) -> StoredObject:
    sums = (Checksum("sha256", hashlib.sha256(body).digest()),) if summed else ()
    etag = EntityTag(tag or hashlib.md5(body).hexdigest())
    known = Representation(len(body), etag, 784111777, "text/plain", checksums=sums)
    return StoredObject(body, known)


OBJECTS = {
    "hello": stored(HELLO, summed=True),
    "hello.br": stored(b"in brotli"),
    "small": stored(HELLO),
    "empty": stored(b""),
    "large": stored(LARGE),
    "known": stored(LARGE, summed=True),
    "weak": StoredObject(
        HELLO,
        replace(stored(HELLO, summed=True).representation, etag=EntityTag("a", weak=True)),
    ),
    "composite": StoredObject(
        HELLO, replace(stored(HELLO).representation, checksums=(Checksum("sha256", b"x", True, 2),))
    ),
    "404.html": stored(b"our own page"),
}
MOUNT = Mount("/", "memory", codings=("br",), listing=True, error_pages={404: "404.html"})


class Trailing(Client):
    """A client of a server that can send trailers."""

    def __init__(
        self, digester: Digester, origin: Origin | None = None, mount: Mount = MOUNT
    ) -> None:
        origins = {"memory": origin or MemoryOrigin(OBJECTS)}
        super().__init__(PublicDoor(Site([mount], [], origins, digester=digester), stall_timeout=5))
        self.trailers: dict[str, str] | None = None
        self.announced = False

    async def send(self, message: Message) -> None:
        self.announced = self.announced or message.get("trailers", False)
        if message["type"] == "http.response.trailers":
            assert self.reply.complete
            assert self.announced
            found = message["headers"]
            self.trailers = {name.decode(): value.decode() for name, value in found}
        await super().send(message)

    async def get2(self, target: str, **fields: str) -> None:
        self.trailers = None
        self.announced = False
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        await self.request(
            "GET", target, named, http_version="2", extensions={"http.response.trailers": {}}
        )


@pytest.fixture
def digester() -> Digester:
    return Digester()


@pytest.fixture
def client(digester: Digester) -> Trailing:
    return Trailing(digester)


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("GET", {}, 200),
        ("HEAD", {}, 200),
        ("GET", {"Range": "bytes=10-18"}, 206),
        ("GET", {"Range": "bytes=0-1,4-5"}, 206),
        ("GET", {"If-None-Match": "*"}, 304),
        ("HEAD", {"If-None-Match": "*"}, 304),
    ],
)
async def test_what_the_store_knows_is_sent_unasked(
    client: Trailing, method: str, fields: dict[str, str], status: int
) -> None:
    reply = await client.request(method, "/hello", fields)
    assert (reply.status, reply.all("repr-digest")) == (status, [HELLO_256])
    assert "content-digest" not in reply


@pytest.mark.parametrize("target", ["/weak", "/composite", "/small", "/missing"])
async def test_what_is_not_known_for_certain_is_not_sent(client: Trailing, target: str) -> None:
    assert "repr-digest" not in await client.get(target)
    assert "repr-digest" not in await client.head(target)


async def test_a_client_may_refuse_it(client: Trailing) -> None:
    assert "repr-digest" not in await client.get("/hello", want_repr_digest="sha-256=0")


@pytest.mark.parametrize(
    "fields", [{"if_match": '"other"'}, {"range": "bytes=99-"}], ids=["412", "416"]
)
async def test_an_error_does_not_tell_the_objects_digest(
    client: Trailing, fields: dict[str, str]
) -> None:
    assert "repr-digest" not in await client.get("/hello", **fields)
    reply = await client.get("/hello", **fields, **WANTED)
    assert reply.status in (412, 416)
    assert reply["repr-digest"] == reply["content-digest"] == sha_256(reply.body)


async def test_a_coding_has_a_digest_of_its_own(client: Trailing) -> None:
    reply = await client.get("/hello", accept_encoding="br")
    assert (reply.body, reply.all("repr-digest")) == (b"in brotli", [])
    reply = await client.get("/hello", accept_encoding="br", **WANTED)
    assert reply["repr-digest"] == reply["content-digest"] == sha_256(b"in brotli")
    assert (await client.head("/hello", accept_encoding="br"))["repr-digest"] == sha_256(
        b"in brotli"
    )
    assert (await client.head("/hello"))["repr-digest"] == HELLO_256


async def test_equal_tags_of_two_files_do_not_mix_their_digests(digester: Digester) -> None:
    origin = MemoryOrigin({"a": stored(b"plain", "1"), "a.br": stored(b"coded", "1")})
    client = Trailing(digester, origin)
    await client.get("/a", accept_encoding="br", want_repr_digest="sha-256=1")
    assert "repr-digest" not in await client.get("/a")


# --- Content-Digest -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "fields", "said"),
    [
        ("GET", "/hello", {}, HELLO_256),
        ("GET", "/small", {}, HELLO_256),
        ("GET", "/weak", {}, HELLO_256),
        ("GET", "/hello", {"Range": "bytes=10-18"}, sha_256(b'"world"}\n')),  # §B.3
        ("HEAD", "/hello", {}, EMPTY_256),  # §B.2
        ("GET", "/empty", {}, EMPTY_256),
        ("GET", "/known", {}, sha_256(LARGE)),
        ("GET", "/known", {"Range": "bytes=5-99"}, sha_256(LARGE[5:100])),
        ("GET", "/large", {}, None),
        ("GET", "/hello", {"If-None-Match": "*"}, None),
        ("OPTIONS", "/hello", {}, None),
    ],
)
async def test_content_digest_is_of_the_bytes_of_the_message(
    client: Trailing, method: str, target: str, fields: dict[str, str], said: str | None
) -> None:
    wanted = {"Want-Content-Digest": "sha-256=1"}
    reply = await client.request(method, target, fields | wanted)
    assert reply.all("content-digest") == ([said] if said else [])
    assert reply.complete
    if reply.body:
        assert int(reply["content-length"]) == len(reply.body)
    assert "content-digest" not in await client.request(method, target, fields)


@pytest.mark.parametrize("target", ["/missing", "/", "/folder"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_pages_of_ours_have_one_too(client: Trailing, method: str, target: str) -> None:
    reply = await client.request(method, target, {"Want-Content-Digest": "sha-512=1"})
    assert reply["content-digest"] == sha_512(reply.body)


async def test_several_ranges_have_one_of_the_whole_multipart(client: Trailing) -> None:
    reply = await client.get("/hello", range="bytes=0-1,4-5", **WANTED)
    assert reply["content-digest"] == sha_256(reply.body)
    assert reply["repr-digest"] == HELLO_256
    assert reply["content-type"].startswith("multipart/")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("sha-512=10, sha-256=1", sha_512(HELLO)),
        ("sha-512=1, sha-256=10", HELLO_256),
        ("md5=10, sha-512=1", sha_512(HELLO)),
        ("md5=10", None),
        ("sha-256=0", None),
        ("sha-256=11", None),
        ("sha-256=1,", None),
    ],
)
async def test_preferences(client: Trailing, field: str, said: str | None) -> None:
    reply = await client.get("/small", want_content_digest=field)
    assert reply.all("content-digest") == ([said] if said else [])


async def test_a_known_digest_is_taken_though_another_was_preferred(client: Trailing) -> None:
    reply = await client.get("/known", want_content_digest="sha-512=10, sha-256=1")
    assert reply["content-digest"] == sha_256(LARGE)


@pytest.mark.parametrize(("over", "said"), [(0, True), (1, False)])
async def test_only_small_bodies_are_held(client: Trailing, over: int, said: bool) -> None:
    reply = await client.get(
        "/large", want_content_digest="sha-256=1", range=f"bytes=0-{HELD_WHOLE - 1 + over}"
    )
    assert reply.body == LARGE[: HELD_WHOLE + over]
    assert ("content-digest" in reply) == said


# --- computed once ------------------------------------------------------------------------------


async def test_a_small_body_is_hashed_before_its_head_and_remembered(client: Trailing) -> None:
    assert (await client.get("/small", want_repr_digest="sha-256=1"))["repr-digest"] == HELLO_256
    assert (await client.get("/small"))["repr-digest"] == HELLO_256
    assert (await client.get("/small", range="bytes=1-2"))["repr-digest"] == HELLO_256
    assert (await client.head("/small"))["repr-digest"] == HELLO_256
    assert (await client.get("/small", if_none_match="*"))["repr-digest"] == HELLO_256


async def test_a_range_of_everything_is_the_whole(client: Trailing) -> None:
    reply = await client.get("/small", range="bytes=0-", **WANTED)
    assert (reply.status, reply["content-digest"], reply["repr-digest"]) == (
        206,
        HELLO_256,
        HELLO_256,
    )
    assert (await client.head("/small"))["repr-digest"] == HELLO_256


async def test_a_failed_condition_on_an_empty_object_tells_nothing_of_it(
    client: Trailing,
) -> None:
    reply = await client.head("/empty", if_match='"other"', **WANTED)
    assert (reply.status, "repr-digest" in reply) == (412, False)


async def test_an_empty_object_has_one_too(client: Trailing) -> None:
    reply = await client.get("/empty", **WANTED)
    assert reply["content-digest"] == reply["repr-digest"] == EMPTY_256


async def test_a_large_body_is_hashed_as_it_passes(client: Trailing) -> None:
    reply = await client.get("/large", want_repr_digest="sha-512=10, sha-256=2")
    assert (reply.body, "repr-digest" in reply) == (LARGE, False)
    assert (await client.head("/large"))["repr-digest"] == sha_512(LARGE)
    reply = await client.get("/large", range="bytes=0-0", want_repr_digest="sha-256=2")
    assert reply["repr-digest"] == sha_512(LARGE)
    await client.get("/large", want_repr_digest="sha-256=1")
    assert (await client.head("/large"))["repr-digest"] == f"{sha_256(LARGE)}, {sha_512(LARGE)}"


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        ("HEAD", "/large", {}),
        ("GET", "/large", {"Range": "bytes=0-9"}),
        ("GET", "/large", {"Range": "bytes=0-300000"}),
        ("GET", "/weak", {}),
        ("GET", "/missing", {}),
    ],
)
async def test_nothing_but_a_whole_body_of_one_version_is_remembered(
    client: Trailing, digester: Digester, method: str, target: str, fields: dict[str, str]
) -> None:
    await client.request(method, target, fields | {"Want-Repr-Digest": "sha-256=1"})
    assert len(digester.memory) == 0


async def test_without_a_wish_nothing_is_hashed(client: Trailing, digester: Digester) -> None:
    await client.get("/small")
    await client.get("/small", want_repr_digest="md5=1")
    assert len(digester.memory) == 0


async def test_what_the_store_told_once_is_remembered(digester: Digester) -> None:
    told, silent = stored(HELLO, "1", summed=True), stored(HELLO, "1")
    origin = MemoryOrigin({"a": told})
    client = Trailing(digester, origin)
    await client.get("/a")
    origin.put("a", silent)
    assert (await client.get("/a", range="bytes=1-2"))["repr-digest"] == HELLO_256


async def test_what_the_store_tells_counts_more_than_what_was_computed(digester: Digester) -> None:
    right = Checksum("sha256", hashlib.sha256(HELLO).digest())
    wrong = stored(b"corrupted bytes ..\n", "1")
    origin = MemoryOrigin({"a": wrong})
    client = Trailing(digester, origin)
    await client.get("/a", want_repr_digest="sha-512=1")
    await client.get("/a", want_repr_digest="sha-256=1")
    corrupt = f"{sha_256(wrong.body)}, {sha_512(wrong.body)}"
    assert (await client.head("/a"))["repr-digest"] == corrupt
    origin.put("a", StoredObject(HELLO, replace(wrong.representation, checksums=(right,))))
    assert (await client.head("/a"))["repr-digest"] == HELLO_256
    assert (await client.head("/a"))["repr-digest"] == HELLO_256


async def test_another_version_has_no_digest_yet(digester: Digester) -> None:
    origin = MemoryOrigin({"a": stored(b"one", "1")})
    client = Trailing(digester, origin)
    await client.get("/a", want_repr_digest="sha-256=1")
    origin.put("a", stored(b"two", "2"))
    assert "repr-digest" not in await client.get("/a")
    origin.put("a", stored(b"one", "1"))
    assert (await client.get("/a"))["repr-digest"] == sha_256(b"one")


class Strange:
    """An origin of one object whose reads go as the test wants."""

    def __init__(self, size: int, *pieces: bytes | Exception | asyncio.Event) -> None:
        self.size, self.pieces, self.closed = size, pieces, 0

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        origin = self

        class Opened:
            representation = Representation(origin.size, EntityTag("a"))

            async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
                for piece in origin.pieces:
                    if isinstance(piece, Exception):
                        raise piece
                    if isinstance(piece, asyncio.Event):
                        await piece.wait()
                    else:
                        yield piece

            async def aclose(self) -> None:
                origin.closed += 1

        return Opened()


PLAIN = Mount("/", "memory")


@pytest.mark.parametrize(
    "pieces",
    [(b"abc", OriginBroke("cut")), (b"abc",), (b"abcdefgh",)],
    ids=["cut", "short", "long"],
)
async def test_a_held_body_that_breaks_is_a_502(
    digester: Digester, pieces: tuple[bytes | Exception, ...]
) -> None:
    origin = Strange(5, *pieces)
    client = Trailing(digester, origin, PLAIN)
    reply = await client.get("/a", **WANTED)
    assert (reply.status, reply["content-digest"]) == (502, sha_256(reply.body))
    assert (len(digester.memory), origin.closed) == (0, 1)


async def test_a_large_body_that_breaks_is_not_remembered(digester: Digester) -> None:
    origin = Strange(HELD_WHOLE * 2, bytes(HELD_WHOLE), OriginBroke("cut"))
    client = Trailing(digester, origin, PLAIN)
    with pytest.raises(OriginBroke):
        await client.get2("/a", **WANTED, te="trailers")
    assert client.trailers is None
    assert (len(digester.memory), origin.closed) == (0, 1)


async def test_a_client_that_leaves_while_its_body_is_held(digester: Digester) -> None:
    origin = Strange(5, b"abc", asyncio.Event())
    client = Trailing(digester, origin, PLAIN)
    asking = asyncio.create_task(client.get("/a", **WANTED))
    await asyncio.sleep(0.01)
    client.leave.set()
    with pytest.raises(ClientGone):
        await asking
    assert (client.reply.status, origin.closed) == (0, 1)


# --- trailers -----------------------------------------------------------------------------------


async def test_a_large_body_has_its_digests_behind_it(client: Trailing) -> None:
    await client.get2("/large", te="trailers", **WANTED)
    assert client.reply["trailer"] == "content-digest, repr-digest"
    assert client.reply.body == LARGE
    assert client.trailers == {"content-digest": sha_256(LARGE), "repr-digest": sha_256(LARGE)}
    await client.get2("/large", te="trailers", **WANTED)  # now it is known
    assert client.reply["content-digest"] == sha_256(LARGE)
    assert not client.announced


async def test_a_large_range_has_its_own_behind_it(client: Trailing) -> None:
    await client.get2(
        "/known", te="deflate, Trailers ", range="bytes=1-", want_content_digest="sha-512=1"
    )
    assert client.reply["trailer"] == "content-digest"
    assert client.reply["repr-digest"] == sha_256(LARGE)
    assert client.trailers == {"content-digest": sha_512(LARGE[1:])}


@pytest.mark.parametrize("te", [{}, {"te": "gzip"}, {"te": "trailers;q=0"}])
async def test_trailers_are_for_clients_that_take_them(
    client: Trailing, te: dict[str, str]
) -> None:
    await client.get2("/large", **WANTED, **te)
    assert (client.trailers, client.announced) == (None, False)
    assert "trailer" not in client.reply
    assert (await client.head("/large"))["repr-digest"] == sha_256(LARGE)


async def test_trailers_are_for_servers_that_send_them(client: Trailing) -> None:
    reply = await client.get("/large", te="trailers", **WANTED)
    assert "trailer" not in reply
    assert client.trailers is None


# --- where the work is done ---------------------------------------------------------------------


class Counting(ThreadPoolExecutor):
    """A pool that knows how often it was used."""

    used = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.used += 1
        return super().submit(fn, *args, **kwargs)


def of(pool: Executor) -> Trailing:
    return Trailing(Digester(pool))


async def test_large_buffers_are_hashed_in_threads_and_small_ones_are_not() -> None:
    with Counting(1) as pool:
        client = of(pool)
        await client.get("/small", **WANTED)
        assert pool.used == 0
        reply = await client.get("/large", range="bytes=0-99999", **WANTED)
        assert reply["content-digest"] == sha_256(LARGE[:100_000])
        assert pool.used == 1
        await client.get2("/large", te="trailers", **WANTED)
        assert client.trailers == {"content-digest": sha_256(LARGE), "repr-digest": sha_256(LARGE)}
        assert pool.used > 1


async def test_two_algorithms_at_once() -> None:
    with make_pool() as pool:
        client = of(pool)
        wishes = {"want_content_digest": "sha-512=1", "want_repr_digest": "sha-256=1"}
        await client.get2("/large", te="trailers", **wishes)
        assert client.trailers == {"content-digest": sha_512(LARGE), "repr-digest": sha_256(LARGE)}
        both = f"{sha_256(LARGE)}, {sha_512(LARGE)}"
        assert (await client.head("/large"))["repr-digest"] == both

"""The whole program over real sockets: HTTP/1.1, h2c, HTTP/2 and HTTP/3; directory and stores."""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from tests.e2e.http3 import Http3Transport
from tests.e2e.program import Headgate
from tests.servers.s3 import RcloneS3, S3Server, SeaweedFS

BODY = bytes(range(256)) * 4096  # 1 MiB in which every position tells where it is
ODD_NAMES = ("a b+c%(d)'e\".txt", "ünï🎬.txt", "a//b", "semi;colon=x,y", "per%41cent")

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Door:
    """One way in: the address, and the versions a client may speak there."""

    url: str
    http1: bool = False
    http2: bool = False
    http3: bool = False


@dataclass(frozen=True)
class World:
    """The program, the stores behind it, and the doors to it."""

    program: Headgate
    doors: dict[str, Door]
    stores: dict[str, S3Server]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("root")
    _fill(root)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = root.parent / "certificate.pem", root.parent / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(certificate, append=number > 0)
    with SeaweedFS() as seaweed, RcloneS3() as rclone:
        stores: dict[str, S3Server] = {"seaweed": seaweed, "rclone": rclone}
        for store in stores.values():
            store.uploads.put(store.bucket, "body.bin", BODY, content_type="video/mp4")
            store.uploads.put(store.bucket, "empty.txt", b"", content_type="text/plain")
            store.uploads.put(store.bucket, "folder/page.txt", b"page", content_type="text/plain")
        for name in ODD_NAMES:
            seaweed.uploads.put(seaweed.bucket, name, name.encode())
        with Headgate(_configuration(root, certificate, key, stores)) as program:
            clear, tls = program.url, program.tls_url
            doors = {
                "HTTP/1.1": Door(clear, http1=True),
                "h2c": Door(clear, http2=True),
                "HTTP/2": Door(tls, http1=True, http2=True),
                "HTTP/1.1 over TLS": Door(tls, http1=True),
                "HTTP/3": Door(tls, http3=True),
            }
            yield World(program, doors, stores)


def _fill(root: Path) -> None:
    (root / "folder").mkdir()
    (root / "body.bin").write_bytes(BODY)
    (root / "empty.txt").write_bytes(b"")
    (root / "folder" / "page.txt").write_bytes(b"page")
    (root / "app.js").write_bytes(b"identity")
    (root / "app.js.br").write_bytes(b"as brotli")
    (root / "app.js.gz").write_bytes(b"as gzip")
    (root / "app").mkdir()
    (root / "app" / "index.html").write_bytes(b"<title>the app</title>")
    (root / "404.html").write_bytes(b"<title>our own 404</title>")
    for name in ODD_NAMES:
        if "//" not in name:
            (root / name).write_bytes(name.encode())


def _configuration(root: Path, certificate: Path, key: Path, stores: dict[str, S3Server]) -> str:
    text = f"""
        [server]
        bind = ["127.0.0.1:0"]
        [server.tls]
        bind = ["127.0.0.1:0"]
        certificate = "{certificate}"
        key = "{key}"
        http3 = true
        [admin]
        bind = ""
        [origins.files]
        type = "directory"
        root = "{root}"
        [[mounts]]
        path = "/files/"
        origin = "files"
        precompressed = ["br", "zstd", "gzip"]
        listing = true
        error_pages = {{ 404 = "404.html" }}
        [[mounts]]
        path = "/app/"
        origin = "files"
        index = "index.html"
        [[rules]]
        path = "/files/app*"
        cache_control = "public, max-age=31536000, immutable"
        content_security_policy = "sandbox"
        [[rules]]
        path = "/files/spa/**"
        fallback = "/files/app/index.html"
    """
    for name, store in stores.items():
        text += f"""
        [origins.{name}]
        type = "s3"
        endpoint = "{store.endpoint}"
        bucket = "{store.bucket}"
        access_key_id = "{store.access_key_id}"
        secret_access_key = "{store.secret_access_key}"
        [[mounts]]
        path = "/{name}/"
        origin = "{name}"
        listing = true
        """
    return text


@pytest.fixture(params=["HTTP/1.1", "h2c", "HTTP/2", "HTTP/1.1 over TLS", "HTTP/3"])
async def client(world: World, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    door = world.doors[request.param]
    transport = Http3Transport(int(door.url.rpartition(":")[2])) if door.http3 else None
    async with httpx.AsyncClient(
        base_url=door.url,
        http1=door.http1,
        http2=door.http2,
        verify=False,
        trust_env=False,
        transport=transport,
    ) as opened:
        yield opened
        answer = await opened.get("/files/empty.txt")
        wanted = "HTTP/2" if request.param == "h2c" else request.param.removesuffix(" over TLS")
        assert answer.http_version == wanted, "the connection must have lasted, in its version"


ORIGINS = ["files", "seaweed", "rclone"]


@pytest.mark.parametrize("origin", ORIGINS)
class TestEveryOriginEveryProtocol:
    async def test_whole(self, client: httpx.AsyncClient, origin: str) -> None:
        answer = await client.get(f"/{origin}/body.bin")
        assert answer.status_code == 200
        assert answer.content == BODY
        assert answer.headers["content-length"] == str(len(BODY))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "date" in answer.headers
        assert "server" not in answer.headers

    async def test_head_has_the_same_fields(self, client: httpx.AsyncClient, origin: str) -> None:
        got = await client.get(f"/{origin}/body.bin")
        head = await client.head(f"/{origin}/body.bin", headers={"range": "bytes=0-1"})
        assert head.status_code == 200
        assert head.content == b""
        ignored = {"date", "x-request-id"}
        assert {k: v for k, v in head.headers.items() if k not in ignored} == {
            k: v for k, v in got.headers.items() if k not in ignored
        }

    @pytest.mark.parametrize(
        ("asked", "start", "stop"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, len(BODY)),
            ("bytes=1000-70000", 1000, 70001),
            ("bytes=-300", len(BODY) - 300, len(BODY)),
            ("bytes=-99999999999999999999999999", 0, len(BODY)),
            (f"bytes={len(BODY) - 1}-99999999999999999999999", len(BODY) - 1, len(BODY)),
        ],
    )
    async def test_range(
        self, client: httpx.AsyncClient, origin: str, asked: str, start: int, stop: int
    ) -> None:
        answer = await client.get(f"/{origin}/body.bin", headers={"range": asked})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
        assert answer.content == BODY[start:stop]

    async def test_many_ranges(self, client: httpx.AsyncClient, origin: str) -> None:
        answer = await client.get(
            f"/{origin}/body.bin", headers={"range": "bytes=500-599,0-9,-5,99999999-"}
        )
        assert answer.status_code == 206
        head = f"content-type: {answer.headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
        parts = [part.get_payload(decode=True) for part in message.iter_parts()]
        assert parts == [BODY[500:600], BODY[:10], BODY[-5:]]

    @pytest.mark.parametrize(
        ("asked", "status"),
        [("bytes=1048576-", 416), ("bytes=-0", 416), ("items=0-1", 200), ("bytes=5-4", 200)],
    )
    async def test_ranges_that_lead_nowhere(
        self, client: httpx.AsyncClient, origin: str, asked: str, status: int
    ) -> None:
        answer = await client.get(f"/{origin}/body.bin", headers={"range": asked})
        assert answer.status_code == status
        if status == 416:
            assert answer.headers["content-range"] == f"bytes */{len(BODY)}"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
        else:
            assert answer.content == BODY

    async def test_conditions(self, client: httpx.AsyncClient, origin: str) -> None:
        path = f"/{origin}/body.bin"
        first = await client.get(path, headers={"range": "bytes=0-99"})
        etag, modified = first.headers["etag"], first.headers["last-modified"]

        async def status(**fields: str) -> int:
            names = {name.replace("_", "-"): value for name, value in fields.items()}
            return (await client.get(path, headers=names)).status_code

        assert await status(if_none_match=etag) == 304
        assert await status(if_none_match=f'"x", W/{etag}') == 304
        assert await status(if_none_match='"x"') == 200
        assert await status(if_modified_since=modified) == 304
        assert await status(if_modified_since=modified, if_none_match='"x"') == 200
        assert await status(if_match='"x"') == 412
        assert await status(if_match="*") == 200
        assert await status(if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
        assert await status(if_match='"x"', range="bytes=0-1") == 412
        assert await status(if_range='"x"', range="bytes=0-1") == 200
        if not etag.startswith("W/"):
            assert await status(if_match=etag) == 200
            assert await status(if_range=etag, range="bytes=0-1") == 206
            assert await status(if_range=f"W/{etag}", range="bytes=0-1") == 200

    async def test_304_carries_what_it_must(self, client: httpx.AsyncClient, origin: str) -> None:
        got = await client.get(f"/{origin}/body.bin")
        answer = await client.get(
            f"/{origin}/body.bin", headers={"if-none-match": got.headers["etag"]}
        )
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == got.headers["etag"]
        assert answer.headers.get("vary") == got.headers.get("vary")

    async def test_empty(self, client: httpx.AsyncClient, origin: str) -> None:
        path = f"/{origin}/empty.txt"
        assert (await client.get(path)).headers["content-length"] == "0"
        assert (await client.get(path, headers={"range": "bytes=0-"})).status_code == 416
        assert (await client.get(path, headers={"range": "bytes=-5"})).status_code == 200

    async def test_missing(self, client: httpx.AsyncClient, origin: str) -> None:
        answer = await client.get(f"/{origin}/missing", headers={"accept": "text/html"})
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"].startswith("text/html")

    async def test_listing(self, client: httpx.AsyncClient, origin: str) -> None:
        answer = await client.get(f"/{origin}/", headers={"accept": "application/json"})
        entries = {entry["name"]: entry for entry in answer.json()["entries"]}
        assert entries["folder"]["type"] == "directory"
        assert entries["body.bin"]["size"] == len(BODY)
        page = await client.get(f"/{origin}/folder/", headers={"accept": "text/html"})
        assert b"page.txt" in page.content
        moved = await client.get(f"/{origin}/folder")
        assert moved.status_code == 308
        assert moved.next_request is not None
        assert str(moved.next_request.url) == str(page.url)


@pytest.mark.parametrize("origin", ["files", "seaweed"])
@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names(client: httpx.AsyncClient, origin: str, name: str) -> None:
    # No file can have a name with "//", and "a/b" is another one.
    wanted = 404 if origin == "files" and "//" in name else 200
    path = httpx.URL(f"/{origin}/" + "/".join(map(_quoted, name.split("/"))))
    answer = await client.get(path)
    assert answer.status_code == wanted
    if wanted == 200:
        assert answer.content == name.encode()


def _quoted(segment: str) -> str:
    return "".join(f"%{octet:02X}" for octet in segment.encode())


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/files/../files/body.bin", 400),
        ("/files/%2e%2e/files/body.bin", 400),
        ("/files/..%5cbody.bin", 400),
        ("/files/..%2fbody.bin", 400),
        ("/files/%252e%252e/body.bin", 404),
        ("/files/./body.bin", 400),
        ("/files/body%00.bin", 400),
        ("/files/body%zz.bin", 400),
        ("/files/body%", 400),
        ("/files/%ff", 400),
        ("/files/%c0%ae%c0%ae/body.bin", 400),
        ("/files/" + "k" * 1025, 414),
        ("/files/" + "k" * 9000, 414),
        ("//files/body.bin", 404),
        ("/files//body.bin", 404),
        ("/nowhere", 404),
    ],
)
def test_targets_as_sent(world: World, target: str, status: int) -> None:
    """Through curl, which sends what it is given."""
    for extra in ([], ["--http2-prior-knowledge"]):
        said = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", *extra,
             world.program.url + target],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout  # fmt: skip
        assert int(said) == status


async def test_siblings(client: httpx.AsyncClient) -> None:
    tags = set()
    for accepted, coding, body in [
        ("br, gzip", "br", b"as brotli"),
        ("gzip, br;q=0.5", "gzip", b"as gzip"),
        ("identity", None, b"identity"),
    ]:
        request = client.stream("GET", "/files/app.js", headers={"accept-encoding": accepted})
        async with request as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert raw == body
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "accept-encoding" in answer.headers["vary"].lower()
        tags.add(answer.headers["etag"])
    assert len(tags) == 3, "each coding has a validator of its own"


async def test_rules_and_pages(client: httpx.AsyncClient) -> None:
    ruled = await client.get("/files/app.js", headers={"accept-encoding": "identity"})
    assert ruled.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert ruled.headers["content-security-policy"] == "sandbox"
    page = await client.get("/files/nothing")
    assert page.status_code == 404
    assert page.content == b"<title>our own 404</title>"
    assert "etag" not in page.headers
    application = await client.get("/files/spa/some/route")
    assert application.status_code == 200
    assert application.content == b"<title>the app</title>"
    index = await client.get("/app/app/")
    assert index.content == b"<title>the app</title>"
    moved = await client.get("/app/app")
    assert moved.headers["location"] == "./app/"


async def test_downloads(client: httpx.AsyncClient) -> None:
    plain = await client.get("/files/body.bin?download", headers={"range": "bytes=0-1"})
    assert plain.headers["content-disposition"] == 'attachment; filename="body.bin"'
    named = await client.get("/files/body.bin?download=f%C3%BCr%22%0d%0ax:y.bin")
    assert named.headers["content-disposition"] == (
        "attachment; filename=\"f_r_x:y.bin\"; filename*=UTF-8''f%C3%BCr%22x%3Ay.bin"
    )


async def test_methods(client: httpx.AsyncClient) -> None:
    options = await client.options("/files/body.bin")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND"):
        answer = await client.request(method, "/files/body.bin", content=b"x" * 1000)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_nothing_of_the_store_shows(world: World) -> None:
    """Not its name, not its address, not a traceback, in the body or the fields of any error."""
    secret = re.compile(
        rf"traceback|seaweed.*s3|127\.0\.0\.1:{world.stores['seaweed'].port}", re.IGNORECASE
    )
    for target in ("/seaweed/missing", "/seaweed/%00", "/seaweed/", "/seaweed/?after=%ff"):
        said = subprocess.run(
            ["curl", "-sS", "-i", world.program.url + target],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout  # fmt: skip
        assert not secret.search(said.replace("/seaweed/", ""))


def test_same_bytes_every_way(world: World, tmp_path: Path) -> None:
    """curl, on each protocol, writes a file whose digest is the object's."""
    wanted = hashlib.sha256(BODY).hexdigest()
    clear, tls = world.program.url, world.program.tls_url
    for options in (["--http1.1", clear], ["--http1.0", clear], ["--http2-prior-knowledge", clear],
                    ["-k", "--http2", tls], ["-k", "--http1.1", tls]):  # fmt: skip
        for origin in ORIGINS:
            *flags, base = options
            target = tmp_path / "got"
            subprocess.run(
                ["curl", "-sS", "--fail", "-o", str(target), *flags, f"{base}/{origin}/body.bin"],
                check=True, timeout=60,
            )  # fmt: skip
            assert hashlib.sha256(target.read_bytes()).hexdigest() == wanted

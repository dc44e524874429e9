"""Digest fields over real sockets: a real store, curl and an HTTP/2 client that reads trailers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.program import Headgate
from tests.server import talk
from tests.servers.s3 import SeaweedFS

BODY = bytes(range(251)) * 8192  # 2 MB
HELLO = b'{"hello": "world"}\n'  # the object of RFC 9530 §B
VERSIONS = ["--http1.1", "--http2-prior-knowledge"]
PART = 5 * 1024 * 1024

pytestmark = pytest.mark.servers


def said(body: bytes, algorithm: str = "sha256") -> str:
    digest = base64.b64encode(hashlib.new(algorithm, body).digest()).decode()
    return f"{algorithm[:3]}-{algorithm[3:]}=:{digest}:"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headgate]:
    root = tmp_path_factory.mktemp("root")
    (root / "file.bin").write_bytes(BODY)
    os.utime(root / "file.bin", (1, 784111777))  # old enough for a strong validator
    with SeaweedFS() as store:
        uploads, bucket = store.uploads, store.bucket
        uploads.put(bucket, "body.bin", BODY, checksum="sha256")
        for version in VERSIONS:
            uploads.put(bucket, f"fresh{version}.bin", BODY, checksum="sha256")
        uploads.put(bucket, "hello.json", HELLO, checksum="sha256")
        uploads.put(bucket, "hello.json.gz", gzip.compress(HELLO))
        uploads.put(bucket, "both.json", HELLO, checksum="sha256")
        uploads.put(bucket, "both.json.gz", gzip.compress(HELLO), checksum="sha256")
        uploads.put(bucket, "crc.bin", BODY, checksum="crc32c")
        uploads.put(bucket, "crc.json", HELLO, checksum="crc32c")
        parts = [bytes(PART), b"end"]
        uploads.put_multipart(bucket, "parts.bin", parts, checksum="sha256")
        with Headgate(_configuration(store, root)) as program:
            yield program


def _configuration(store: SeaweedFS, root: Path) -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = 1  # the memory of digests is each worker's own

[origins.seaweed]
type = "s3"
bucket = "{store.bucket}"
endpoint = "{store.endpoint}"
region = "{store.region}"
access_key_id = "{store.access_key_id}"
secret_access_key = "{store.secret_access_key}"

[origins.files]
type = "directory"
root = "{root}"

[[mounts]]
path = "/"
origin = "seaweed"
precompressed = ["gzip"]

[[mounts]]
path = "/files/"
origin = "files"
"""


@dataclass(frozen=True)
class Reply:
    """What curl got."""

    status: int
    fields: dict[str, str]
    body: bytes


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def curl(program: Headgate, version: str, path: str, *options: str, **fields: str) -> Reply:
    named = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    headers = [one for name in named for one in ("-H", name)]
    command = ["curl", "-sS", "-D", "/dev/stderr", "--max-time", "60", "--fail-early", version]
    done = subprocess.run(
        [*command, *options, *headers, program.url + path], capture_output=True, check=True
    )
    head, *lines = done.stderr.decode().replace("\r", "").strip().split("\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    named_fields = {name.lower(): value.strip() for name, _, value in pairs}
    return Reply(int(head.split()[1]), named_fields, done.stdout)


def test_the_stores_digest_is_the_same_on_all_answers(program: Headgate, version: str) -> None:
    whole = curl(program, version, "/body.bin")
    assert (whole.status, whole.body) == (200, BODY)
    assert whole.fields["repr-digest"] == said(BODY)
    others = [
        (200, curl(program, version, "/body.bin", "--head")),
        (206, curl(program, version, "/body.bin", Range="bytes=5-9")),
        (206, curl(program, version, "/body.bin", Range="bytes=5-9,100-200")),
        (304, curl(program, version, "/body.bin", If_None_Match=whole.fields["etag"])),
    ]
    for status, reply in others:
        assert (reply.status, reply.fields["repr-digest"]) == (status, said(BODY))
    failed = curl(program, version, "/body.bin", If_Match='"other"')
    assert (failed.status, "repr-digest" in failed.fields) == (412, False)


def test_a_checksum_of_checksums_is_no_digest(program: Headgate, version: str) -> None:
    reply = curl(program, version, "/parts.bin", "--head")
    assert (reply.status, reply.fields["content-length"]) == (200, str(PART + 3))
    assert "repr-digest" not in reply.fields


def test_a_coding_has_its_own_digest_or_none(program: Headgate, version: str) -> None:
    assert curl(program, version, "/hello.json").fields["repr-digest"] == said(HELLO)
    reply = curl(program, version, "/both.json", Accept_Encoding="gzip")
    assert gzip.decompress(reply.body) == HELLO
    assert reply.fields["repr-digest"] == said(reply.body) != said(HELLO)
    reply = curl(program, version, "/hello.json", Accept_Encoding="gzip")
    assert (reply.fields["content-encoding"], "repr-digest" in reply.fields) == ("gzip", False)


def test_content_digest(program: Headgate, version: str) -> None:
    wish = {"Want_Content_Digest": "sha-256=5, unixsum=10"}
    assert curl(program, version, "/body.bin", **wish).fields["content-digest"] == said(BODY)
    reply = curl(program, version, "/crc.json", **wish)
    assert (reply.body, reply.fields["content-digest"]) == (HELLO, said(HELLO))
    reply = curl(program, version, "/body.bin", Range="bytes=1-1000", **wish)
    assert reply.fields["content-digest"] == said(BODY[1:1001])
    reply = curl(program, version, "/body.bin", Range="bytes=1-10,50-99", **wish)
    assert reply.fields["content-digest"] == said(reply.body)
    reply = curl(program, version, "/missing", **wish)
    assert (reply.status, reply.fields["content-digest"]) == (404, said(reply.body))
    head = curl(program, version, "/body.bin", "--head", **wish)
    assert head.fields["content-digest"] == said(b"")


@pytest.mark.parametrize("path", ["/crc.bin", "/files/file.bin"])
def test_what_a_client_wants_is_computed_once(program: Headgate, version: str, path: str) -> None:
    algorithm = "sha512" if "1.1" in version else "sha256"
    wish = {"Want_Repr_Digest": f"sha-{algorithm[3:]}=1"}
    assert said(BODY, algorithm) not in curl(program, version, path, "--head").fields.values()
    assert curl(program, version, path, **wish).body == BODY
    known = curl(program, version, path, "--head", **wish)
    assert known.fields["repr-digest"] == said(BODY, algorithm)
    part = curl(program, version, path, Range="bytes=7-8", **wish)
    assert part.fields["repr-digest"] == said(BODY, algorithm)


def test_a_range_tells_it_from_the_start_when_asked(program: Headgate, version: str) -> None:
    path, wish = f"/fresh{version}.bin", {"Want_Repr_Digest": "sha-256=1"}
    reply = curl(program, version, path, Range="bytes=5-9")
    assert (reply.body, "repr-digest" in reply.fields) == (BODY[5:10], False)
    reply = curl(program, version, path, Range="bytes=5-9", **wish)
    assert (reply.body, reply.fields["repr-digest"]) == (BODY[5:10], said(BODY))
    reply = curl(program, version, path, Range="bytes=5-9")
    assert reply.fields["repr-digest"] == said(BODY)


async def test_trailers(program: Headgate) -> None:
    async with talk.http2(int(program.url.rpartition(":")[2])) as client:
        wishes = [(b"te", b"trailers"), (b"want-content-digest", b"sha-512=1")]
        stream = client.request("/body.bin", headers=[*wishes, (b"range", b"bytes=1-")])
        plain = client.request("/body.bin", headers=[wishes[1], (b"range", b"bytes=1-")])
        await client.over(stream, plain)
        answer = client.answers[stream]
        assert (answer.status, answer.ended, bytes(answer.body)) == (206, True, BODY[1:])
        assert answer.headers[b"trailer"] == b"content-digest"
        assert answer.trailers == {b"content-digest": said(BODY[1:], "sha512").encode()}
        assert client.answers[plain].body == BODY[1:]
        assert not client.answers[plain].trailers

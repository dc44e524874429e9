"""Thousands of odd requests for a few small files, and their answers without what always differs.

Two whole programs that ought to answer alike are asked by these, over HTTP/1.1, HTTP/2
and HTTP/3.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import httpx

from tests.e2e.program import Headgate
from tests.server import talk
from tests.server.http3.client import Client as Http3
from tests.server.http3.client import talking

AT_ONCE = 12
OLD = 1_700_000_000
HTTP_DATE = "Tue, 14 Nov 2023 22:13:20 GMT"

PATHS = [
    *([b"/plain.txt"] * 6),
    *([b"/app.js"] * 6),
    *(b"/empty.txt", b"/%70lain.txt", b"/plain.txt?v=17", b"/plain.txt?", b"/app.js?a=b&c=d"),
    *(b"/large.bin", b"/middle.bin", b"/folder/", b"/folder", b"/docs/", b"/docs", b"/missing"),
    *(b"/plain.txt?download", b"/plain.txt?down%6coad=x.txt", b"/plain.txt?download=a+b"),
    *(b"/.hidden", b"/a%00b", b"/a%2fb", b"/../plain.txt", b"/plain.txt/", b"//plain.txt"),
    *(b"/only.css", b"/linked.txt", b"/plain.txt?" + b"x" * 1100, b"/" + b"y" * 1100),
]
METHODS = [*(["GET"] * 14), *(["HEAD"] * 4), "OPTIONS", "POST", "DELETE"]
# Each is sent with a chance of its own; {etag} is that of /plain.txt.
FIELDS: list[tuple[float, list[tuple[str, str]]]] = [
    (0.5, [("User-Agent", "test/1.0"), ("Accept", "text/html, */*;q=0.1")]),
    (0.3, [("Cookie", "a=b; c=d"), ("Referer", "http://elsewhere.example/")]),
    (0.2, [("Sec-Fetch-Mode", "no-cors"), ("Sec-Ch-Ua", '"Browser";v="1"'), ("DNT", "1")]),
    (0.2, [("Cache-Control", "no-cache"), ("Pragma", "no-cache")]),
    (0.2, [("Accept-Encoding", "gzip, deflate, br, zstd")]),
    (0.1, [("Accept-Encoding", "br;q=0.1, gzip")]),
    (0.05, [("Accept-Encoding", "identity;q=0")]),
    (0.05, [("Accept-Encoding", "gzip"), ("Accept-Encoding", "br")]),
    (0.15, [("If-None-Match", "{etag}")]),
    (0.05, [("If-None-Match", "W/{etag}")]),
    (0.03, [("If-None-Match", '"other", {etag}')]),
    (0.03, [("If-None-Match", "*")]),
    (0.03, [("If-None-Match", '"other"')]),
    (0.03, [("If-None-Match", "nonsense")]),
    (0.08, [("If-Modified-Since", HTTP_DATE)]),
    (0.03, [("If-Modified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")]),
    (0.03, [("If-Modified-Since", "Wed, 14 Nov 2040 22:13:19 GMT")]),
    (0.03, [("If-Unmodified-Since", HTTP_DATE)]),
    (0.03, [("If-Match", "{etag}")]),
    (0.03, [("If-Match", '"other"')]),
    (0.1, [("Range", "bytes=10-19")]),
    (0.03, [("Range", "bytes=1-2, 4-5")]),
    (0.03, [("Range", "bytes=99999999-")]),
    (0.03, [("If-Range", "{etag}"), ("Range", "bytes=-5")]),
    (0.02, [("Want-Repr-Digest", "sha-256=10")]),
    (0.02, [("Want-Content-Digest", "sha-256=10")]),
    (0.02, [("TE", "trailers")]),
    (0.02, [("TE", "gzip, trailers")]),
    (0.02, [("X-Anything", "else")]),
    (0.02, [("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]),
    (0.02, [("Content-Length", "0")]),
    (0.02, [("X-Forwarded-For", "192.0.2.7"), ("Via", "1.1 elsewhere")]),
]  # fmt: skip
ONLY_HTTP1 = [
    (0.02, [("Upgrade", "websocket"), ("Connection", "upgrade")]),
    (0.02, [("Expect", "100-continue")]),
    (0.1, [("Connection", "keep-alive")]),
]
# What is below `PATHS`, and how it is served.
CONTENTS = {
    "plain.txt": b"plain text " * 50,
    "app.js": b"identity " * 100,
    "app.js.br": b"as brotli " * 10,
    "app.js.gz": b"as gzip " * 20,
    "only.css": b"body {}",
    "empty.txt": b"",
    "large.bin": bytes(range(256)) * 1024,
    "middle.bin": bytes(range(256)) * 255,
    "folder/index.html": b"<h1>index</h1>",
    "error.html": b"<h1>our own error</h1>",
}


def configuration(origin: str, prepared: str, more: str = "") -> str:
    """All but the origin's own table, and more tables; `more` stands behind that of the server."""
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = 1
{more}
[admin]
bind = "127.0.0.1:0"
[log]
format = "json"
[http]
prepared = "{prepared}"
max_target = "1KiB"
[[mounts]]
path = "/"
origin = "{origin}"
index = "index.html"
precompressed = ["br", "zstd", "gzip"]
error_pages = {{ 404 = "error.html" }}
[[mounts]]
path = "/docs/"
origin = "{origin}"
listing = true
[[rules]]
path = "/*.txt"
cache_control = "public, max-age=60"
"""


def port_of(program: Headgate) -> int:
    return int(program.url.rpartition(":")[2])


def metrics(program: Headgate) -> dict[str, float]:
    text = httpx.get(f"{program.admin_url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def hot_answers(program: Headgate) -> float:
    return metrics(program)["headgate_requests_hot_total"]


def etag_of_plain(program: Headgate) -> str:
    """Asked for three times, so that it is in memory where it may be."""
    with httpx.Client(trust_env=False, base_url=program.url) as client:
        return [client.get("/plain.txt").headers["etag"] for _ in range(3)][-1]


Request = tuple[str, bytes, list[tuple[str, str]]]


def some_requests(etag: str, count: int, *, http1: bool, seed: int) -> list[Request]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        fields = [("Host", "headgate.example")]
        for likely, some in [*FIELDS, *(ONLY_HTTP1 if http1 else ())]:
            # Most requests are plain, a few have several odd fields.
            if chance.random() < likely * chance.choice((0, 0.3, 1)):
                fields += [(name, value.format(etag=etag)) for name, value in some]
        chance.shuffle(fields)
        made.append((chance.choice(METHODS), chance.choice(PATHS), fields))
    return made


def without_what_differs(answer: bytes) -> bytes:
    """An answer, each of whose kind has an id and a date of its own."""
    found = re.search(rb"x-request-id: ([0-9a-f]{16})", answer)
    if found is not None:
        answer = answer.replace(found[1], b"(id)")
    if answer.count(b"(id)") > 1:  # the body tells it, so that its digest differs, too
        answer = re.sub(rb"-digest: .*\r", b"-digest: (digest)\r", answer)
    return re.sub(rb"(?m)^date: .*$", b"date: (date)\r", answer)


# --- HTTP/1.1 ---------------------------------------------------------------------------------


async def read_answer(reader: asyncio.StreamReader, method: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return head + await read_answer(reader, method)
    length = re.search(rb"(?m)^content-length: (\d+)\r$", head)
    if method == "HEAD" or status in (204, 304) or length is None:
        return head
    return head + await reader.readexactly(int(length[1]))


def as_http1(method: str, target: bytes, fields: list[tuple[str, str]], version: str) -> bytes:
    lines = [f"{name}: {value}\r\n".encode() for name, value in fields]
    return b"%b %b HTTP/%b\r\n" % (method.encode(), target, version.encode()) + b"".join(
        [*lines, b"\r\n"]
    )


async def ask_http1(program: Headgate, requests: list[Request], seed: int) -> list[bytes]:
    """The answers, in order; some requests wait for the answer before, some are sent ahead."""
    chance, answers = random.Random(seed), []
    at = 0
    while at < len(requests):
        async with talk.connected(port_of(program)) as (reader, writer):
            while at < len(requests):
                some = requests[at : at + chance.randint(1, AT_ONCE)]
                versions = [chance.choice(("1.1",) * 40 + ("1.0",)) for _ in some]
                if "1.0" in versions:  # closes the connection
                    some = some[: versions.index("1.0") + 1]
                pieces = [
                    as_http1(*one, version) for one, version in zip(some, versions, strict=False)
                ]
                writer.write(b"".join(pieces))
                try:
                    for method, _, _ in some:
                        async with asyncio.timeout(30):
                            answers.append(await read_answer(reader, method))
                        at += 1
                        if b"\r\nconnection: close\r\n" in answers[-1].partition(b"\r\n\r\n")[0]:
                            raise ConnectionError
                except (ConnectionError, asyncio.IncompleteReadError):
                    break
    return answers


# --- HTTP/2 and HTTP/3 ------------------------------------------------------------------------

Talking = Callable[[Headgate], AbstractAsyncContextManager[talk.H2 | Http3]]


def talking_http2(program: Headgate) -> AbstractAsyncContextManager[talk.H2 | Http3]:
    return talk.http2(port_of(program))


def talking_http3(program: Headgate) -> AbstractAsyncContextManager[talk.H2 | Http3]:
    return talking(int(program.tls_url.rpartition(":")[2]))


async def ask_multiplexed(
    program: Headgate, talking_to: Talking, requests: list[Request]
) -> list[tuple[list[tuple[bytes, bytes]], bytes, int | None]]:
    answers = []
    for start in range(0, len(requests), 600):
        async with talking_to(program) as client:
            for at in range(start, min(start + 600, len(requests)), AT_ONCE):
                streams = []
                for method, target, fields in requests[at : at + AT_ONCE]:
                    more = [
                        (name.lower().encode(), value.encode())
                        for name, value in fields
                        if name not in ("Host", "Connection", "Upgrade")
                    ]
                    streams.append(client.request(target, method, headers=more))
                await client.over(*streams, seconds=30)
                for one in streams:
                    answer = client.answers[one]
                    answers.append((list(answer.headers.items()), bytes(answer.body), answer.reset))
    return answers


async def ask_http2(
    program: Headgate, requests: list[Request]
) -> list[tuple[list[tuple[bytes, bytes]], bytes, int | None]]:
    return await ask_multiplexed(program, talking_http2, requests)


def without_what_differs_2(answer: tuple[list[tuple[bytes, bytes]], bytes, int | None]) -> object:
    headers, body, reset = answer
    own = dict(headers).get(b"x-request-id", b"(none)")
    hidden = {b"date"} | ({b"content-digest", b"repr-digest"} if own in body else set())
    shown = [
        (name, b"(hidden)" if name in hidden else value.replace(own, b"(id)"))
        for name, value in headers
    ]
    return shown, body.replace(own, b"(id)"), reset


# --- what is said of it -----------------------------------------------------------------------


def lines_of(program: Headgate, said: Sequence[str]) -> list[tuple[object, ...]]:
    """These fields of each line of the access log."""
    records = [json.loads(line) for line in program.output().splitlines() if line.startswith("{")]
    return [tuple(one.get(name) for name in said) for one in records if "request_id" in one]

"""The whole service before a store that answers as S3 does of an object uploaded in parts: a range
of it is checked by its parts, and a bit that flips is found before the range ends."""

from __future__ import annotations

import base64
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.assembly import Service
from proxy.config import Settings
from proxy.errors import ChecksumMismatch
from tests.origins.s3.fault_origin import FaultOrigin, Request, answer, error, fault_origin
from tests.server.asgi import Client, Reply

KIB = 1024
SLICE = 256 * KIB
PART = 300 * KIB
BODY = random.Random(9).randbytes(5 * PART + 77)
PARTS = [BODY[start : start + PART] for start in range(0, len(BODY), PART)]
DIGESTS = [hashlib.sha256(part).digest() for part in PARTS]
WHOLE = base64.b64encode(hashlib.sha256(b"".join(DIGESTS)).digest()).decode()
TAG = f"{hashlib.md5(b'any', usedforsecurity=False).hexdigest()}-{len(PARTS)}"


def parts_list() -> bytes:
    rows = "".join(
        f"<Part><ChecksumSHA256>{base64.b64encode(digest).decode()}</ChecksumSHA256>"
        f"<PartNumber>{number}</PartNumber><Size>{len(part)}</Size></Part>"
        for number, (part, digest) in enumerate(zip(PARTS, DIGESTS, strict=True), start=1)
    )
    return (
        f"<GetObjectAttributesResponse><ETag>{TAG}</ETag><ObjectParts>"
        f"<PartsCount>{len(PARTS)}</PartsCount><IsTruncated>false</IsTruncated>{rows}"
        f"</ObjectParts><ObjectSize>{len(BODY)}</ObjectSize></GetObjectAttributesResponse>"
    ).encode()


def as_s3(
    flips: Callable[[int], int] = lambda _: -1, *, allows: bool = True
) -> Callable[[Request], list[bytes]]:
    """Answers to a range without a checksum, to the whole with a composite one. `flips` says which
    byte comes wrong by the number of the answer with a body, from 0."""
    answered = 0

    def respond(request: Request) -> list[bytes]:
        nonlocal answered
        if "?attributes=" in request.target:
            return [answer(200, body=parts_list()) if allows else error(403, "AccessDenied")]
        headers = {"ETag": f'"{TAG}"', "Last-Modified": "Mon, 23 Nov 2026 10:00:00 GMT"}
        told = {"x-amz-checksum-sha256": f"{WHOLE}-{len(PARTS)}"}
        told["x-amz-checksum-type"] = "COMPOSITE"
        number = request.target.rpartition("?partNumber=")[2]
        if number.isdigit():
            told = {"x-amz-mp-parts-count": str(len(PARTS))}
            return [answer(206, headers | told, length=len(PARTS[int(number) - 1]))]
        if request.method == "HEAD":
            return [answer(200, headers | told, length=len(BODY))]
        body, wrong = bytearray(BODY), flips(answered)
        answered += 1
        if wrong >= 0:
            body[wrong] ^= 4
        if "range" not in request.headers:
            return [answer(200, headers | told, bytes(body))]
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(BODY)}"
        return [answer(206, headers, bytes(body[start:stop]))]

    return respond


@asynccontextmanager
async def served(store: FaultOrigin, **mount: object) -> AsyncIterator[Client]:
    settings = {
        "origins": {
            "media": {
                "type": "s3", "endpoint": store.endpoint, "bucket": "media", "region": "r",
                "access_key_id": "a", "secret_access_key": "s",
            }
        },
        "mounts": [{"path": "/", "origin": "media", "verify_ranges_up_to": PART, **mount}],
        "cache": {"memory": 32 * SLICE, "slice": SLICE, "read_ahead": 0},
    }  # fmt: skip
    service = Service(Settings.model_validate(settings))
    try:
        await service.start()
        yield Client(service.app)
    finally:
        await service.aclose()


async def ask(client: Client, start: int, stop: int) -> Reply:
    return await client.request("GET", "/film", {"range": f"bytes={start}-{stop - 1}"})


def verifications(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(one.access.verification) for one in caplog.records if hasattr(one, "access")]


RANGES = [(10, 900), (3 * SLICE + 5, 3 * SLICE + 905), (PART, 4 * PART)]


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("verify", ["when-available", "require"])
async def test_a_range_is_checked(
    span: tuple[int, int], verify: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with fault_origin(as_s3()) as store, served(store, verify=verify) as client:
        with caplog.at_level(logging.INFO, "headgate"):
            for _ in range(3):
                reply = await ask(client, *span)
                assert (reply.status, reply.body) == (206, BODY[slice(*span)])
        lists = [one for one in store.requests if "?attributes=" in one.target]
    assert verifications(caplog) == ["sha256 verified"] * 3
    assert len(lists) == 1


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("beside", [False, True])
async def test_a_bit_that_flips_once_is_found(span: tuple[int, int], beside: bool) -> None:
    """Within the range or beside it, in its part. The next request has it from the store again."""
    start, stop = span
    wrong = start // PART * PART + 1 if beside else stop - 1

    def flips(number: int) -> int:
        return wrong if number < 4 else -1

    async with fault_origin(as_s3(flips)) as store, served(store) as client:
        complete = []
        for _ in range(8):
            try:
                reply = await ask(client, start, stop)
            except ChecksumMismatch:
                assert stop - start > SLICE  # then it had begun
                assert not client.reply.complete
            else:
                assert reply.status in (206, 502)
                complete += [reply.body] if reply.status == 206 else []
    assert complete
    assert set(complete) == {BODY[start:stop]}


async def test_where_the_list_is_not_allowed_the_range_is_labelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with fault_origin(as_s3(allows=False)) as store, served(store) as client:
        with caplog.at_level(logging.INFO, "headgate"):
            for _ in range(2):
                assert (await ask(client, 10, 900)).body == BODY[10:900]
        lists = [one for one in store.requests if "?attributes=" in one.target]
    assert verifications(caplog) == ["unverified: range"] * 2
    assert len(lists) == 1


async def test_the_checksum_of_a_part_that_is_a_slice_is_not_that_of_the_object(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S3 tells it to a range that is just that part, as slices are of parts as large."""
    parts = [BODY[:SLICE], BODY[SLICE : 2 * SLICE]]
    tags = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    tag = f"{hashlib.md5(tags, usedforsecurity=False).hexdigest()}-2"

    def respond(request: Request) -> list[bytes]:
        headers = {"ETag": f'"{tag}"', "x-amz-checksum-type": "COMPOSITE"}
        number = request.target.rpartition("?partNumber=")[2]
        if number.isdigit():
            return [answer(206, headers | {"x-amz-mp-parts-count": "2"}, length=SLICE)]
        if request.method == "HEAD":
            return [answer(200, headers, length=2 * SLICE)]
        if request.headers.get("range") == f"bytes={SLICE}-{2 * SLICE - 1}":
            own = base64.b64encode(hashlib.sha256(parts[1]).digest()).decode()
            headers["Content-Range"] = f"bytes {SLICE}-{2 * SLICE - 1}/{2 * SLICE}"
            return [answer(206, headers | {"x-amz-checksum-sha256": own}, parts[1])]
        return [answer(200, headers, b"".join(parts))]

    async with fault_origin(respond) as store, served(store) as client:
        with caplog.at_level(logging.INFO, "headgate"):
            reply = await ask(client, SLICE + 5, SLICE + 900)
    assert (reply.status, reply.body) == (206, BODY[SLICE + 5 : SLICE + 900])
    assert verifications(caplog) == ["md5 verified"]

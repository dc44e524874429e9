"""The parts' checksums, as stores tell them: all of just this object's, or none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ObjectChanged, OriginFault, OriginUnavailable
from proxy.integrity.checking import Checking
from proxy.integrity.rolling import make_pool
from proxy.integrity.verified import Verified
from proxy.origins.base import Want
from proxy.origins.resuming import Resuming
from proxy.origins.s3 import attributes
from proxy.origins.s3.attributes import part_sums_of
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Algorithm, PartSums, Span
from tests.cache.stores import read
from tests.origins.s3.fault_origin import (
    BODY,
    Request,
    Respond,
    answer,
    error,
    fault_origin,
    good,
    s3_origin,
)
from tests.servers import RcloneS3, S3Server, SeaweedFS, checksums

MIB = 1024 * 1024
TAG = hashlib.md5(b"any", usedforsecurity=False).hexdigest() + "-3"
SIZES = (1500, 1500, len(BODY) - 3000)
PARTS = [BODY[:1500], BODY[1500:3000], BODY[3000:]]
DIGESTS = tuple(hashlib.sha256(part).digest() for part in PARTS)
TOLD = PartSums("sha256", SIZES, DIGESTS)


def document(
    sums: PartSums = TOLD,
    name: str | None = "ChecksumSHA256",
    root: str = "GetObjectAttributesResponse",
    **more: object,
) -> bytes:
    """An answer; `name` None tells no checksums, `more` are other elements of the list."""
    rows = ""
    for number, (size, digest) in enumerate(zip(sums.sizes, sums.digests, strict=True), start=1):
        value = base64.b64encode(digest).decode()
        checksum = f"<{name}>{value}</{name}>" if name else ""
        rows += f"<Part>{checksum}<PartNumber>{number}</PartNumber><Size>{size}</Size></Part>"
    told = {"IsTruncated": "false", "MaxParts": 1000, "PartsCount": len(sums.sizes), **more}
    elements = "".join(f"<{one}>{value}</{one}>" for one, value in told.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>{TAG}</ETag>'
        f"<ObjectParts>{elements}{rows}</ObjectParts>"
        f"<ObjectSize>{sum(sums.sizes)}</ObjectSize></{root}>"
    ).encode()


def test_what_s3_tells() -> None:
    assert part_sums_of(document(), TAG, len(BODY)) == TOLD


def test_a_root_in_lower_case() -> None:
    lower = document(root="getObjectAttributesResponse")
    assert part_sums_of(lower, TAG, len(BODY)) == TOLD


@pytest.mark.parametrize(
    ("name", "algorithm", "length"),
    [
        ("ChecksumCRC64NVME", "crc64nvme", 8),
        ("ChecksumCRC32C", "crc32c", 4),
        ("ChecksumCRC32", "crc32", 4),
        ("ChecksumSHA1", "sha1", 20),
    ],
)
def test_each_algorithm(name: str, algorithm: Algorithm, length: int) -> None:
    sums = PartSums(algorithm, SIZES, tuple(digest[:length] for digest in DIGESTS))
    assert part_sums_of(document(sums, name), TAG, len(BODY)) == sums
    assert part_sums_of(document(TOLD, name), TAG, len(BODY)) is None  # of another length


@pytest.mark.parametrize(
    "body",
    [
        document(name=None),  # of an object with a checksum of the whole
        document(IsTruncated="true"),
        document(PartSums("sha256", SIZES[:2], DIGESTS[:2])),
        document(PartSums("sha256", (*SIZES, 0), (*DIGESTS, DIGESTS[0]))),
        document().replace(TAG.encode(), b"another-3"),
        document().replace(b"<PartNumber>2<", b"<PartNumber>9<"),
        document().replace(b"<Size>1500<", b"<Size>1501<"),
        document().replace(b"<Size>1500</Size>", b"", 1),
        document().replace(b"<Size>1500<", b"<Size>a<"),
        document().replace(b"<ChecksumSHA256>", b"<ChecksumSHA256>*", 1),
        document().replace(b"<ObjectSize>4096<", b"<ObjectSize>4097<"),
        b"<GetObjectAttributesResponse/>",
    ],
)
def test_what_is_not_all_of_this_object(body: bytes) -> None:
    assert part_sums_of(body, TAG, len(BODY)) is None


@pytest.mark.parametrize(
    "body", [b"", b"<a>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff<a/>", b"no"]
)
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(OriginFault):
        part_sums_of(body, TAG, len(BODY))


@given(st.binary(max_size=60), st.integers(0, 900))
def test_a_list_with_a_damaged_spot_is_the_same_none_or_a_fault(spot: bytes, at: int) -> None:
    whole = document()
    try:
        found = part_sums_of(whole[:at] + spot + whole[at + len(spot) :], TAG, len(BODY))
    except OriginFault:
        return
    assert found is None or found.sizes == SIZES


# --- asked of a store -------------------------------------------------------------------------


def telling(list_: bytes, body: bytes = BODY, more: dict[str, str] | None = None) -> Respond:
    """A store with one object, uploaded in parts, that answers this to the question about them."""
    headers = {"ETag": f'"{TAG}"', **(more or {})}

    def respond(request: Request) -> list[bytes]:
        number = request.target.rpartition("partNumber=")[2]
        if number != request.target:
            parts = {**headers, "x-amz-mp-parts-count": str(len(SIZES))}
            return [answer(206, parts, length=SIZES[int(number) - 1])]
        return [list_ if "attributes" in request.target else good(request, headers, body)]

    return respond


async def told(respond: Respond) -> PartSums | None:
    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a b")
        try:
            return await opened.part_sums()
        finally:
            await opened.aclose()
            asked = store.requests[1]
            assert asked.target == "/media/a%20b?attributes="
            assert "ObjectParts" in asked.headers["x-amz-object-attributes"]


async def test_one_question() -> None:
    assert await told(telling(answer(200, body=document()))) == TOLD


async def test_a_list_of_many_parts() -> None:
    digests = tuple(hashlib.sha256(bytes([one])).digest() for one in range(256)) * 3
    many = PartSums("sha256", (6,) * 682 + (4,), digests[:683])
    assert await told(telling(answer(200, body=document(many)))) == many


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "InvalidRequest"),
        error(403, "AccessDenied"),
        error(404, "NoSuchKey"),
        error(405, "MethodNotAllowed"),
        error(501, "NotImplemented"),
        answer(200, body=BODY),  # knows no such request: sends the object
        answer(200, body=document(name=None)),
    ],
)
async def test_a_store_that_does_not_tell(reply: bytes) -> None:
    assert await told(telling(reply)) is None


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (error(503, "SlowDown"), OriginUnavailable),
        (answer(412), ObjectChanged),
        (answer(302, {"Location": "http://127.0.0.1:1/"}), OriginFault),
        (answer(200, body=b"<a>"), OriginFault),
    ],
)
async def test_a_store_that_fails(reply: bytes, fault: type[OriginFault]) -> None:
    with pytest.raises(fault):
        await told(telling(reply))


async def test_no_more_is_read_of_an_answer_than_a_list_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attributes, "MAX_ANSWER", 300)
    with pytest.raises(OriginFault):
        await told(telling(answer(200, body=document())))


async def test_an_object_that_was_uploaded_at_once_is_not_asked_about() -> None:
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        opened = await origin.open("a")
        assert await opened.part_sums() is None
        assert len(store.requests) == 1
        await opened.aclose()


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_range_of_what_a_store_sends_is_checked_by_its_parts(damaged: bool) -> None:
    """S3's own answers, as far as they matter: to a range it tells no checksum, to the whole one
    of type COMPOSITE."""
    body = bytearray(BODY)
    body[1700] ^= damaged
    composite = base64.b64encode(hashlib.sha256(b"".join(DIGESTS)).digest()).decode()
    more = {"x-amz-checksum-sha256": f"{composite}-3", "x-amz-checksum-type": "COMPOSITE"}
    respond = telling(answer(200, body=document()), bytes(body), more)
    with make_pool() as pool:
        async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
            layer = Verified(Resuming(origin), Checking("require", pool, read_through=2000))
            opened = await layer.open("a", Want(first=ByteRange(2000, 2009)))
            if damaged:
                with pytest.raises(OriginFault, match="from byte 1500 on"):
                    await read(opened, Span(2000, 2010))
            else:
                assert await read(opened, Span(2000, 2010)) == BODY[2000:2010]
                assert str(opened.verdict) == "sha256 verified"
            ranges = [one.headers.get("range") for one in store.requests]
            assert ranges[-1] == "bytes=1500-2999"


@pytest.mark.servers
@pytest.mark.parametrize("checksum", ["sha256", "crc32c"])
async def test_real_stores_that_tell_none(
    seaweedfs: SeaweedFS, rclone: RcloneS3, checksum: checksums.Algorithm
) -> None:
    """SeaweedFS lists the parts without their checksums, rclone knows no such request."""
    for server in (seaweedfs, rclone):
        assert await of_a_real_store(server, checksum) is None


async def of_a_real_store(server: S3Server, checksum: checksums.Algorithm) -> PartSums | None:
    key = f"parts/{secrets.token_hex(8)} +%"
    parts = [bytes(5 * MIB), bytes(17)]
    await asyncio.to_thread(
        server.uploads.put_multipart, server.bucket, key, parts, checksum=checksum
    )
    async with s3_origin(
        server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        first_byte_timeout=60,
    ) as origin:
        opened = await origin.open(key)
        try:
            return await opened.part_sums()
        finally:
            await opened.aclose()

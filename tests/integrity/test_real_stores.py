"""Objects of real stores, uploaded with every kind of checksum, read through the whole stack."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Literal

import pytest

from proxy.assembly import Service
from proxy.config import Settings
from proxy.errors import ChecksumMismatch
from proxy.integrity.checking import Checking
from proxy.integrity.judging import VerifiedObject
from proxy.integrity.rolling import make_pool
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Verified
from proxy.origins.base import WHOLE, Want
from proxy.origins.resuming import Resuming
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Span
from tests.origins.s3.fault_origin import s3_origin
from tests.server.asgi import Client
from tests.servers import RcloneS3, S3Server, SeaweedFS
from tests.servers.checksums import Algorithm

pytestmark = pytest.mark.servers

MIB = 1024 * 1024
BODY = random.Random(7).randbytes(10 * MIB + 999)
EQUAL = [BODY[: 5 * MIB], BODY[5 * MIB : 10 * MIB], BODY[10 * MIB :]]
# Larger than the pieces that SeaweedFS stores an object in.
UNEQUAL = [BODY[: 5 * MIB], BODY[5 * MIB :]]


@asynccontextmanager
async def layer_over(server: S3Server) -> AsyncIterator[Verified]:
    async with s3_origin(
        server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        first_byte_timeout=60,
        stall_timeout=60,
        max_connections=3,
    ) as origin:
        with make_pool() as pool:
            yield Verified(Resuming(origin), Checking("when-available", pool))


async def read(layer: Verified, key: str, want: Want = WHOLE) -> tuple[bytes, Verdict]:
    opened = await layer.open(key, want)
    given = bytearray()
    try:
        await take(opened, given)
        return bytes(given), opened.verdict
    finally:
        await opened.aclose()


async def take(opened: VerifiedObject, given: bytearray) -> None:
    async with aclosing(opened.read(Span(0, opened.representation.size))) as buffers:
        async for buffer in buffers:
            given += buffer


def new_key() -> str:
    return f"integrity/{secrets.token_hex(8)}"


@pytest.mark.parametrize("algorithm", ["crc64nvme", "crc32c", "crc32", "sha256", "sha1", None])
async def test_uploaded_at_once(seaweedfs: SeaweedFS, algorithm: Algorithm | None) -> None:
    key, body = new_key(), BODY[:MIB]
    put = seaweedfs.uploads.put
    await asyncio.to_thread(put, seaweedfs.bucket, key, body, checksum=algorithm)
    async with layer_over(seaweedfs) as layer:
        for want in (WHOLE, Want(first=ByteRange(0, None))):
            got, verdict = await read(layer, key, want)
            assert got == body
            assert verdict == Verdict("verified", algorithm or "md5", bytes=len(body))


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("crc64nvme", "FULL_OBJECT"),
        ("crc32c", "FULL_OBJECT"),
        ("crc32c", "COMPOSITE"),
        ("crc32", "COMPOSITE"),
        ("sha256", "COMPOSITE"),
        ("sha1", "COMPOSITE"),
        (None, "COMPOSITE"),  # the ETag is a composite MD5
    ],
)
@pytest.mark.parametrize("parts", [EQUAL, UNEQUAL])
async def test_uploaded_in_parts(
    seaweedfs: SeaweedFS,
    algorithm: Algorithm | None,
    kind: Literal["FULL_OBJECT", "COMPOSITE"],
    parts: list[bytes],
) -> None:
    key = new_key()
    put = seaweedfs.uploads.put_multipart
    await asyncio.to_thread(
        put, seaweedfs.bucket, key, parts, checksum=algorithm, checksum_type=kind
    )
    async with layer_over(seaweedfs) as layer:
        for _ in range(2):
            got, verdict = await read(layer, key)
            assert got == BODY
            assert verdict == Verdict("verified", algorithm or "md5", bytes=len(BODY))


@pytest.mark.parametrize("size", [1000, MIB])
async def test_a_store_whose_checksum_is_wrong(rclone: RcloneS3, size: int) -> None:
    """rclone keeps the checksum that the uploader names, right or wrong."""
    key, body = new_key(), BODY[:size]
    wrong = base64.b64encode(bytes(32)).decode()
    await asyncio.to_thread(
        rclone.uploads.client.put_object,
        Bucket=rclone.bucket, Key=key, Body=body, ChecksumSHA256=wrong,
    )  # fmt: skip
    async with layer_over(rclone) as layer:
        opened = await layer.open(key)
        given = bytearray()
        with pytest.raises(ChecksumMismatch):
            await take(opened, given)
        await opened.aclose()
        assert len(given) < size
        assert size > 1000 or not given
        assert str(opened.verdict) == "sha256 mismatch"


async def test_no_layer_of_the_service_hides_part_sizes(
    seaweedfs: SeaweedFS, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_key()
    put = seaweedfs.uploads.put_multipart
    await asyncio.to_thread(put, seaweedfs.bucket, key, UNEQUAL, checksum="sha256")
    table = {
        "type": "s3",
        "endpoint": seaweedfs.endpoint,
        "bucket": seaweedfs.bucket,
        "access_key_id": seaweedfs.access_key_id,
        "secret_access_key": seaweedfs.secret_access_key,
        "region": seaweedfs.region,
        "first_byte_timeout": "60s",
    }
    service = Service(Settings.model_validate({"origins": {"media": table}}))
    try:
        await service.start()
        with caplog.at_level(logging.INFO, "headgate"):
            reply = await Client(service.app).get(f"/{key}")
    finally:
        await service.aclose()
    assert reply.body == BODY
    [record] = [one.access for one in caplog.records if hasattr(one, "access")]
    assert record.verification == "sha256 verified"

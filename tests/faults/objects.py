"""The objects that are read under faults: of all sizes, with every kind of checksum.

Their bytes are slices of one block of noise, so that what is right costs no memory to know.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log

from awscrt import checksums

from tests.servers import Uploads

KIB, MIB = 1024, 1024 * 1024
LARGEST = 64 * MIB
_PART = 5 * MIB  # S3's least

# One request: checked as a whole by the store's own value. "md5": only the entity tag is one.
WHOLE_KINDS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5")
# In parts: algorithm and S3's type of the value.
PARTS_KINDS = (
    "crc64nvme-FULL_OBJECT",
    "crc32c-FULL_OBJECT",
    "crc32c-COMPOSITE",
    "sha256-COMPOSITE",
)
# Turns each byte into another one.
_OTHER = bytes(byte ^ 0x55 for byte in range(256))


@functools.cache
def noise() -> memoryview:
    """The block that all bodies are taken from."""
    return memoryview(random.Random("faults").randbytes(LARGEST + MIB))


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: where its bytes are in the noise, and the checksum it was put with."""

    key: str
    start: int
    size: int
    kind: str

    @property
    def body(self) -> memoryview:
        return noise()[self.start : self.start + self.size]

    @property
    def other(self) -> bytes:
        """Another version of the same size."""
        return bytes(self.body).translate(_OTHER)

    @property
    def is_whole(self) -> bool:
        """Whether one value covers all of its bytes."""
        return not self.kind.endswith("COMPOSITE")


def draw_things(
    chance: random.Random, prefix: str, count: int, largest: int = LARGEST
) -> list[Thing]:
    """`count` objects: the least, the largest, and between them mostly small ones."""
    sizes = [1, largest, *_sizes(chance, count - 2, largest)]
    return [
        Thing(f"{prefix}{number:04}", chance.randrange(MIB), size, _kind(chance, size))
        for number, size in enumerate(sizes)
    ]


def _sizes(chance: random.Random, count: int, largest: int) -> Iterator[int]:
    """By thirds of the logarithm: up to 64 KiB most, up to 1 MiB many, above that few."""
    bands = [(1, 64 * KIB), (64 * KIB, min(MIB, largest)), (min(MIB, largest), largest)]
    for _ in range(count):
        low, high = chance.choices(bands, weights=(60, 25, 15))[0]
        yield round(exp(chance.uniform(log(low), log(high))))


def _kind(chance: random.Random, size: int) -> str:
    in_parts = size > _PART and chance.random() < 0.5
    return chance.choice(PARTS_KINDS if in_parts else WHOLE_KINDS)


def put_thing(uploads: Uploads, bucket: str, thing: Thing) -> None:
    """Puts it as it should be, in place of whatever is there."""
    body = bytes(thing.body)
    algorithm, _, kind = thing.kind.partition("-")
    if kind:
        parts = [body[at : at + _PART] for at in range(0, len(body), _PART)]
        _put_in_parts(uploads, {"Bucket": bucket, "Key": thing.key}, parts, algorithm, kind)
    else:
        promised = {} if algorithm == "md5" else _promise(algorithm, body)
        uploads.client.put_object(Bucket=bucket, Key=thing.key, Body=body, **promised)


def _put_in_parts(
    uploads: Uploads, target: dict[str, str], parts: Sequence[bytes], algorithm: str, kind: str
) -> None:
    client = uploads.client
    upload = client.create_multipart_upload(
        **target, ChecksumAlgorithm=algorithm.upper(), ChecksumType=kind
    )
    target = {**target, "UploadId": upload["UploadId"]}
    done = []
    for number, part in enumerate(parts, start=1):
        promised = _promise(algorithm, part)
        answer = client.upload_part(**target, PartNumber=number, Body=part, **promised)
        done.append({"PartNumber": number, "ETag": answer["ETag"], **promised})
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": done}, ChecksumType=kind)


def _promise(algorithm: str, body: bytes) -> dict[str, str]:
    """The store checks it, so a wrong one would not be taken."""
    return {f"Checksum{algorithm.upper()}": base64.b64encode(digest(algorithm, body)).decode()}


def digest(algorithm: str, body: bytes) -> bytes:
    """A checksum as S3 writes it, before base64."""
    if algorithm in ("sha1", "sha256"):
        return hashlib.new(algorithm, body).digest()
    width = 8 if algorithm == "crc64nvme" else 4
    value: int = getattr(checksums, algorithm)(body)
    return value.to_bytes(width, "big")

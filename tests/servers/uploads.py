"""Puts objects into an S3 server with the metadata and the checksums a test asks for.

Synchronous on purpose: fixtures and benchmark scripts use it before anything runs. In an
asynchronous test call it by `asyncio.to_thread` when something else must go on meanwhile.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Self

import botocore.exceptions
import botocore.session
from botocore.config import Config

from tests.servers.checksums import Algorithm, digest

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


class Uploads:
    """A small S3 client for tests. `patience` is how often a failed request is tried again."""

    def __init__(
        self,
        endpoint: str,
        access_key_id: str,
        secret_access_key: str,
        region: str = "us-east-1",
        *,
        patience: int = 4,
    ) -> None:
        self.client: Any = botocore.session.Session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": patience + 1},
                connect_timeout=5,
                read_timeout=60,
                proxies={},
            ),
        )

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        checksum: Algorithm | None = None,
        content_type: str | None = None,
        cache_control: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        content_disposition: str | None = None,
        expires: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        """Puts one object in one request; gives its ETag as the server wrote it."""
        fields = _fields(
            ContentType=content_type,
            CacheControl=cache_control,
            ContentEncoding=content_encoding,
            ContentLanguage=content_language,
            ContentDisposition=content_disposition,
            Expires=expires,
            Metadata=metadata,
        )
        answer = self.client.put_object(
            Bucket=bucket, Key=key, Body=body, **fields, **_checksum(checksum, body)
        )
        return str(answer["ETag"])

    def put_multipart(
        self,
        bucket: str,
        key: str,
        parts: Iterable[bytes],
        *,
        checksum: Algorithm | None = None,
        checksum_type: ChecksumType = "COMPOSITE",
        content_type: str | None = None,
        cache_control: str | None = None,
    ) -> str:
        """Puts one object in parts (each but the last at least 5 MiB); gives its ETag.

        `parts` may be a generator: one part is held in memory at a time. FULL_OBJECT is for
        crc32, crc32c and crc64nvme; sha1 and sha256 can only be COMPOSITE.
        """
        fields = _fields(ContentType=content_type, CacheControl=cache_control)
        if checksum is not None:
            fields |= {"ChecksumAlgorithm": checksum.upper(), "ChecksumType": checksum_type}
        target = {"Bucket": bucket, "Key": key}
        upload = self.client.create_multipart_upload(**target, **fields)
        target["UploadId"] = upload["UploadId"]
        done = []
        for number, body in enumerate(parts, start=1):
            promised = _checksum(checksum, body)
            answer = self.client.upload_part(**target, PartNumber=number, Body=body, **promised)
            done.append({"PartNumber": number, "ETag": answer["ETag"], **promised})
        kind = {"ChecksumType": checksum_type} if checksum is not None else {}
        answer = self.client.complete_multipart_upload(
            **target, MultipartUpload={"Parts": done}, **kind
        )
        return str(answer["ETag"])

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    def create_bucket(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket)

    def enable_versions(self, bucket: str) -> None:
        self.client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )

    def takes_objects(self, bucket: str) -> bool:
        """Whether the server is up so far that an object can be put, read back and deleted."""
        try:
            self.put(bucket, "probe", b"probe")
            self.client.head_object(Bucket=bucket, Key="probe")
            self.delete(bucket, "probe")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return False
        return True

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _fields(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _checksum(algorithm: Algorithm | None, body: bytes) -> dict[str, str]:
    """The value, computed here: the client can do CRC32C and CRC64NVME only with an extra."""
    if algorithm is None:
        return {}
    value = base64.b64encode(digest(algorithm, body)).decode()
    return {f"Checksum{algorithm.upper()}": value}

"""What an S3 origin is made from: plain values, read by nobody but this package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """A bucket, how to reach it, and whose credentials to use. Times are in seconds.

    Attributes:
        bucket: its name, or the ARN of an access point.
        prefix: put before every key, as it is: end it in "/" to mean a folder.
        endpoint: a URL such as "http://127.0.0.1:8333", or None for AWS.
        region: None takes it from the environment or the profile, else us-east-1.
        addressing: "path" (host/bucket/key), "virtual" (bucket.host/key), or None: virtual on
            AWS, path elsewhere.
        access_key_id, secret_access_key, session_token: fixed credentials; without them the
            chain looks in the environment, files, web identity, container and instance.
        profile: the profile of the shared files to use, or None for the default one.
        unsigned: asks without credentials, for public buckets.
        connect_timeout: to resolve the name, connect and shake hands. A healthy one takes
            milliseconds, a lost SYN is sent again after 1 s.
        first_byte_timeout: from the connection to the head of the answer.
        stall_timeout: between two pieces of a body, counted only while somebody reads.
        max_connections: how many requests run at once; more wait up to `slot_timeout`.
        slot_timeout: after it a request that found no free connection is given up (503).
        ca_bundle: a PEM file with the authorities to trust, or None for the system's.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    addressing: Literal["path", "virtual"] | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    unsigned: bool = False
    connect_timeout: float = 3.0
    first_byte_timeout: float = 10.0
    stall_timeout: float = 20.0
    max_connections: int = 128
    slot_timeout: float = 5.0
    ca_bundle: str | None = None

"""AWS Signature Version 4 for requests without a body. Pure: the time is an argument.

Written out because a GET signed by botocore's S3SigV4Auth costs as much CPU as the rest of the
request. The tests hold every Authorization against botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(NamedTuple):
    """What a request is signed with. Has no readable form, so that no log can hold one."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Nothing of the secret, not even its length."""
        return "Keys(…)"


def encode_key(key: str) -> str:
    """A key as it stands in a request's path: percent-encoded once, "/" kept.

    SigV4 demands exactly this form: unreserved characters as they are, all others in upper-case
    hexadecimal. Raises UnicodeEncodeError for a key that is no valid text.
    """
    return quote(key, safe="/~")


def encode_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Query parameters in SigV4's canonical form, which is also sent: sorted, encoded."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in parameters)
    return "&".join(f"{name}={value}" for name, value in pairs)


class Signer:
    """Signs for one region and service; keeps the signing key of the day and the second's text."""

    def __init__(self, region: str, service: str = "s3") -> None:
        self._region = region
        self._service = service
        self._day_of_key = ("", "")
        self._key = b""
        self._second = -1
        self._timestamp = ""

    def sign(
        self, keys: Keys, method: str, target: str, headers: Mapping[str, str], now: float
    ) -> dict[str, str]:
        """The headers to send: those given (names in lower case, "host" among them) and ours.

        `target` is the path and, after "?", the query, both encoded by this module. Every header
        given is signed, so give only those that nobody on the way rewrites.
        """
        timestamp = self._timestamp_of(int(now))
        signed = {
            **headers,
            "x-amz-content-sha256": SHA256_OF_NOTHING,
            "x-amz-date": timestamp,
        }
        if keys.session_token:
            signed["x-amz-security-token"] = keys.session_token
        names = sorted(signed)
        path, _, query = target.partition("?")
        lines = [f"{name}:{' '.join(signed[name].split())}\n" for name in names]
        request = (
            f"{method}\n{path}\n{query}\n{''.join(lines)}\n{';'.join(names)}\n{SHA256_OF_NOTHING}"
        )
        day = timestamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{digest}"
        key = self._key_of(day, keys.secret_access_key)
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return signed

    def _timestamp_of(self, second: int) -> str:
        if second != self._second:
            self._second = second
            self._timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return self._timestamp

    def _key_of(self, day: str, secret: str) -> bytes:
        """The signing key: four HMACs that change once a day, or with the credentials."""
        if self._day_of_key != (day, secret):
            key = b"AWS4" + secret.encode()
            for step in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._day_of_key, self._key = (day, secret), key
        return self._key

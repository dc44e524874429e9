"""From a refusal to a fault: the store's status, its error code and its Retry-After. Pure.

What S3 says of an error is a small XML document. Only short names are taken from it (a code, a
request id, a region), by pattern and not by a parser, since it may be cut off or be no XML at all;
nothing of it is for clients.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import (
    Fault,
    Forbidden,
    NotFound,
    OriginFault,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    TargetTooLong,
)
from proxy.semantics.dates import parse_http_date

# S3's error documents have 300 to 700 bytes.
MAX_ERROR_BODY = 16 * 1024
# A store that names a longer pause is asked again after a minute anyway.
MAX_RETRY_AFTER = 60

_ELEMENT = re.compile(rb"<(Code|RequestId|Region)>\s*([A-Za-z0-9._:/+=-]{1,128})\s*</")

# Faults by S3's own code, where it says more than the status does.
_BY_CODE: dict[str, type[Fault]] = {
    "NoSuchKey": NotFound,
    "NoSuchVersion": NotFound,
    "NoSuchBucket": OriginFault,
    "KeyTooLongError": TargetTooLong,
    "InvalidObjectState": OriginFault,  # archived: 403, but no question of who asks
    "SlowDown": OriginUnavailable,
    "ServiceUnavailable": OriginUnavailable,
    "InternalError": OriginUnavailable,
    "RequestTimeout": OriginUnavailable,
}
# Those that find fault with our signature or credentials; some come as 400.
REFUSALS = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
# Those that newer credentials may mend.
STALE = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"})

_BY_STATUS: dict[int, type[Fault]] = {
    404: NotFound,
    408: OriginUnavailable,
    429: OriginUnavailable,
    500: OriginUnavailable,
    503: OriginUnavailable,
    504: OriginTimeout,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not the object: its status and what the store said of it."""

    status: int
    code: str = ""
    request_id: str = ""
    region: str = ""
    retry_after: int | None = None

    def __str__(self) -> str:
        """For the log: no more than names and numbers."""
        words = [f"the store answered {self.status}", self.code]
        if self.request_id:
            words.append(f"(request id {self.request_id})")
        return " ".join(word for word in words if word)


def refusal_of(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Refusal:
    """Reads a refusal from its head and as much of its body as was read. `now`: wall clock."""
    found = {name: value.decode("ascii") for name, value in reversed(_ELEMENT.findall(body))}
    return Refusal(
        status,
        code=found.get(b"Code", ""),
        request_id=found.get(b"RequestId", "") or _plain(headers.get("x-amz-request-id", "")),
        region=found.get(b"Region", "") or _plain(headers.get("x-amz-bucket-region", "")),
        retry_after=parse_retry_after(headers.get("retry-after"), now),
    )


def fault_of(refusal: Refusal, *, signed: bool) -> Fault:
    """The fault to raise. `signed`: whether the request bore our credentials."""
    status, code, detail = refusal.status, refusal.code, str(refusal)
    if 300 <= status < 400:
        # Never followed: it may name any host (and then that host's bytes would be the object).
        where = f", region {refusal.region}" if refusal.region else ""
        return OriginFault(f"{detail}: a redirect{where}; check region and endpoint")
    kind = _BY_CODE.get(code)
    if kind is None and (status in (401, 403) or code in REFUSALS):
        return _refused(refusal, detail, signed=signed)
    kind = kind or _BY_STATUS.get(status, OriginFault)
    if kind is OriginUnavailable and refusal.retry_after is not None:
        return OriginUnavailable(detail, retry_after=refusal.retry_after)
    return kind(detail)


def _refused(refusal: Refusal, detail: str, *, signed: bool) -> Fault:
    if not signed:
        return Forbidden(detail)
    if refusal.code in ("", "AccessDenied"):
        detail += "; without s3:ListBucket a missing key looks forbidden"
    return OriginRefused(detail)


def parse_retry_after(value: str | None, now: float) -> int | None:
    """Retry-After (RFC 9110 §10.2.3) in seconds, at most a minute; None if absent or malformed."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_RETRY_AFTER)
    moment = parse_http_date(text)
    return None if moment is None else min(max(0, math.ceil(moment - now)), MAX_RETRY_AFTER)


def _plain(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z0-9._:/+=-]{1,128}", value) else ""

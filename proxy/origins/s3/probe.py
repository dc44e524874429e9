"""The first request: is there such a bucket, and do the credentials work? In one line if not.

It asks for one byte of an object that is hardly there, since GetObject is the one permission that
is surely needed (HEAD would give no error code, a listing may be forbidden). "No such key" and
"access denied" both prove that bucket and signature are good.
"""

from __future__ import annotations

import logging

from proxy.errors import Fault, StartError
from proxy.origins.s3.client import Client
from proxy.origins.s3.faults import Refusal, fault_of
from proxy.origins.s3.signing import encode_key

_log = logging.getLogger(__name__)

_PROBE = ".headgate-probe"

# What is wrong, by S3's code, and what to mend.
_BY_CODE = {
    "NoSuchBucket": "there is no such bucket: check bucket and endpoint",
    "InvalidBucketName": "this is no bucket's name: check bucket",
    "InvalidAccessKeyId": "the store does not know the access key: check access_key_id",
    "SignatureDoesNotMatch": (
        "the signature is wrong: check secret_access_key (and region, if that is right)"
    ),
    "RequestTimeTooSkewed": "the clocks differ too much: set this machine's clock",
    "ExpiredToken": "the credentials have expired: renew session_token or the profile's session",
    "InvalidToken": "the session token is not valid: check session_token",
}
_OTHER_REGION = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)


async def check_store(client: Client, where: str, prefix: str, *, signed: bool) -> None:
    """Raises StartError, which begins with `where`, if objects can't be read; waits as one request.

    A store that says it is busy is there, so that is only logged.
    """
    try:
        answer = await client.ask("GET", encode_key(prefix + _PROBE), {"range": "bytes=0-0"})
    except Fault as fault:
        raise StartError(f"{where}: {fault.detail}: check endpoint") from None
    if answer.status in (200, 206, 416):
        answer.close()
        return
    refusal = await client.refusal(answer)
    wrong = what_is_wrong(refusal, signed=signed)
    if wrong is not None:
        raise StartError(f"{where}: {wrong}")
    if refusal.status == 503:
        _log.warning("%s: %s; starting all the same", where, refusal)


def what_is_wrong(refusal: Refusal, *, signed: bool) -> str | None:
    """What keeps objects from being read, and the setting to mend; None if nothing does."""
    status, code = refusal.status, refusal.code
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in _OTHER_REGION or 300 <= status < 400:
        where = f"region {refusal.region}" if refusal.region else "another region or host"
        return f"the store says to ask {where} ({status} {code}): check region and endpoint"
    if status == 503 or code == "NoSuchKey" or (status == 403 and code == "AccessDenied"):
        return None
    if status == 403 and not signed:
        return None  # as public buckets behind other front ends put it
    if status == 404:
        return "it answers 404, but not as S3 does: check endpoint and addressing"
    return f"{fault_of(refusal, signed=signed).detail}: check endpoint, region and credentials"

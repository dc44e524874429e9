"""What start says, in one line, of a store that can't serve."""

from __future__ import annotations

import pytest

from proxy.errors import StartError
from proxy.origins.s3.faults import Refusal
from proxy.origins.s3.probe import what_is_wrong
from tests.origins.s3.fault_origin import HANG, More, fault_origin, s3_origin
from tests.servers import S3Server, SeaweedFS


@pytest.mark.parametrize(
    ("refusal", "signed", "text"),
    [
        (Refusal(404, "NoSuchKey"), True, None),
        (Refusal(403, "AccessDenied"), True, None),
        (Refusal(403, "AccessDenied"), False, None),
        (Refusal(403), False, None),
        (Refusal(503, "SlowDown"), True, None),
        (Refusal(503), True, None),
        (Refusal(403), True, "403"),
        (Refusal(404), True, "not as S3 does"),
        (Refusal(404, "NoSuchBucket"), True, "no such bucket: check bucket"),
        (Refusal(403, "InvalidAccessKeyId"), True, "access_key_id"),
        (Refusal(403, "SignatureDoesNotMatch"), True, "secret_access_key"),
        (Refusal(403, "RequestTimeTooSkewed"), True, "clock"),
        (Refusal(400, "ExpiredToken"), True, "session_token"),
        (Refusal(301, "PermanentRedirect", region="eu-west-1"), True, "region eu-west-1"),
        (Refusal(400, "AuthorizationHeaderMalformed", region="r9"), True, "region r9"),
        (Refusal(302), True, "region and endpoint"),
        (Refusal(400, "InvalidArgument"), True, "InvalidArgument"),
        (Refusal(500), True, "500"),
        (Refusal(200), True, "200"),
    ],
)
def test_what_is_wrong(refusal: Refusal, signed: bool, text: str | None) -> None:
    said = what_is_wrong(refusal, signed=signed)
    if text is None:
        assert said is None
    else:
        assert said is not None
        assert text in said


def options_of(server: S3Server) -> More:
    return {
        "region": server.region,
        "bucket": server.bucket,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }


@pytest.mark.servers
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"bucket": "no-such-bucket"}, "'no-such-bucket'.*no such bucket: check bucket"),
        ({"access_key_id": "AKWRONG"}, "does not know the access key: check access_key_id"),
        ({"secret_access_key": "very-wrong"}, "signature is wrong: check secret_access_key"),
    ],
)
async def test_real_refusals(seaweedfs: SeaweedFS, wrong: More, text: str) -> None:
    with pytest.raises(StartError, match=text) as raised:
        async with s3_origin(seaweedfs.endpoint, **(options_of(seaweedfs) | wrong)):
            pass
    said = str(raised.value)
    assert "\n" not in said
    assert "very-wrong" not in said
    assert seaweedfs.secret_access_key not in said


@pytest.mark.servers
async def test_a_good_start(seaweedfs: SeaweedFS) -> None:
    options = options_of(seaweedfs) | More(prefix="p/")
    async with s3_origin(seaweedfs.endpoint, **options):
        pass


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("http://127.0.0.1:1", "Connection refused: check endpoint"),
        ("http://no-such-host.invalid", "can't be resolved: check endpoint"),
    ],
)
async def test_nobody_there(endpoint: str, text: str) -> None:
    with pytest.raises(StartError, match=text):
        async with s3_origin(endpoint):
            pass


async def test_a_store_that_does_not_answer() -> None:
    async with fault_origin() as store:
        store.probe = [HANG]
        with pytest.raises(StartError, match=r"did not answer in 0\.4 s"):
            async with s3_origin(store.endpoint, connect_timeout=0.2, first_byte_timeout=0.2):
                pass


@pytest.mark.servers
async def test_no_tls_there(seaweedfs: SeaweedFS) -> None:
    with pytest.raises(StartError, match=r"TLS with .* failed: .*check endpoint"):
        async with s3_origin(seaweedfs.endpoint.replace("http:", "https:")):
            pass

"""Addresses, as aiobotocore would make them; nothing is sent."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from proxy.errors import StartError
from proxy.origins.s3.endpoint import find_endpoint
from proxy.origins.s3.options import S3Options

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/foo"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("bucket", "endpoint", "region", "addressing", "base", "signed_for"),
    [
        ("media", "http://s3.test:83", None, None, "http://s3.test:83/media/", "us-east-1"),
        ("media", "http://s3.test/x/", "r1", "path", "http://s3.test/x/media/", "r1"),
        ("media", "http://s3.test:83", "r1", "virtual", "http://media.s3.test:83/", "r1"),
        ("media", "http://127.0.0.1:83", "r1", "virtual", "http://127.0.0.1:83/media/", "r1"),
        ("media", "http://[::1]:83", "r1", None, "http://[::1]:83/media/", "r1"),
        ("media", None, None, None, "https://media.s3.amazonaws.com/", "us-east-1"),
        (
            "media",
            None,
            "eu-central-1",
            None,
            "https://media.s3.eu-central-1.amazonaws.com/",
            "eu-central-1",
        ),
        (
            "media",
            None,
            "eu-central-1",
            "path",
            "https://s3.eu-central-1.amazonaws.com/media/",
            "eu-central-1",
        ),
        # A dot would break the certificate's wildcard.
        (
            "me.dia",
            None,
            "eu-central-1",
            None,
            "https://s3.eu-central-1.amazonaws.com/me.dia/",
            "eu-central-1",
        ),
        (
            "media",
            None,
            "cn-north-1",
            None,
            "https://media.s3.cn-north-1.amazonaws.com.cn/",
            "cn-north-1",
        ),
        (
            ARN,
            None,
            "us-east-1",
            None,
            "https://foo-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/",
            "eu-west-1",
        ),
    ],
)
async def test_addresses(
    bucket: str,
    endpoint: str | None,
    region: str | None,
    addressing: Literal["path", "virtual"] | None,
    base: str,
    signed_for: str,
) -> None:
    options = S3Options(bucket=bucket, endpoint=endpoint, region=region, addressing=addressing)
    found = await find_endpoint(options)
    assert (found.base, found.region, found.service) == (base, signed_for, "s3")


async def test_the_region_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/some/ca.pem")
    found = await find_endpoint(S3Options(bucket="media"))
    assert (found.region, found.ca_bundle) == ("eu-west-3", "/some/ca.pem")


@pytest.mark.parametrize(
    ("bucket", "endpoint", "text"),
    [
        ("a b", None, "check bucket"),
        ("", None, "check bucket"),
        ("x--use1-az4--x-s3", None, "general purpose"),
        ("arn:aws:s3::123456789012:accesspoint/abc.mrap", None, "bucket"),
        ("media", "nonsense", "endpoint"),
        ("media", "ftp://s3.test", "endpoint"),
    ],
)
async def test_what_can_not_be_addressed(bucket: str, endpoint: str | None, text: str) -> None:
    with pytest.raises(StartError, match=text) as raised:
        await find_endpoint(S3Options(bucket=bucket, endpoint=endpoint, region="us-east-1"))
    assert "\n" not in str(raised.value)


async def test_the_loop_goes_on_meanwhile() -> None:
    finding = asyncio.create_task(find_endpoint(S3Options(bucket="media", region="us-east-1")))
    turns = 0
    while not finding.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 3

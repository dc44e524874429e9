"""Where a bucket is: the base URL, region and service that aiobotocore itself would use.

Addressing has many rules (dots in names, access points, partitions, dual stack). None is written
down here: aiobotocore builds one request for a marker key, which is caught before it is sent.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ParamValidationError

from proxy.errors import StartError
from proxy.origins.s3.options import S3Options

_MARKER = "headgate-marker"
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=marker/[0-9]+/([^/]+)/([^/]+)/aws4_request,")


class Endpoint(NamedTuple):
    """Where and how to ask for the bucket.

    Attributes:
        base: its URL, ending in "/": put an encoded key behind it.
        region, service: what to sign for.
        ca_bundle: the file with trusted authorities that the AWS settings name, or None.
    """

    base: str
    region: str
    service: str
    ca_bundle: str | None


async def find_endpoint(options: S3Options) -> Endpoint:
    """Asks aiobotocore, in a thread since it reads files for 0.1 s. Raises StartError."""
    return await asyncio.to_thread(_find, options)


def _find(options: S3Options) -> Endpoint:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(_caught(options))


class _Caught(Exception):
    """Carries the request out of aiobotocore instead of into the network."""

    def __init__(self, url: str, authorization: str, ca_bundle: str | None) -> None:
        super().__init__(url)
        self.url = url
        self.authorization = authorization
        self.ca_bundle = ca_bundle


def _catch(session: AioSession, request: Any, **_: object) -> None:  # noqa: ANN401  # botocore has no types
    authorization = request.headers.get("Authorization", b"")
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    raise _Caught(request.url, authorization, session.get_config_variable("ca_bundle"))


async def _caught(options: S3Options) -> Endpoint:
    try:
        await _build_request(options)
    except _Caught as caught:
        return _endpoint(caught, options)
    except ParamValidationError:
        raise StartError(f"{options.bucket!r} can't be an S3 bucket's name: check bucket") from None
    except (BotoCoreError, ValueError) as error:
        text = " ".join(str(error).split())
        raise StartError(
            f"S3 bucket {options.bucket!r} can't be addressed ({text}): check endpoint, region, "
            "addressing and profile"
        ) from None
    raise StartError(f"S3 can't be addressed: bucket {options.bucket!r} leads to no request")


async def _build_request(options: S3Options) -> None:
    """Raises _Caught in place of sending."""
    session = AioSession(profile=options.profile)
    async with session.create_client(
        "s3",
        endpoint_url=options.endpoint,
        region_name=options.region,
        aws_access_key_id="marker",
        aws_secret_access_key="marker",  # noqa: S106  # signs a request that is never sent
        config=AioConfig(
            s3={"addressing_style": options.addressing} if options.addressing else {},
            retries={"total_max_attempts": 1},
        ),
    ) as client:
        client.meta.events.register("before-send.s3", partial(_catch, session))
        await client.head_object(Bucket=options.bucket, Key=_MARKER)


def _endpoint(caught: _Caught, options: S3Options) -> Endpoint:
    found = _CREDENTIAL.match(caught.authorization)
    if found is None or not caught.url.endswith("/" + _MARKER):
        # Directory buckets (S3 Express) want sessions, multi-region access points SigV4A.
        raise StartError(
            f"bucket {options.bucket!r} is of a kind that Headgate can't ask yet (directory "
            "bucket or multi-region access point): use a general purpose bucket"
        )
    return Endpoint(caught.url.removesuffix(_MARKER), found[1], found[2], caught.ca_bundle)

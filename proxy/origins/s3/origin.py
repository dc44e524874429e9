"""A bucket as an origin: opened with one request, whose body is kept for the first read."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import partial
from typing import NoReturn

import aiohttp
from yarl import URL

from proxy.errors import (
    NotFound,
    OriginUnavailable,
    RequestFault,
    StartError,
)
from proxy.origins.base import WHOLE, Page, Unmodified, Want
from proxy.origins.s3 import chain, listing
from proxy.origins.s3.answers import (
    body_length,
    is_directory,
    is_out_of_reach,
    range_to_send,
    representation_of,
    span_of,
)
from proxy.origins.s3.client import Client
from proxy.origins.s3.credentials import Credentials
from proxy.origins.s3.endpoint import Endpoint, find_endpoint
from proxy.origins.s3.object import S3Object, Stream, pin_of, pinned_fault
from proxy.origins.s3.options import S3Options
from proxy.origins.s3.probe import check_store
from proxy.origins.s3.signing import Keys, Signer, encode_key
from proxy.origins.s3.transport import Answer, Limits, Transport
from proxy.origins.waiting import Waiting
from proxy.semantics.dates import parse_http_date
from proxy.semantics.representation import Representation, Span

# Asks for the checksums the store keeps; those that keep none ignore it.
_WITH_CHECKSUMS = {"x-amz-checksum-mode": "ENABLED"}
# Above it a listing is parsed in a thread: expat with handlers takes some 10 ms per MB.
_PARSED_INLINE = 64 * 1024
# SeaweedFS takes a backslash for a slash.
_SEPARATOR = re.compile(r"[/\\]")


class S3Origin:
    """Objects below a prefix of one bucket. An `Origin` and a `Lister`.

    `start` comes first; whoever called it calls `aclose`, also when it failed.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._client: Client | None = None

    async def start(self) -> None:
        """Finds the endpoint and the credentials, and asks the store once; see `Origin.start`.

        The request to the store takes at most connect_timeout + first_byte_timeout.
        """
        options = self._options
        _check_options(options)
        endpoint = await find_endpoint(options)
        tls = await _tls(endpoint, options)
        credentials = _credentials_for(options)
        limits = Limits(
            connect=options.connect_timeout,
            first_byte=options.first_byte_timeout,
            stall=options.stall_timeout,
            slot=options.slot_timeout,
            connections=options.max_connections,
        )
        signer = Signer(endpoint.region, endpoint.service)
        client = Client(Transport(endpoint.base, signer, limits, tls), credentials)
        where = f"S3 bucket {options.bucket!r} at {_shown(endpoint, options)}"
        try:
            await credentials.start()
            await check_store(client, where, options.prefix, signed=not options.unsigned)
        except BaseException:
            await client.aclose()
            raise
        self._client = client

    async def open(self, key: str, want: Want = WHOLE) -> S3Object:
        """Opens `key` with one request; see `Origin.open`.

        A second one, a HEAD, follows only where the range asked for is not satisfiable.
        """
        target = self._target(key)
        if not want.body or is_out_of_reach(want.first):
            return await self._open_head(key, target, want)
        field = range_to_send(want.first)
        asked = want.first if field is not None else None
        headers = _WITH_CHECKSUMS if field is None else {"range": field, **_WITH_CHECKSUMS}
        conditions, versioned = _conditions(want, target)
        answer = await self._ready.ask("GET", versioned, {**headers, **conditions})
        try:
            if answer.status in (200, 206):
                if want.at_once:
                    answer.hurry()
                span, size = span_of(answer.status, answer.headers, asked)
                stream = Stream(answer, span, asked is not None and span == Span(0, size))
                representation = _representation(key, size, answer)
                want.check(representation)
                return S3Object(self._ready, target, representation, stream)
            if answer.status != 416:
                await self._raise_fault(answer, want)
        except BaseException:
            answer.close()
            raise
        answer.close()
        return await self._open_head(key, target, want)

    async def list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        """One page of names directly below `prefix`; see `Lister.list`."""
        whole_prefix = self._options.prefix + prefix
        answer = await self._ready.ask("GET", _list_target(whole_prefix, after, limit), {})
        try:
            if answer.status != 200:
                await self._raise_fault(answer)
            body = await answer.read_up_to(listing.MAX_ANSWER)
        except NotFound:
            return Page(())  # as stores over directories put it
        finally:
            answer.close()
        if len(body) > _PARSED_INLINE:
            return await asyncio.to_thread(listing.page_of, body, whole_prefix)
        return listing.page_of(body, whole_prefix)

    def waiting(self) -> Waiting:
        """How many requests are under way, and how many wait; nothing before it is started."""
        return self._client.waiting() if self._client is not None else Waiting()

    async def aclose(self) -> None:
        """Closes all connections and ends the refresh of credentials. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def _ready(self) -> Client:
        if self._client is None:
            raise OriginUnavailable("the S3 origin is not started, or closed")
        return self._client

    def _target(self, key: str) -> str:
        whole = self._options.prefix + key
        if not whole:
            raise NotFound("the empty key names the bucket")
        if "." in whole and not {".", ".."}.isdisjoint(_SEPARATOR.split(whole)):
            # Some stores resolve them, and then they lead out of the prefix, even the bucket.
            raise RequestFault("a dot segment in a key", said="The address holds a dot segment.")
        try:
            return encode_key(whole)
        except UnicodeEncodeError:
            raise RequestFault("a key that is not UTF-8") from None

    async def _open_head(self, key: str, target: str, want: Want) -> S3Object:
        conditions, versioned = _conditions(want, target)
        answer = await self._ready.ask("HEAD", versioned, {**_WITH_CHECKSUMS, **conditions})
        try:
            if answer.status != 200:
                await self._raise_fault(answer, want)
            representation = _representation(key, body_length(answer.headers), answer)
            want.check(representation)
        finally:
            answer.close()
        return S3Object(self._ready, target, representation)

    async def _raise_fault(self, answer: Answer, want: Want = WHOLE) -> NoReturn:
        if answer.status == 304 and want.unless is not None:
            raise Unmodified(parse_http_date(answer.headers.get("last-modified", "")))
        fault = await self._ready.fault(answer)
        raise fault if want.pin is None else pinned_fault(fault, answer.status)


def _conditions(want: Want, target: str) -> tuple[dict[str, str], str]:
    """The preconditions to send, and the target with the version in it where that is one."""
    conditions: dict[str, str] = {}
    if want.pin is not None:
        conditions, target = pin_of(want.pin, target)
    if want.unless is not None and not want.unless.weak and want.unless.opaque.isascii():
        conditions = {**conditions, "if-none-match": str(want.unless)}
    return conditions, target


def _representation(key: str, size: int, answer: Answer) -> Representation:
    if is_directory(key, size, answer.headers):
        raise NotFound("the store shows a folder of its own as an object")
    return representation_of(key, size, answer.headers)


def _list_target(prefix: str, after: str | None, limit: int) -> str:
    try:
        return "?" + listing.query_of(prefix, after, limit)
    except UnicodeEncodeError:
        raise RequestFault("a prefix or cursor that is not UTF-8") from None


def _check_options(options: S3Options) -> None:
    if bool(options.access_key_id) != bool(options.secret_access_key):
        raise StartError("S3 credentials: set both access_key_id and secret_access_key, or neither")
    if options.endpoint is not None and URL(options.endpoint).user is not None:
        raise StartError("the S3 endpoint holds a user name: use access_key_id instead")
    if aiohttp.http_parser.HttpResponseParser is aiohttp.http_parser.HttpResponseParserPy:
        raise StartError(
            "aiohttp runs without its C parser, whose strictness is relied on: install a wheel "
            "and unset AIOHTTP_NO_EXTENSIONS"
        )


def _credentials_for(options: S3Options) -> Credentials:
    if options.unsigned:
        return Credentials(None)
    if options.access_key_id and options.secret_access_key:
        return Credentials(
            Keys(options.access_key_id, options.secret_access_key, options.session_token or None)
        )
    return Credentials(None, partial(chain.look, options.profile))


async def _tls(endpoint: Endpoint, options: S3Options) -> ssl.SSLContext | bool:
    """Always verifying. Made in a thread: it reads some 140 certificates."""
    if not endpoint.base.startswith("https:"):
        return True
    file = options.ca_bundle or endpoint.ca_bundle
    try:
        return await asyncio.to_thread(ssl.create_default_context, cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"the ca_bundle {file!r} can't be used ({error}): name a PEM file with certificates"
        ) from None


def _shown(endpoint: Endpoint, options: S3Options) -> str:
    return options.endpoint or str(URL(endpoint.base).origin())

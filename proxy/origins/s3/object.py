"""One version of one object: its spans, from the stream that opened it or by new requests.

Every later request is pinned to the version that was opened (If-Match, else the version id), and
what comes back is compared all the same, because some stores ignore conditions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import NoReturn

from proxy.errors import Fault, NotFound, ObjectChanged, OriginBroke, OriginFault
from proxy.origins.s3 import attributes
from proxy.origins.s3.answers import is_same_version, parts_of, span_of
from proxy.origins.s3.client import Client
from proxy.origins.s3.parts import part_sizes
from proxy.origins.s3.signing import encode_query
from proxy.origins.s3.transport import Answer
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import PartSums, Representation, Span

# A store that ignores ranges sends the whole object: this much of it is read to get to a span.
MAX_SKIPPED = 8 * 1024 * 1024

# Replaced (412), deleted where versions are kept (405), now shorter (416). 404 depends on its code.
_CHANGED = (405, 412, 416)
# How a store says that it has no list of parts, or not for us.
_UNTOLD = (400, 403, 404, 405, 416, 501)
# Above it a list of parts is read in a thread, as listings are.
_PARSED_INLINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body holds `span`. `whole_instead`: a range was asked for and ignored."""

    answer: Answer
    span: Span
    whole_instead: bool = False

    def reaches(self, span: Span) -> bool:
        """Whether `span` can be cut out of this stream without reading too much in vain."""
        skipped = span.start - self.span.start
        allowed = MAX_SKIPPED if self.whole_instead else 0
        return 0 <= skipped <= allowed and span.stop <= self.span.stop


class S3Object:
    """An object that was opened; `stream` is the body of the answer that opened it, if any."""

    def __init__(
        self,
        client: Client,
        target: str,
        representation: Representation,
        stream: Stream | None = None,
    ) -> None:
        self._client = client
        self._target = target
        self._representation = representation
        self._stream = stream

    @property
    def representation(self) -> Representation:
        """What the store said when it was opened."""
        return self._representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes; see `OpenObject.read`."""
        if span.length == 0:
            return
        stream = self._take_stream(span) or await self._request(span)
        with contextlib.closing(stream.answer):
            skip = span.start - stream.span.start
            left = span.length
            while left:
                piece = await stream.answer.read()
                if not piece:
                    raise OriginBroke(f"the body ended {left} bytes too early")
                piece, skip = piece[skip:], max(0, skip - len(piece))
                if not piece:
                    continue
                piece = piece[:left]
                left -= len(piece)
                if not left:
                    stream.answer.close()  # before a slow reader takes the last piece
                yield piece

    async def part_sizes(self) -> tuple[int, ...] | None:
        """The sizes of the parts it was uploaded in, in order; None if the store can't tell.

        Takes two small requests side by side, or one per part where the parts differ. Raises an
        OriginFault, ObjectChanged among them, where the store fails.
        """
        pin, target = pin_of(self._representation, self._target)
        return await part_sizes(self._client, target, pin, self._representation)

    async def part_sums(self) -> PartSums | None:
        """The checksum of each part it was uploaded in; None if the store doesn't tell them all.

        Takes one request, and none for an object that was uploaded at once. Raises an OriginFault
        where the store fails.
        """
        etag, size = self._representation.etag, self._representation.size
        if etag is None or etag.weak or parts_of(etag) is None:
            return None
        target = f"{self._target}?{encode_query([('attributes', '')])}"
        answer = await self._client.ask("GET", target, attributes.HEADERS)
        try:
            if answer.status != 200 and answer.status not in _UNTOLD:
                await self._raise_fault(answer)
            if answer.status != 200:
                return None
            body = await answer.read_up_to(attributes.MAX_ANSWER)
        finally:
            answer.close()
        if not body.lstrip().startswith(b"<"):
            return None  # a store that knows no such request sends the object
        if len(body) <= _PARSED_INLINE:
            return attributes.part_sums_of(body, etag.opaque, size)
        return await asyncio.to_thread(attributes.part_sums_of, body, etag.opaque, size)

    async def aclose(self) -> None:
        """Gives the stream's connection back, if no read took it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.answer.close()

    def _take_stream(self, span: Span) -> Stream | None:
        """The opening stream if `span` lies in it; otherwise it is closed, for it has no use."""
        stream, self._stream = self._stream, None
        if stream is None or stream.reaches(span):
            return stream
        stream.answer.close()
        return None

    async def _request(self, span: Span) -> Stream:
        asked = ByteRange(span.start, span.stop - 1)
        pin, target = pin_of(self._representation, self._target)
        headers = {"range": f"bytes={asked}", **pin}
        answer = await self._client.ask("GET", target, headers)
        try:
            if answer.status not in (200, 206):
                await self._raise_fault(answer)
            return self._checked(answer, asked, span)
        except BaseException:
            answer.close()
            raise

    def _checked(self, answer: Answer, asked: ByteRange, span: Span) -> Stream:
        held, size = span_of(answer.status, answer.headers, asked)
        if not is_same_version(self._representation, size, answer.headers):
            raise ObjectChanged("the store answered with another version")
        stream = Stream(answer, held, whole_instead=held == Span(0, size))
        if not stream.reaches(span):
            raise OriginFault(f"the store ignores ranges: {span.start} bytes before the span")
        return stream

    async def _raise_fault(self, answer: Answer) -> NoReturn:
        raise pinned_fault(await self._client.fault(answer), answer.status)


def pinned_fault(fault: Fault, status: int) -> OriginFault:
    """What a refusal means to who asked for one version of an object that was there."""
    if isinstance(fault, NotFound) or status in _CHANGED:
        return ObjectChanged(fault.detail)
    # What was opened can't be the client's fault any more.
    return fault if isinstance(fault, OriginFault) else OriginFault(fault.detail)


def pin_of(representation: Representation, target: str) -> tuple[dict[str, str], str]:
    """The condition, and the target, that mean this version only.

    If-Match before the version id, which needs a permission of its own (GetObjectVersion). A
    weak tag is not sent: stores compare its text, prefix and all, or never match it.
    """
    etag, version = representation.etag, representation.version
    if etag is not None and not etag.weak and etag.opaque.isascii():
        return {"if-match": str(etag)}, target
    if version is not None:
        return {}, f"{target}?{encode_query([('versionId', version)])}"
    return {}, target

"""Layers that make spans of what an origin is asked, for requests that are traced. They change
nothing.

`Traced` stands directly over a store, below whatever asks again, so that each try is a span of its
own. `Fetching` stands below the cache and above the retries: its span is all that one slice took.
For what is not traced both give the object of below as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Self, cast

from proxy.errors import Fault, OriginFault, RequestFault
from proxy.observability import metrics as names
from proxy.observability.access_log import MAX_TEXT
from proxy.observability.masking import masked
from proxy.observability.metered import kind_of
from proxy.observability.spans import CURRENT, Kind, Span, Tracer
from proxy.origins.base import WHOLE, Lister, OpenObject, Origin, Page, Unmodified, Want
from proxy.origins.carried import carrying
from proxy.origins.lending import Lending, Piece, Stretch
from proxy.origins.whole import taker_of
from proxy.semantics import representation


class _Layer:
    """What both have in common: start, end, and listing where that is possible below."""

    def __init__(self, origin: Origin, name: str, tracer: Tracer) -> None:
        self._origin, self._name, self._tracer = origin, name, tracer
        if callable(getattr(origin, "list", None)):
            self.list = self._list  # a layer can do what lies below it can do
        take = taker_of(origin)
        if take is not None:
            self.take_whole = take  # for requests that are not traced

    async def start(self) -> None:
        """As the origin below."""
        await self._origin.start()

    async def aclose(self) -> None:
        """As the origin below."""
        await self._origin.aclose()

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        return await cast("Lister", self._origin).list(prefix, after, limit)


class Traced(_Layer):
    """Origin over an origin: a span for each object opened, span read and listing made.

    `kind` is "client" where asking means a request to another machine.
    """

    def __init__(self, origin: Origin, name: str, tracer: Tracer, kind: Kind) -> None:
        super().__init__(origin, name, tracer)
        self._kind = kind

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        """As the origin below."""
        parent = CURRENT.get()
        if parent is None:
            return await self._origin.open(key, want)
        asking = _Asking(self._tracer, self._name, self._kind, key)
        asked = asking.about("open", parent)
        with asked, carrying(asked.span.fields):
            opened = await self._origin.open(key, want)
        return cast("OpenObject", TracedObject(opened, parent, asking))

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        parent = CURRENT.get()
        if parent is None:
            return await super()._list(prefix, after, limit)
        asked = _Asking(self._tracer, self._name, self._kind, prefix).about("list", parent)
        with asked, carrying(asked.span.fields):
            return await super()._list(prefix, after, limit)


class Fetching(_Layer):
    """Origin over an origin: a span from the opening of an object to its closing, within which
    those of the requests are."""

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        """As the origin below."""
        parent = CURRENT.get()
        if parent is None:
            return await self._origin.open(key, want)
        name = "cache fetch" if want.body else "cache validate"
        span = self._tracer.begin(name, "internal", parent)
        span.attributes["headgate.origin"] = self._name
        if want.body and want.first is not None:
            span.attributes["headgate.range"] = str(want.first)
        CURRENT.set(span)
        try:
            opened = await self._origin.open(key, want)
        except BaseException as error:
            _note(span, error)
            self._tracer.end(span)
            raise
        finally:
            CURRENT.set(parent)
        return cast("OpenObject", FetchedObject(opened, span, self._tracer))


class _Asking:
    """Begins the spans of one object's requests."""

    def __init__(self, tracer: Tracer, origin: str, kind: Kind, key: str) -> None:
        self._tracer, self._origin, self._kind, self._key = tracer, origin, kind, key

    def about(self, operation: str, parent: Span) -> _Asked:
        """One request."""
        named = (f"{operation} {self._origin}", self._kind)
        return _Asked(self._tracer, parent, named, self._origin, self._key)


class _Asked:
    """One request to a store, as a block: its span, its try, its bytes, its end.

    Attributes:
        bytes: those that came; None where none are read.
        wanted: how many are all of them.
    """

    def __init__(
        self, tracer: Tracer, parent: Span, named: tuple[str, Kind], origin: str, key: str
    ) -> None:
        name, kind = named
        self.span = tracer.begin(name, kind, parent)
        self.bytes: int | None = None
        self.wanted: int | None = None
        self._tracer, self._failed = tracer, parent.failed
        self._question = (name, key)
        self.span.attributes["headgate.origin"] = origin
        self.span.attributes["headgate.attempt"] = self._failed.get(self._question, 0) + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Fault) and error.retryable:
            self._failed[self._question] = self._failed.get(self._question, 0) + 1
        else:
            self._failed.pop(self._question, None)
        if self.bytes is not None:
            self.span.attributes["headgate.bytes"] = self.bytes
        has_all = self.bytes is not None and self.bytes == self.wanted
        if error is not None and not (has_all and isinstance(error, GeneratorExit)):
            _note(self.span, error)
        self._tracer.end(self.span)


def _note(span: Span, error: BaseException) -> None:
    """How it ended. "There is none" and "it is the same" are answers; who stops has no fault."""
    if isinstance(error, Unmodified):
        span.attributes["headgate.answer"] = "not modified"
    elif isinstance(error, RequestFault):
        span.attributes["headgate.answer"] = type(error).__name__
    elif isinstance(error, Exception):
        span.error = True
        known = kind_of(error) if isinstance(error, OriginFault) else names.OTHER
        span.attributes["error.type"] = type(error).__name__ if known == names.OTHER else known
        span.said = masked(str(error)[:MAX_TEXT])
    else:
        span.attributes["headgate.answer"] = "given up"


class _Over:
    """An open object over another, which has what that has."""

    def __init__(self, opened: OpenObject) -> None:
        self._opened = opened
        self.representation: representation.Representation = opened.representation

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever it is
        """What is not said here is as below: `lease`, `part_sums`, `lend`."""
        return getattr(self._opened, name)

    async def aclose(self) -> None:
        """As the object below."""
        await self._opened.aclose()


class TracedObject(_Over):
    """One version of one object, whose reads are spans."""

    def __init__(self, opened: OpenObject, parent: Span, asking: _Asking) -> None:
        super().__init__(opened)
        self._parent, self._asking = parent, asking
        if getattr(opened, "lend", None) is not None:
            self.lend = self._lend
        if getattr(opened, "part_sizes", None) is not None:
            self.part_sizes = self._part_sizes
        if getattr(opened, "part_sums", None) is not None:
            self.part_sums = self._part_sums

    def read(self, span: representation.Span) -> AsyncGenerator[bytes, None]:
        """As the object below."""
        followed = self._followed(self._opened.read(span), span.length)
        return cast("AsyncGenerator[bytes, None]", followed)

    def _lend(self, span: representation.Span) -> AsyncGenerator[Piece, None]:
        return self._followed(cast("Lending", self._opened).lend(span), span.length)

    async def _followed(
        self, pieces: AsyncGenerator[Any, None], wanted: int
    ) -> AsyncGenerator[Piece, None]:
        asked = self._asking.about("read", self._parent)
        asked.bytes, asked.wanted = 0, wanted
        with asked:
            try:
                with carrying(asked.span.fields):  # the request is sent before the first piece
                    piece: Piece | None = await anext(pieces, None)
                while piece is not None:
                    try:
                        yield piece
                    finally:
                        asked.bytes += piece.taken if isinstance(piece, Stretch) else len(piece)
                    piece = await anext(pieces, None)
            finally:
                await pieces.aclose()

    async def _part_sizes(self) -> tuple[int, ...] | None:
        asked = self._asking.about("parts", self._parent)
        with asked, carrying(asked.span.fields):
            sizes: tuple[int, ...] | None = await cast("Any", self._opened).part_sizes()
        return sizes

    async def _part_sums(self) -> representation.PartSums | None:
        asked = self._asking.about("parts", self._parent)
        with asked, carrying(asked.span.fields):
            sums: representation.PartSums | None = await cast("Any", self._opened).part_sums()
        return sums


class FetchedObject(_Over):
    """One version of one object, whose span ends with it."""

    def __init__(self, opened: OpenObject, span: Span, tracer: Tracer) -> None:
        super().__init__(opened)
        self._span, self._tracer = span, tracer
        self._bytes = 0
        self._over = False

    async def read(self, span: representation.Span) -> AsyncGenerator[bytes, None]:
        """As the object below."""
        buffers = self._opened.read(span)
        try:
            async for buffer in buffers:
                self._bytes += len(buffer)
                yield buffer
        except Fault as fault:
            _note(self._span, fault)
            raise
        finally:
            await buffers.aclose()

    async def aclose(self) -> None:
        """As the object below."""
        try:
            await super().aclose()
        finally:
            if not self._over:
                self._over = True
                self._span.attributes["headgate.bytes"] = self._bytes
                self._tracer.end(self._span)

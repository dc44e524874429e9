"""An origin over another that breaks off where a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from proxy.errors import Fault
from proxy.origins.base import WHOLE, OpenObject, Origin, Want
from proxy.semantics.representation import Representation, Span

# After how many bytes of a read to break off, and with what; None: an early end without a word.
Break = tuple[int, Fault | None]


class BreakingOrigin:
    """Each opening takes the next of `refusals`, each read the next of `breaks`, while they last.

    Attributes:
        opened: how many openings were asked for.
        spans: the spans that were asked for.
        open_reads: reads that have begun and not ended.
    """

    def __init__(
        self, origin: Origin, breaks: Sequence[Break] = (), refusals: Sequence[Fault] = ()
    ) -> None:
        self._origin = origin
        self.breaks = list(breaks)
        self.refusals = list(refusals)
        self.opened = 0
        self.spans: list[Span] = []
        self.open_reads = 0
        self.before_break: Callable[[], None] = lambda: None

    async def start(self) -> None:
        await self._origin.start()

    async def open(self, key: str, want: Want = WHOLE) -> BreakingObject:
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return BreakingObject(self, await self._origin.open(key, want))

    async def aclose(self) -> None:
        await self._origin.aclose()


class BreakingObject:
    def __init__(self, origin: BreakingOrigin, opened: OpenObject) -> None:
        self._origin = origin
        self._opened = opened

    @property
    def representation(self) -> Representation:
        return self._opened.representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        origin = self._origin
        origin.spans.append(span)
        origin.open_reads += 1
        left, fault = origin.breaks.pop(0) if origin.breaks else (span.length, None)
        try:
            async with aclosing(self._opened.read(span)) as buffers:
                async for buffer in buffers:
                    piece = buffer[:left]
                    left -= len(piece)
                    if piece:
                        yield piece
                    if not left:
                        break
            origin.before_break()
            if fault is not None:
                raise fault
        finally:
            origin.open_reads -= 1

    async def aclose(self) -> None:
        await self._opened.aclose()

"""A layer that goes on where an origin broke off: the reader sees one unbroken body.

What is left is read from the same opened object, which answers for its version: if that is gone,
`ObjectChanged` breaks the body off. Nothing of a body is given twice and nothing left out.

While it waits, no read is open, so no connection of the origin is held. When and how often to
ask again is decided in `proxy.origins.retrying`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Literal, TypeVar, cast

from proxy.errors import Fault, OriginBroke, OriginFault
from proxy.origins.base import (
    WHOLE,
    Lease,
    Lister,
    OpenObject,
    Origin,
    Page,
    Parted,
    SummedInParts,
    Want,
    lease_of,
)
from proxy.origins.retrying import (
    GiveUp,
    RetryBudget,
    RetryOptions,
    Tries,
    can_be_joined,
    rest_of,
)
from proxy.semantics.representation import PartSums, Representation, Span

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of the origin that another try could help, and what was done about it.

    Attributes:
        kind: "retry" (asked again before the first byte), "resume" (the rest is asked for), or
            "exhausted" (given up, although another try might have helped).
        key: what was read.
        fault: what went wrong.
        position: the byte of the object that is next, or None where none was read.
        pause: seconds until the next try; 0 when given up.
        why: why it was given up.
    """

    kind: Literal["retry", "resume", "exhausted"]
    key: str
    fault: Fault
    position: int | None = None
    pause: float = 0.0
    why: str = ""

    def __str__(self) -> str:
        """For the log."""
        at = "" if self.position is None else f" at byte {self.position}"
        then = f"given up: {self.why}" if self.why else f"{self.kind} in {self.pause:.2f} s"
        return f"{self.key!r}{at}: {self.fault.detail or self.fault}; {then}"


Report = Callable[[Trouble], None]


def _silently(_: Trouble) -> None:
    """Reports to nobody."""


class Resuming:
    """Origin over an origin; lists if that does. `report` is told of each retry and each end.

    One budget of retries is shared by all that is read through it.
    """

    def __init__(
        self, origin: Origin, options: RetryOptions | None = None, report: Report = _silently
    ) -> None:
        self._origin = origin
        self._trying = _Trying(options or RetryOptions(), report)
        if callable(getattr(origin, "list", None)):
            self.list = self._list  # a layer can do what lies below it can do

    async def start(self) -> None:
        """As the origin below. Not retried: who starts a program wants to know at once."""
        await self._origin.start()

    async def open(self, key: str, want: Want = WHOLE) -> ResumingObject:
        """Opens `key`; raises the last fault when other tries did not help."""
        opened = await self._trying.ask(key, lambda: self._origin.open(key, want))
        return ResumingObject(opened, key, self._trying)

    async def aclose(self) -> None:
        """Closes the origin below."""
        await self._origin.aclose()

    async def _list(self, prefix: str, after: str | None = None, limit: int = 1000) -> Page:
        lister = cast("Lister", self._origin)
        return await self._trying.ask(prefix, lambda: lister.list(prefix, after, limit))


class ResumingObject:
    """One version of one object, whose reads go on after a break."""

    def __init__(self, opened: OpenObject, key: str, trying: _Trying) -> None:
        self._opened = opened
        self._key = key
        self._trying = trying
        self._was_read = False
        if getattr(opened, "part_sizes", None) is not None:  # isinstance would take 20 µs
            self.part_sizes = self._part_sizes
        if getattr(opened, "part_sums", None) is not None:
            self.part_sums = self._part_sums

    @property
    def representation(self) -> Representation:
        """What the origin below says."""
        return self._opened.representation

    @property
    def lease(self) -> Lease | None:
        """As the object below."""
        return lease_of(self._opened)

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        """The span's bytes, each once and in order; see `OpenObject.read`.

        After the first byte, only what has a strong validator is gone on with.
        """
        received = 0
        tries = self._trying.begin()
        while received < span.length:
            try:
                async with aclosing(self._opened.read(rest_of(span, received))) as buffers:
                    async for buffer in buffers:
                        received += len(buffer)
                        if received > span.length:
                            raise OriginFault("the origin gave more bytes than were asked for")
                        yield buffer
                        tries.progress(len(buffer), monotonic())
                if received < span.length:
                    raise OriginBroke(f"the body ended {span.length - received} bytes too early")
            except Fault as fault:
                if received == span.length and fault.retryable:
                    return  # all bytes have come; what broke is only the ending
                if received and not can_be_joined(self.representation):
                    raise
                position = span.start + received
                await self._trying.wait(tries, self._key, fault, position, begun=bool(received))
        if self._was_read:
            self._trying.succeeded()  # the first read is part of the request that opened it
        self._was_read = True

    async def aclose(self) -> None:
        """Closes the object below."""
        await self._opened.aclose()

    async def _part_sizes(self) -> tuple[int, ...] | None:
        parted = cast("Parted", self._opened)
        return await self._trying.ask(self._key, parted.part_sizes)

    async def _part_sums(self) -> PartSums | None:
        summed = cast("SummedInParts", self._opened)
        return await self._trying.ask(self._key, summed.part_sums)


class _Trying:
    """What all requests to one origin share: options, budget and whom to tell."""

    def __init__(self, options: RetryOptions, report: Report) -> None:
        self._options = options
        self._report = report
        self._budget = RetryBudget(options.budget, monotonic())

    def begin(self) -> Tries:
        """For one opening or one body."""
        return Tries(self._options, self._budget, monotonic())

    def succeeded(self) -> None:
        """Counts a request that went well."""
        self._budget.earn()

    async def ask(self, key: str, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question that gives no bytes yet."""
        tries = self.begin()
        while True:
            try:
                answer = await question()
            except Fault as fault:
                await self.wait(tries, key, fault)
            else:
                self.succeeded()
                return answer

    async def wait(
        self,
        tries: Tries,
        key: str,
        fault: Fault,
        position: int | None = None,
        *,
        begun: bool = False,
    ) -> None:
        """Waits until it is time to ask again; raises `fault` if it shall not be."""
        decided = tries.after(fault, monotonic(), random.random())  # noqa: S311  # spreads the tries
        if isinstance(decided, GiveUp):
            if decided.why:
                self._report(Trouble("exhausted", key, fault, position, why=decided.why))
            raise fault
        kind: Literal["retry", "resume"] = "resume" if begun else "retry"
        self._report(Trouble(kind, key, fault, position, decided.seconds))
        await asyncio.sleep(decided.seconds)

"""Spans of OpenTelemetry: what took how long, for whom, and how it ended. Without its libraries.

A span costs a few microseconds here, since it is only noted; that it becomes a message is the
business of a thread (`proxy.observability.exporting`). Whether a request is traced is decided once,
at its beginning: what is not traced has no span, and costs a draw.

Attributes have the names of the semantic conventions (HTTP spans, 1.23 and later), or begin with
"headgate.". No value of a request's query, and no secret, is among them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from time import monotonic_ns, time_ns
from typing import Final, Literal

from proxy.observability.trace_context import TraceContext

Value = str | int | float | bool
Kind = Literal["server", "client", "internal"]

# Traced requests whose answer was prepared, and that the application has not begun yet. They are
# as many as requests that begin in one turn of the event loop.
_MOST_OWED: Final = 1024
_HALF: Final = (1 << 64) - 1


class Span:
    """One span, open until its `Tracer` ends it.

    Attributes:
        trace_id, id, parent_id: in hexadecimal; "" for a parent that there is not.
        name: low in cardinality: never a path.
        begun, seconds: nanoseconds since 1970, and how long it took.
        attributes: what is told of it.
        error: whether it failed by our fault or the origin's; `said` is why.
        state: `tracestate` of its trace.
        link: a span of another trace that led to this one.
        failed: how often in a row was asked in vain, by whom is asked and for what.
    """

    __slots__ = (
        "_clock", "attributes", "begun", "error", "failed", "id", "kind", "link", "name",
        "parent_id", "said", "seconds", "state", "trace_id",
    )  # fmt: skip

    def __init__(self, trace_id: str, parent_id: str, name: str, kind: Kind) -> None:
        self.trace_id, self.parent_id, self.id = trace_id, parent_id, new_span_id()
        self.name, self.kind = name, kind
        self.begun, self._clock = time_ns(), monotonic_ns()
        self.seconds = 0.0
        self.attributes: dict[str, Value] = {}
        self.error, self.said, self.state = False, "", ""
        self.link: TraceContext | None = None
        self.failed: dict[tuple[str, str], int] = {}

    def end(self) -> None:
        """Takes the time."""
        self.seconds = (monotonic_ns() - self._clock) / 1e9

    @property
    def ended(self) -> int:
        """Nanoseconds since 1970; by the steady clock after its beginning."""
        return self.begun + round(self.seconds * 1e9)

    @property
    def fields(self) -> Mapping[str, str]:
        """What a request that is made within this span carries."""
        return TraceContext(self.trace_id, self.id, sampled=True, state=self.state).fields


CURRENT: ContextVar[Span | None] = ContextVar("CURRENT", default=None)
"""The span within which this task works. Tasks that it starts work within it too."""


def new_trace_id() -> str:
    """It need not be hard to guess, only another one each time."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """Likewise."""
    return f"{random.getrandbits(64) or 1:016x}"


class Sampler:
    """Draws which requests are traced, where nobody else has decided.

    As OpenTelemetry's own ratio sampler decides by the trace's id, so that services with the same
    ratio keep the same traces.
    """

    def __init__(self, ratio: float) -> None:
        self._below = round(ratio * (1 << 64))
        self._owed: deque[str] = deque(maxlen=_MOST_OWED)

    def draw(self) -> str:
        """A new trace's id; "" for a request that is not traced."""
        if self._owed:
            return self._owed.popleft()
        number = random.getrandbits(128) or 1
        return f"{number:032x}" if (number & _HALF) < self._below else ""

    def draws_now(self) -> bool:
        """Whether a request that could be answered at once is traced. It has to be given to the
        application then, whose next `draw` says so too."""
        number = random.getrandbits(128) or 1
        if (number & _HALF) >= self._below:
            return False
        self._owed.append(f"{number:032x}")
        return True

    def keep_to_no(self) -> None:
        """A request of which `draws_now` said no is given to the application all the same, whose
        next `draw` says no too: drawn twice, more would be traced than the ratio says."""
        self._owed.append("")


class Tracer:
    """Begins and ends spans. `take` gets each that has ended, and must be quick."""

    def __init__(self, take: Callable[[Span], None]) -> None:
        self._take = take

    def begin(self, name: str, kind: Kind, parent: Span) -> Span:
        """A span within another."""
        span = Span(parent.trace_id, parent.id, name, kind)
        span.state = parent.state
        return span

    def end(self, span: Span) -> None:
        """It is over."""
        span.end()
        self._take(span)

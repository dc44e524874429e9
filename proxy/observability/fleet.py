"""What the operator's door may ask of the workers, in words that both it and the server know.

A question has a name and arguments; a worker answers with one value, or with many (a stream) until
it is told to stop. Everything is JSON in Python's types.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.errors import HeadgateError
from proxy.observability.meters import Values
from proxy.observability.metrics import Metric

Arguments = Mapping[str, Any]
Emit = Callable[[object], Awaitable[None]]
# In a worker: gives its answer; may give any number of values to `Emit` before.
Operation = Callable[[Arguments, Emit], Awaitable[object]]


class Declined(HeadgateError):
    """A worker can't do what it is asked, and says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one worker said. `error` is why it gave no value, in words, or ""."""

    pid: int
    name: str
    value: Any = None
    error: str = ""


class Fleet(Protocol):
    """The workers, as the operator's door sees them. None of it waits for longer than it says."""

    def health(self) -> Mapping[str, Any]:
        """Whether new requests are welcome ("ready"), and what is known of workers and origins."""
        ...

    def present(self) -> Mapping[int, str]:
        """The process ids of all workers that live, those too that leave or only start, and the
        state of each: "starting", "ready" or "draining"."""
        ...

    async def metrics(self) -> Values:
        """The metrics of all processes in one; of a worker that is silent, what it said last."""
        ...

    def count(self, metric: Metric, amount: float) -> None:
        """Counts something up in this process."""
        ...

    async def ask(
        self,
        what: str,
        arguments: Arguments,
        seconds: float,
        worker: str = "",
        *,
        starting: bool = False,
        take: Callable[[Any], None] | None = None,
    ) -> list[Reply]:
        """Asks all workers, or those of this name or process id; empty if there is none.

        `seconds` is how long an answer may take; what comes later is a reply with an error.
        `starting`: those too that serve only soon, and answer then. `take` gets what they emit
        before they answer.
        """
        ...

    def ordered(self, what: str, arguments: Arguments) -> AbstractContextManager[None]:
        """Has each worker that is started while the block runs do this before it serves. Who asks
        those that are `present` within the block has missed none."""
        ...

    def listen(
        self, what: str, arguments: Arguments, take: Callable[[Any], None]
    ) -> AbstractContextManager[None]:
        """Has all workers stream to `take` while the block runs, those too that come later."""
        ...

"""Workers that answer at once, for tests of the operator's door by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from proxy.observability.fleet import Arguments, Reply
from proxy.observability.meters import Values
from proxy.observability.metrics import Metric

Answer = Callable[[Arguments], object]


class StubFleet:
    """`answers` are by question; `asked` is what was asked; `events` are streamed at once."""

    def __init__(
        self,
        health: Mapping[str, Any] | None = None,
        answers: Mapping[str, Answer] | None = None,
        events: tuple[object, ...] = (),
    ) -> None:
        self._health = health or {"ready": True, "draining": False, "workers": []}
        self._answers = answers or {}
        self._events = events
        self.asked: list[tuple[str, Arguments, float, str]] = []
        self.listening = 0
        self.counted: dict[str, float] = {}

    def health(self) -> Mapping[str, Any]:
        return self._health

    async def metrics(self) -> Values:
        return {"headgate_requests_total": [(["GET", "2xx", "1.1"], 7)]}

    def count(self, metric: Metric, amount: float) -> None:
        self.counted[metric.name] = self.counted.get(metric.name, 0) + amount

    def present(self) -> Mapping[int, str]:
        return {101: "ready"}

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
        del starting
        self.asked.append((what, arguments, seconds, worker))
        if worker not in ("", "worker-0", "101"):
            return []
        for event in self._events if take is not None else ():
            assert take is not None
            take(event)
        if what not in self._answers:
            return [Reply(101, "worker-0", error="no answer in 1 s")]
        return [Reply(101, "worker-0", self._answers[what](arguments))]

    @contextmanager
    def ordered(self, what: str, arguments: Arguments) -> Iterator[None]:
        del what, arguments
        yield

    @contextmanager
    def listen(
        self, what: str, arguments: Arguments, take: Callable[[Any], None]
    ) -> Iterator[None]:
        self.asked.append((what, arguments, 0.0, ""))
        self.listening += 1
        try:
            for event in self._events:
                take(event)
            yield
        finally:
            self.listening -= 1

"""The workers as the operator's door asks them: all at once, each with the same time limit.

What a worker has counted is fetched every few seconds, so that little is lost when one is killed,
and a worker that is held up is told with what it said last. See `proxy.observability.totals`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from proxy.observability import metrics as names
from proxy.observability.fleet import Arguments, Reply
from proxy.observability.meters import Meters, Values
from proxy.observability.metrics import Metric
from proxy.observability.totals import Ledger, of_process
from proxy.server.asking import Order, Unanswered
from proxy.server.processes import WorkerProcess

logger = logging.getLogger(__name__)

# Seconds between two looks at who is there, and the looks between two fetches of all metrics.
_LOOK_EVERY, _FETCH_EVERY = 1.0, 5
# Seconds for one worker's metrics. They take milliseconds; Prometheus itself waits 10 s.
_METRICS_TIMEOUT = 1.0
# Seconds without a word after which a worker counts as stuck, not as ready.
SILENT_AFTER = 10.0

Take = Callable[[Any], None]


class Listeners:
    """Who listens to streams, and the numbers their streams have at each worker."""

    def __init__(self) -> None:
        self._all: list[tuple[str, Arguments, Take, dict[WorkerProcess, int]]] = []

    def attach(self, workers: Sequence[WorkerProcess]) -> None:
        """Begins the streams at workers that are new."""
        for what, arguments, take, streams in self._all:
            for worker in workers:
                if worker not in streams and worker.state in ("ready", "draining"):
                    try:
                        streams[worker] = worker.asking.stream(what, arguments, take)
                    except Unanswered:
                        continue  # it is going, or hangs: there will be another
            for gone in [one for one in streams if one.state == "gone"]:
                del streams[gone]

    @contextmanager
    def added(self, what: str, arguments: Arguments, take: Take) -> Iterator[None]:
        """One more, while the block runs."""
        streams: dict[WorkerProcess, int] = {}
        entry = (what, arguments, take, streams)
        self._all.append(entry)
        try:
            yield
        finally:
            self._all.remove(entry)
            for worker, number in streams.items():
                worker.asking.end_stream(number)


class WorkerFleet:
    """All workers of a supervisor, as a `proxy.observability.fleet.Fleet`.

    `workers` gives those there are now, `draining` whether the whole stops, `meters` holds what
    the supervisor counts itself, and `coming` gives the workers that a reload has started so far.
    `run` keeps the account as long as it runs.
    """

    def __init__(
        self,
        workers: Callable[[], Sequence[WorkerProcess]],
        draining: Callable[[], bool],
        meters: Meters,
        coming: Callable[[], Sequence[WorkerProcess]] = tuple,
    ) -> None:
        self._workers = workers
        self._coming = coming
        self._draining = draining
        self._meters = meters
        self._ledger = Ledger()
        self._listeners = Listeners()
        self._orders: list[Order] = []
        self._spoke: dict[WorkerProcess, float] = {}
        self._origins: dict[WorkerProcess, dict[str, bool]] = {}
        self._fetching: asyncio.Task[int] | None = None
        meters.add(names.WORKERS_LOST, 0)
        meters.add(names.CACHE_PURGES, 0)
        for result in ("accepted", "refused"):
            meters.add(names.RELOADS, 0, result)

    async def run(self) -> None:
        """Looks at the workers again and again, until cancelled."""
        number = 0
        while True:
            try:
                self._settle()
                if number % _FETCH_EVERY == 0:
                    await self._fetch()
            except Exception:
                logger.exception("the workers' metrics could not be fetched")
            number += 1
            await asyncio.sleep(_LOOK_EVERY)

    # --- health ---------------------------------------------------------------------------------

    def health(self) -> Mapping[str, Any]:
        """See `Fleet`: ready when a worker is that is not stuck and that reaches an origin."""
        workers = self._workers()
        able = [one for one in workers if one.state == "ready" and not self._is_stuck(one)]
        return {
            "ready": bool(able) and not self._draining() and self._reaches_an_origin(able),
            "draining": self._draining(),
            "workers": [
                {"pid": one.pid, "state": "stuck" if self._is_stuck(one) else one.state}
                for one in workers
            ],
            "origins": self._origins_of(able),
        }

    def _is_stuck(self, worker: WorkerProcess) -> bool:
        spoke = self._spoke.get(worker)
        return worker.state == "ready" and spoke is not None and monotonic() - spoke > SILENT_AFTER

    def _origins_of(self, workers: Sequence[WorkerProcess]) -> dict[str, bool]:
        """Each origin and whether some worker reaches it; one not looked at yet is left out."""
        reached: dict[str, bool] = {}
        for worker in workers:
            for name, is_up in self._origins.get(worker, {}).items():
                reached[name] = reached.get(name, False) or is_up
        return reached

    def _reaches_an_origin(self, workers: Sequence[WorkerProcess]) -> bool:
        reached = self._origins_of(workers)
        return not reached or any(reached.values())

    # --- metrics --------------------------------------------------------------------------------

    async def metrics(self) -> Values:
        """See `Fleet`. Any number of scrapes at the same time ask the workers once."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        silent = await asyncio.shield(self._fetching)
        self._settle()
        self._meters.put(names.WORKERS_SILENT, silent)
        states = Counter(one.state for one in self._workers())
        for state in ("starting", "ready", "draining"):
            self._meters.put(names.WORKERS, states[state], state)
        return self._ledger.total(self._meters.read())

    def _fetched(self, task: asyncio.Task[int]) -> None:
        self._fetching = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("the workers' metrics could not be fetched", exc_info=task.exception())

    async def _fetch(self) -> int:
        """Notes what each worker has counted; returns how many did not say."""
        workers = [one for one in self._workers() if one.state in ("ready", "draining")]
        noted = await asyncio.gather(*map(self._fetch_one, workers))
        return noted.count(False)

    async def _fetch_one(self, worker: WorkerProcess) -> bool:
        self._spoke.setdefault(worker, monotonic())
        try:
            values = await worker.asking.ask("metrics", {}, _METRICS_TIMEOUT)
        except Unanswered:
            return worker.state == "gone"
        self._spoke[worker] = monotonic()
        self._note(worker, values)
        return True

    def _note(self, worker: WorkerProcess, values: Values) -> None:
        self._ledger.note(worker, of_process(values, worker.name))
        rows = values.get(names.ORIGIN_UP.name, [])
        self._origins[worker] = {labels[0]: value == 1 for labels, value in rows}

    def _settle(self) -> None:
        """Attaches to workers that are new and closes the account of those that are gone."""
        workers = self._workers()
        self._listeners.attach(workers)
        for one in workers:
            if one.state == "ready":
                self._spoke.setdefault(one, monotonic())
        for worker in [one for one in self._spoke if one.state == "gone"]:
            if worker.last_metrics is not None:
                self._ledger.note(worker, of_process(worker.last_metrics, worker.name))
            if worker.drained is None:
                self._meters.add(names.WORKERS_LOST, 1)
            self._ledger.close(worker)
            del self._spoke[worker]
            self._origins.pop(worker, None)

    def count(self, metric: Metric, amount: float) -> None:
        """See `Fleet`."""
        self._meters.add(metric, amount)

    # --- questions ------------------------------------------------------------------------------

    def _alive(self) -> list[WorkerProcess]:
        return [one for one in (*self._workers(), *self._coming()) if one.state != "gone"]

    def orders(self) -> list[Order]:
        """What a worker that starts now has to do before it serves."""
        return list(self._orders)

    @contextmanager
    def ordered(self, what: str, arguments: Arguments) -> Iterator[None]:
        """See `Fleet`."""
        order = {"what": what, "with": arguments}
        self._orders.append(order)
        try:
            yield
        finally:
            self._orders.remove(order)

    def present(self) -> Mapping[int, str]:
        """See `Fleet`."""
        return {one.pid: one.state for one in self._alive()}

    async def ask(
        self,
        what: str,
        arguments: Arguments,
        seconds: float,
        worker: str = "",
        *,
        starting: bool = False,
        take: Take | None = None,
    ) -> list[Reply]:
        """See `Fleet`. What a worker is asked while it starts waits in its channel."""
        asked = self._alive() if starting else self._workers()
        states = ("ready", "draining", *(("starting",) if starting else ()))
        workers = [
            one for one in asked if one.state in states and worker in ("", one.name, str(one.pid))
        ]
        return await asyncio.gather(
            *(self._ask_one(one, what, arguments, seconds, take) for one in workers)
        )

    async def _ask_one(
        self,
        worker: WorkerProcess,
        what: str,
        arguments: Arguments,
        seconds: float,
        take: Take | None,
    ) -> Reply:
        try:
            value = await worker.asking.ask(what, arguments, seconds, take)
        except Unanswered as error:
            return Reply(worker.pid, worker.name, error=str(error))
        return Reply(worker.pid, worker.name, value)

    @contextmanager
    def listen(self, what: str, arguments: Arguments, take: Take) -> Iterator[None]:
        """See `Fleet`."""
        with self._listeners.added(what, arguments, take):
            self._listeners.attach(self._workers())
            yield

"""The supervisor: one process that binds, starts the workers, replaces them, and never serves
a client itself (only the operator's door).

    SIGTERM, SIGINT   drain: no new connections, responses in flight may end; again: cut them
    SIGHUP            load again; new workers first, then the old ones drain

It works as process 1 of a container. If it is killed, the workers see it and drain by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from proxy.errors import ConfigurationError, StartError
from proxy.observability import metrics as names
from proxy.observability.meters import Meters
from proxy.server.crew import Crew, ServingPlan, name_of
from proxy.server.door import Door, MakeAdmin
from proxy.server.fleet import WorkerFleet
from proxy.server.processes import WorkerProcess, reap_orphans
from proxy.server.serving import Drained, check_http3
from proxy.server.sockets import Listeners
from proxy.server.tls import make_context

logger = logging.getLogger(__name__)

# Seconds between two looks for orphans, as process 1 only.
_REAP_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Started:
    """What is served now, with the ports that were chosen where 0 was asked for.

    Attributes:
        clear: addresses without TLS, as `host:port` or `unix:/path`.
        tls: addresses with TLS.
        admin: the operator's door, or None.
        workers: process ids.
    """

    clear: tuple[str, ...]
    tls: tuple[str, ...]
    admin: str | None
    workers: tuple[int, ...]


async def supervise(
    load: Callable[[], ServingPlan],
    command: Sequence[str],
    announce: Callable[[Started], None],
    admin: MakeAdmin | None = None,
    meters: Meters | None = None,
) -> int:
    """Serves until told to stop; returns the exit code, 0.

    `load` gives the plan, now and at each SIGHUP; it may raise `ConfigurationError` or
    `StartError`. `command` starts a worker; the descriptor of its control channel is appended.
    `announce` is called once, when everything is ready. `admin` makes the operator's door.
    `meters` holds what is counted in this process.

    Raises `StartError` or `ConfigurationError` when the first start fails; nothing is then left
    running or bound.
    """
    supervisor = Supervisor(load, command, admin, meters or Meters())
    return await supervisor.run(announce)


def _handle(
    number: signal.Signals, handler: Callable[[], None], loop: asyncio.AbstractEventLoop
) -> None:
    """Calls it in the loop when the signal comes. The loop's own way ends with the default, by
    which a signal in the last moments would end the process."""

    def handle(*_: object) -> None:
        loop.call_soon_threadsafe(handler)

    signal.signal(number, handle)


class Supervisor:
    """See `supervise`."""

    def __init__(
        self,
        load: Callable[[], ServingPlan],
        command: Sequence[str],
        admin: MakeAdmin | None,
        meters: Meters,
    ) -> None:
        self._load = load
        self._command = command
        self._listeners = Listeners()
        self._crew: Crew | None = None
        self._plans: list[ServingPlan] = []
        self._retired: set[asyncio.Task[None]] = set()
        self._old: set[Crew] = set()
        self._coming: set[Crew] = set()
        self._draining = False
        self._meters = meters
        self._fleet = WorkerFleet(
            self._workers, lambda: self._draining, meters, self._coming_workers
        )
        self._door = Door(admin, self._fleet)
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self, announce: Callable[[Started], None]) -> int:
        """The supervisor's whole life."""
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._told_to_stop,
            signal.SIGINT: self._told_to_stop,
            signal.SIGHUP: self._reload.set,
        }
        for number, handler in handlers.items():
            _handle(number, handler, loop)
        reaper = asyncio.create_task(self._reap()) if os.getpid() == 1 else None
        accounting = asyncio.create_task(self._fleet.run())
        try:
            await self._until_stop(self._serve(announce))
            await self._drain()
        finally:
            await self._clean_up()
            accounting.cancel()
            if reaper is not None:
                reaper.cancel()
            for number in handlers:
                signal.signal(number, signal.SIG_IGN)  # there is nothing left to stop
        return 0

    def _told_to_stop(self) -> None:
        (self._stop_now if self._stop.is_set() else self._stop).set()

    async def _until_stop(self, work: Coroutine[object, object, None]) -> None:
        """Does the work until it ends, fails, or a stop is asked for."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            working.cancel()
        try:
            await working
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise

    async def _serve(self, announce: Callable[[Started], None]) -> None:
        crew = await self._load_and_start()
        announce(self._started(crew))
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                await self._load_and_start()
                logger.info("the new configuration is in effect")
            except (ConfigurationError, StartError) as error:
                self._meters.add(names.RELOADS, 1, "refused")
                logger.warning("the new configuration is refused, the old one stays: %s", error)

    # --- starting ---------------------------------------------------------------------------

    async def _load_and_start(self) -> Crew:
        plan = await asyncio.to_thread(self._load)
        self._plans.append(plan)
        try:
            return await self._start(plan)
        except BaseException:
            if self._crew is None or self._crew.plan is not plan:
                await self._release(plan)
            raise

    async def _release(self, plan: ServingPlan) -> None:
        """Nobody serves by this plan any more."""
        self._plans.remove(plan)
        await asyncio.to_thread(plan.release)

    async def _start(self, plan: ServingPlan) -> Crew:
        """Starts a crew for the plan, and retires the one there was. On an error all stays."""
        if plan.tls is not None:
            make_context(plan.tls)
            if plan.http3:
                check_http3(plan.tls)
        listeners = self._listeners.succeed(plan.addresses, plan.workers, plan.beside)
        crew = Crew(plan, listeners, self._command, self._fleet.orders)
        self._coming.add(crew)
        try:
            await crew.start()
        except BaseException:
            listeners.close_except(self._listeners)
            raise
        finally:
            self._coming.discard(crew)
        previous, self._crew = self._crew, crew
        before, self._listeners = self._listeners, listeners
        before.close_except(listeners)
        if previous is not None:
            self._retire(previous)
        await self._door.open(plan, self._listeners)
        self._meters.add(names.RELOADS, 1, "accepted")
        self._meters.put(names.LAST_LOAD, time.time())
        return crew

    def _retire(self, crew: Crew) -> None:
        self._old.add(crew)
        task = asyncio.create_task(self._see_off(crew))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def _see_off(self, crew: Crew) -> None:
        total, unknown = await crew.retire(crew.plan.graceful_timeout)
        self._old.discard(crew)
        await self._release(crew.plan)
        _say("replaced", total, unknown)

    def _started(self, crew: Crew) -> Started:
        plan = crew.plan

        def shown(use: str, address: str) -> str:
            return self._listeners.shown(name_of(use, address))

        return Started(
            clear=tuple(shown("clear", one) for one in plan.bind),
            tls=tuple(shown("tls", one) for one in plan.tls_bind),
            admin=shown("admin", plan.admin_bind) if plan.admin_bind is not None else None,
            workers=tuple(one.pid for one in crew.workers),
        )

    def _workers(self) -> list[WorkerProcess]:
        """All workers of all crews, those too that are leaving."""
        crews = ([self._crew] if self._crew is not None else []) + list(self._old)
        return [worker for crew in crews for worker in crew.workers]

    def _coming_workers(self) -> list[WorkerProcess]:
        """Those of a crew that is started and has not taken over; some may serve already."""
        return [worker for crew in self._coming for worker in crew.workers]

    # --- stopping ---------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Lets all responses in flight end, for as long as the plan allows."""
        self._draining = True
        crew = self._crew
        if crew is None:
            return
        logger.info("stopping: responses in flight have %g s to end", crew.plan.graceful_timeout)
        hurrying = asyncio.create_task(self._hurry_when_told([crew, *self._old]))
        retiring = asyncio.create_task(crew.retire(crew.plan.graceful_timeout))
        await asyncio.sleep(0)  # the workers are told first: what is queued, they may still take
        self._close_listeners(crew.plan)
        total, unknown = await retiring
        if self._retired:
            await asyncio.wait(list(self._retired))
        hurrying.cancel()
        self._crew = None
        _say("stopped", total, unknown)

    def _close_listeners(self, plan: ServingPlan) -> None:
        """Closes our copies of the workers' sockets, so that new connections are refused."""
        served = plan.served
        rest = {name: text for name, text in plan.addresses.items() if name not in served}
        kept = self._listeners.succeed(rest, 1)
        self._listeners.close_except(kept)
        self._listeners = kept

    async def _hurry_when_told(self, crews: Sequence[Crew]) -> None:
        await self._stop_now.wait()
        for crew in crews:
            await crew.hurry()

    async def _clean_up(self) -> None:
        """Leaves nothing running or bound, however we came here."""
        for task in list(self._retired):
            task.cancel()
        for crew in [*([self._crew] if self._crew is not None else []), *self._old]:
            await crew.kill()
        await self._door.close()
        self._listeners.close_except(Listeners())
        for plan in list(self._plans):
            await self._release(plan)

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(_REAP_EVERY)
            crews = [self._crew, *self._old]
            reap_orphans({one.pid for crew in crews if crew is not None for one in crew.workers})


def _say(what: str, total: Drained, unknown: int) -> None:
    rest = f"; {unknown} workers ended without a count" if unknown else ""
    logger.info(
        "%s: %d responses finished while draining, %d cut%s", what, total.finished, total.cut, rest
    )

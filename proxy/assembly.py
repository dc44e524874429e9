"""Settings to a running Headgate. With `proxy.layered` and `proxy.site`, the one place that
knows every class.

Read top to bottom: what a worker serves, and how the supervisor starts and replaces workers.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from proxy import __version__, machine
from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.cache.memory.shared_memory import SharedMemory
from proxy.cache.operations.operations import Operations
from proxy.cache.rules.shares import Shared, shared_of
from proxy.config import (
    Loaded,
    Settings,
    dump_for_worker,
    load_from_supervisor,
    made_for_worker,
)
from proxy.config.fields import is_local
from proxy.config.render import render
from proxy.errors import StartError
from proxy.flow.budget import Budget
from proxy.integrity.rolling import make_pool
from proxy.layered import (
    cached,
    checked,
    make_cache,
    make_origin,
    measure_cache,
    secret_of,
    share_memory,
    source_of,
    traced,
    with_layers,
)
from proxy.observability import metrics as names
from proxy.observability.fleet import Operation
from proxy.observability.flow import Crowd, measure_crowd, measure_memory
from proxy.observability.instruments import Instruments, measure_log
from proxy.observability.logs import DroppingHandler, logging_to_standard_error
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.observability.process import measure_process
from proxy.origins.base import Origin
from proxy.server.app import PublicDoor, make_app
from proxy.server.crew import ServingPlan
from proxy.server.hot import HotPath
from proxy.server.supervisor import Started, supervise
from proxy.server.tls import TLSFiles
from proxy.server.worker import run_worker
from proxy.site import make_site, mounts_of, places_of
from proxy.traces import make_traces
from proxy.welcome import welcome

# --- a worker -----------------------------------------------------------------------------------


class Service:
    """What one worker serves: origins, the site over them, and the application.

    `start` opens the origins and raises `StartError` for the first that can't be used; `aclose`
    gives everything back. An ASGI server that knows lifespans calls both by way of `app`; our own
    worker calls them itself, since it has to tell the supervisor why a start failed.
    """

    def __init__(
        self,
        settings: Settings,
        log: DroppingHandler | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._instruments = Instruments(log)
        meters, tables = self._instruments.meters, settings.origins
        self._traces = make_traces(settings.telemetry, meters)
        self._stores = {name: Metered(make_origin(tables[name]), name, meters) for name in tables}
        tracer = self._traces.tracer if self._traces is not None else None
        self._origins = {
            name: with_layers(name, tables[name], traced(name, tables[name], store, tracer), meters)
            for name, store in self._stores.items()
        }
        self._sums = make_pool()
        self._cache = make_cache(settings.cache, shared)
        if self._cache is not None:
            measure_cache(meters, self._cache)
        kept = cached(settings, self._origins, self._cache, tracer)
        served = checked(settings, kept, self._sums, meters)
        site = make_site(settings, served, self._sums)
        warmed = {
            table.origin: served[source_of(table)]
            for table in settings.mounts
            if table.origin in _kept_origins(settings)
        }
        self._cache_operations = Operations(self._cache, warmed, site.terms)
        budget = Budget(memory_of(settings), settings.flow.queue, settings.flow.wait)
        measure_memory(meters, budget.statistics)
        self.door = PublicDoor(
            site,
            stall_timeout=settings.server.stall_timeout,
            responses=self._instruments.responses,
            prepared=settings.http.prepared,
            tracing=self._traces.of(places_of(settings)) if self._traces is not None else None,
            budget=budget,
        )
        self.app = make_app(self.door, self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        try:
            await self.start()
            yield
        finally:
            await self.aclose()

    async def start(self) -> None:
        """Opens all origins at once, and the cache."""
        starts = [_start(name, origin) for name, origin in self._origins.items()]
        if self._cache is not None:
            starts.append(self._cache.start())
        for fault in await asyncio.gather(*starts, return_exceptions=True):
            if fault is not None:
                await self.aclose()
                raise fault
        self._instruments.start(self._stores)
        if self._traces is not None:
            self._traces.start()

    @property
    def hot(self) -> HotPath | None:
        """What answers at once, from memory."""
        return self.door.hot

    def watch(self, crowd: Callable[[], Crowd]) -> None:
        """Has the clients of the worker counted, which only the server knows."""
        measure_crowd(self._instruments.meters, crowd)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What the operator may ask of it."""
        return {**self._instruments.operations, **self._cache_operations.by_name}

    async def aclose(self) -> None:
        """Closes the origins."""
        await self._instruments.aclose()
        if self._cache is not None:
            await self._cache.aclose()
        closing = [origin.aclose() for origin in self._origins.values()]
        if self._traces is not None:
            closing.append(self._traces.aclose())
        await asyncio.gather(*closing)
        self._sums.shutdown(wait=False, cancel_futures=True)


async def _start(name: str, origin: Origin) -> None:
    try:
        await origin.start()
    except StartError as error:
        raise StartError(f"origins.{name}: {error}") from None


# --- the processes ------------------------------------------------------------------------------


def serve(load: Callable[[], Loaded]) -> int:
    """Runs the supervisor until it is told to stop; the exit code.

    `load` reads the configuration, now and at each SIGHUP; it raises `ConfigurationError`.
    Raises `StartError` if the first start fails.
    """
    first = load()
    pending = [first]
    log = first.settings.log

    memory = SharedMemory()
    directories: dict[str, None] = {}  # all that were named, in order

    def plan() -> ServingPlan:
        loaded = pending.pop() if pending else load()
        named = str(loaded.settings.cache.directory or "") if loaded.settings.cache else ""
        former = tuple(one for one in directories if one != named)
        directories.update({named: None} if named else {})
        shared = share_memory(loaded.settings.cache, workers_of(loaded.settings), memory)
        made = replace(plan_of(loaded.settings, shared), admin=admin_options(loaded, former))
        if shared is None:
            return made
        return replace(made, release=partial(memory.give_back, Path(shared.directory)))

    def announce(started: Started) -> None:
        sys.stdout.write(welcome(first.settings, started))
        sys.stdout.flush()

    command = [sys.executable, "-m", "proxy", "worker"]
    with logging_to_standard_error(log.level, log.format, access=log.access) as handler:
        meters = meters_of_supervisor(handler)
        memory.sweep()
        try:
            return asyncio.run(supervise(plan, command, announce, make_admin, meters))
        finally:
            memory.close()


def meters_of_supervisor(log: DroppingHandler) -> Meters:
    """What is counted in the supervisor."""
    meters = Meters()
    measure_process(meters, "supervisor")
    measure_log(meters, log, "supervisor")
    meters.put(names.BUILD, 1, __version__, platform.python_version())
    return meters


def admin_options(loaded: Loaded, former: tuple[str, ...] = ()) -> AdminOptions:
    """What the operator's door is told of the configuration; `former` as it has it."""
    admin = loaded.settings.admin
    return AdminOptions(
        token=secret_of(admin.token),
        debug=admin.debug,
        is_local=is_local(admin.bind),
        configuration="\n".join([*render(loaded), ""]),
        mounts=mounts_of(loaded.settings),
        cached=_kept_origins(loaded.settings),
        purge_timeout=admin.purge_timeout,
        former=former,
    )


def _kept_origins(settings: Settings) -> tuple[str, ...]:
    """The origins of which slices are kept."""
    if settings.cache is None:
        return ()
    return tuple(name for name, table in settings.origins.items() if table.cache)


def plan_of(settings: Settings, shared: Shared | None = None) -> ServingPlan:
    """What the supervisor has to know: addresses, limits, and the settings for the workers."""
    server = settings.server
    tls = server.tls
    return ServingPlan(
        bind=server.bind,
        payload=dump_for_worker(settings, asdict(shared) if shared is not None else None),
        tls=TLSFiles(tls.bind, str(tls.certificate), str(tls.key)) if tls else None,
        http3=tls is not None and tls.http3,
        http3_port=tls.http3_port if tls else 0,
        http3_max_age=int(tls.http3_max_age) if tls else 0,
        workers=workers_of(settings),
        graceful_timeout=server.graceful_timeout,
        keep_alive_timeout=server.keep_alive_timeout,
        max_header_size=server.max_header_size,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        admin_bind=settings.admin.bind or None,
    )


def memory_of(settings: Settings) -> int:
    """How many bytes bodies on their way may hold in each worker."""
    return settings.flow.memory or machine.memory() // 2 // workers_of(settings)


def workers_of(settings: Settings) -> int:
    """How many workers serve."""
    workers = settings.server.workers
    return machine.processors() if workers == "auto" else int(workers)


def worker(control: int) -> int:
    """Runs a worker of the supervisor at the other end of the descriptor; the exit code."""
    with ExitStack() as logging_on:

        def build(payload: bytes) -> Service:
            settings = load_from_supervisor(payload)
            log = settings.log
            handler = logging_on.enter_context(
                logging_to_standard_error(log.level, log.format, access=log.access)
            )
            return Service(settings, handler, shared_of(made_for_worker(payload)))

        return run_worker(control, build)

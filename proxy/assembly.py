"""Settings to a running Headgate. The only file that knows every concrete class.

Read top to bottom: what a worker serves, and how the supervisor starts and replaces workers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from proxy import __version__
from proxy.admin.app import make_admin
from proxy.admin.options import AdminOptions
from proxy.config import Loaded, Settings, dump_for_worker, load_from_supervisor
from proxy.config import settings as options
from proxy.config.fields import is_local
from proxy.config.render import render
from proxy.errors import StartError
from proxy.integrity.rolling import make_pool
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Checking, Verified
from proxy.observability import metrics as names
from proxy.observability.fleet import Operation
from proxy.observability.instruments import Instruments, measure_log
from proxy.observability.logs import DroppingHandler, logging_to_standard_error
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.observability.process import measure_process
from proxy.origins.base import Origin
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.resuming import Resuming, Trouble
from proxy.origins.retrying import RetryOptions
from proxy.semantics.globs import compile_glob
from proxy.semantics.routing import Mount, Rule
from proxy.server.app import PublicDoor, make_app
from proxy.server.crew import ServingPlan
from proxy.server.delivery import Site
from proxy.server.digesting import Digester
from proxy.server.hot import HotPath
from proxy.server.supervisor import Started, supervise
from proxy.server.tls import TLSFiles
from proxy.server.worker import run_worker
from proxy.welcome import welcome

_log = logging.getLogger("headgate")

# Where cgroup v2 says what a container may use.
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

# --- a worker -----------------------------------------------------------------------------------


class Service:
    """What one worker serves: origins, the site over them, and the application.

    `start` opens the origins and raises `StartError` for the first that can't be used; `aclose`
    gives everything back. An ASGI server that knows lifespans calls both by way of `app`; our own
    worker calls them itself, since it has to tell the supervisor why a start failed.
    """

    def __init__(self, settings: Settings, log: DroppingHandler | None = None) -> None:
        self._instruments = Instruments(log)
        meters, tables = self._instruments.meters, settings.origins
        self._stores = {name: Metered(make_origin(tables[name]), name, meters) for name in tables}
        self._origins = {
            name: with_layers(name, tables[name], store, meters)
            for name, store in self._stores.items()
        }
        self._sums = make_pool()
        site = make_site(settings, checked(settings, self._origins, self._sums, meters), self._sums)
        self.door = PublicDoor(
            site,
            stall_timeout=settings.server.stall_timeout,
            responses=self._instruments.responses,
            prepared=settings.http.prepared,
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
        """Opens all origins at once."""
        names = list(self._origins)
        starts = (_start(name, self._origins[name]) for name in names)
        for fault in await asyncio.gather(*starts, return_exceptions=True):
            if fault is not None:
                await self.aclose()
                raise fault
        self._instruments.start(self._stores)

    @property
    def hot(self) -> HotPath | None:
        """What answers at once, from memory."""
        return self.door.hot

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What the operator may ask of it."""
        return self._instruments.operations

    async def aclose(self) -> None:
        """Closes the origins."""
        await self._instruments.aclose()
        await asyncio.gather(*(origin.aclose() for origin in self._origins.values()))
        self._sums.shutdown(wait=False, cancel_futures=True)


async def _start(name: str, origin: Origin) -> None:
    try:
        await origin.start()
    except StartError as error:
        raise StartError(f"origins.{name}: {error}") from None


def with_layers(
    name: str,
    table: options.S3Origin | options.DirectoryOrigin,
    store: Origin,
    meters: Meters,
) -> Origin:
    """The store that a table describes, and over it what makes it steady."""
    if isinstance(table, options.DirectoryOrigin):
        return store  # a disk that fails is not helped by asking it again
    for kind in names.RETRIES:
        meters.add(names.ORIGIN_RETRIES, 0, name, kind)
    retries = RetryOptions(max_retries=table.max_retries, budget=table.retry_budget)
    return Resuming(store, retries, partial(_note_trouble, name, meters))


def _note_trouble(origin: str, meters: Meters, trouble: Trouble) -> None:
    meters.add(names.ORIGIN_RETRIES, 1, origin, trouble.kind)
    level = logging.WARNING if trouble.kind == "exhausted" else logging.INFO
    _log.log(level, "origins.%s: %s", origin, trouble)


def make_origin(table: options.S3Origin | options.DirectoryOrigin) -> Origin:
    """The origin that a table of the configuration describes."""
    if isinstance(table, options.DirectoryOrigin):
        return DirectoryOrigin(
            table.root,
            follow_symlinks=table.follow_symlinks,
            show_hidden=table.show_hidden,
            recheck=table.recheck,
        )
    # Imported where it is used: it takes 0.7 s, which a supervisor and a directory do without.
    from proxy.origins.s3 import S3Options, S3Origin  # noqa: PLC0415

    return S3Origin(
        S3Options(
            bucket=table.bucket,
            prefix=table.prefix,
            endpoint=table.endpoint,
            region=table.region,
            addressing=table.addressing,
            access_key_id=table.access_key_id,
            secret_access_key=_secret(table.secret_access_key),
            session_token=_secret(table.session_token),
            profile=table.profile,
            unsigned=table.unsigned,
            connect_timeout=table.connect_timeout,
            first_byte_timeout=table.first_byte_timeout,
            stall_timeout=table.stall_timeout,
            max_connections=table.max_connections,
            ca_bundle=str(table.ca_bundle) if table.ca_bundle else None,
        )
    )


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


def checked(
    settings: Settings, origins: Mapping[str, Origin], pool: Executor, meters: Meters
) -> dict[str, Origin]:
    """What the mounts are served from: their origins, checked as each mount says.

    The layers hold nothing of their own, so it is still the origins that are started and closed.
    """
    return {
        _source(table): Verified(
            origins[table.origin],
            Checking(
                table.verify,
                pool,
                report=partial(note_verdict, meters),
                name=table.origin,
                read_through=table.verify_ranges_up_to,
            ),
        )
        for table in settings.mounts
    }


def note_verdict(meters: Meters, verdict: Verdict) -> None:
    """Counts what a check came to."""
    labels = (verdict.algorithm or "none", verdict.state, verdict.reason)
    meters.add(names.VERIFICATIONS, 1, *labels)
    meters.add(names.VERIFIED_BYTES, verdict.bytes, *labels[:2])


def _source(table: options.Mount) -> str:
    """A name for a way of checking an origin. No origin's name has a space."""
    return f"{table.origin} {table.verify} {table.verify_ranges_up_to}"


def make_site(settings: Settings, origins: dict[str, Origin], pool: Executor | None = None) -> Site:
    """The public tree that the configuration describes, over what `checked` made.

    `pool` is where digests are computed that clients ask for.
    """
    return Site(
        digester=Digester(pool),
        mounts=mounts_of(settings),
        rules=tuple(_rule(table) for table in settings.rules),
        origins=origins,
        max_ranges=settings.http.max_ranges,
        max_overlapping_ranges=settings.http.max_overlapping_ranges,
        max_target=settings.http.max_target,
        listing_page=settings.http.listing_page,
    )


def mounts_of(settings: Settings) -> tuple[Mount, ...]:
    """Where in the public tree origins appear."""
    return tuple(_mount(table) for table in settings.mounts)


def _mount(table: options.Mount) -> Mount:
    return Mount(
        path=table.path,
        origin=table.origin,
        index=table.index,
        codings=table.precompressed,
        listing=table.listing,
        error_pages=dict(table.error_pages),
        source=_source(table),
    )


def _rule(table: options.Rule) -> Rule:
    return Rule(
        pattern=compile_glob(table.path),
        cache_control=table.cache_control,
        content_security_policy=table.content_security_policy,
        fallback=table.fallback,
        download=table.download,
    )


# --- the processes ------------------------------------------------------------------------------


def serve(load: Callable[[], Loaded]) -> int:
    """Runs the supervisor until it is told to stop; the exit code.

    `load` reads the configuration, now and at each SIGHUP; it raises `ConfigurationError`.
    Raises `StartError` if the first start fails.
    """
    first = load()
    pending = [first]
    log = first.settings.log

    def plan() -> ServingPlan:
        loaded = pending.pop() if pending else load()
        return replace(plan_of(loaded.settings), admin=admin_options(loaded))

    def announce(started: Started) -> None:
        sys.stdout.write(welcome(first.settings, started))
        sys.stdout.flush()

    command = [sys.executable, "-m", "proxy", "worker"]
    with logging_to_standard_error(log.level, log.format, access=log.access) as handler:
        meters = meters_of_supervisor(handler)
        return asyncio.run(supervise(plan, command, announce, make_admin, meters))


def meters_of_supervisor(log: DroppingHandler) -> Meters:
    """What is counted in the supervisor."""
    meters = Meters()
    measure_process(meters, "supervisor")
    measure_log(meters, log, "supervisor")
    meters.put(names.BUILD, 1, __version__, platform.python_version())
    return meters


def admin_options(loaded: Loaded) -> AdminOptions:
    """What the operator's door is told of the configuration."""
    admin = loaded.settings.admin
    return AdminOptions(
        token=_secret(admin.token),
        debug=admin.debug,
        is_local=is_local(admin.bind),
        configuration="\n".join([*render(loaded), ""]),
    )


def plan_of(settings: Settings) -> ServingPlan:
    """What the supervisor has to know: addresses, limits, and the settings for the workers."""
    server = settings.server
    tls = server.tls
    return ServingPlan(
        bind=server.bind,
        payload=dump_for_worker(settings),
        tls=TLSFiles(tls.bind, str(tls.certificate), str(tls.key)) if tls else None,
        workers=processors() if server.workers == "auto" else int(server.workers),
        graceful_timeout=server.graceful_timeout,
        keep_alive_timeout=server.keep_alive_timeout,
        max_header_size=server.max_header_size,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        admin_bind=settings.admin.bind or None,
    )


def processors(quota: Path = CPU_QUOTA) -> int:
    """How many processors this process may use: by affinity, and by its container's quota.

    `quota` is cgroup v2's file, "<microseconds> <of so many>" or "max <of so many>".
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return min(count, max(1, int(allowed) // int(period)))
    except (OSError, ValueError):  # no container, or "max"
        return count


def worker(control: int) -> int:
    """Runs a worker of the supervisor at the other end of the descriptor; the exit code."""
    with ExitStack() as logging_on:

        def build(payload: bytes) -> Service:
            settings = load_from_supervisor(payload)
            log = settings.log
            handler = logging_on.enter_context(
                logging_to_standard_error(log.level, log.format, access=log.access)
            )
            return Service(settings, handler)

        return run_worker(control, build)

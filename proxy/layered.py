"""Settings to origins, each with its layers, from the store up to what a mount is served from.

    Verified( Cached( Fetching( Resuming( Traced( Metered( store ) ) ) ) ) )

Verification is above the cache, since only a whole can be compared with a store's checksum; asking
again is below it, so that all who wait for a slice wait for the same tries. The two that make
spans are there only where traces are on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from typing import Final

from pydantic import SecretStr

from proxy.cache.cache import Cache
from proxy.cache.filling.judging import Checks
from proxy.cache.memory.shared_memory import SharedMemory
from proxy.cache.options import CacheOptions
from proxy.cache.rules.shares import CannotShare, Shared, shares_of
from proxy.cache.serving.layer import Cached
from proxy.config import Settings
from proxy.config import origins as origin_options
from proxy.config import settings as options
from proxy.integrity.checking import Checking
from proxy.integrity.checksums import new_sum
from proxy.integrity.choice import choose
from proxy.integrity.combination import combine, is_combinable
from proxy.integrity.verdict import Verdict
from proxy.integrity.verified import Verified
from proxy.observability import cache_metrics
from proxy.observability import metrics as names
from proxy.observability.meters import Meters
from proxy.observability.spans import Tracer
from proxy.observability.traced import Fetching, Traced
from proxy.origins.base import Origin
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.resuming import Resuming, Trouble
from proxy.origins.retrying import RetryOptions

_log = logging.getLogger("headgate")
_MIB: Final = 1024 * 1024


def with_layers(
    name: str,
    table: origin_options.Origin,
    store: Origin,
    meters: Meters,
) -> Origin:
    """The store that a table describes, and over it what makes it steady."""
    if isinstance(table, origin_options.DirectoryOrigin):
        return store  # a disk that fails is not helped by asking it again
    for kind in names.RETRIES:
        meters.add(names.ORIGIN_RETRIES, 0, name, kind)
    retries = RetryOptions(max_retries=table.max_retries, budget=table.retry_budget)
    return Resuming(store, retries, partial(_note_trouble, name, meters))


def _note_trouble(origin: str, meters: Meters, trouble: Trouble) -> None:
    meters.add(names.ORIGIN_RETRIES, 1, origin, trouble.kind)
    level = logging.WARNING if trouble.kind == "exhausted" else logging.INFO
    _log.log(level, "origins.%s: %s", origin, trouble)


def share_memory(table: options.Cache | None, workers: int, memory: SharedMemory) -> Shared | None:
    """Where several workers share slices that are kept in memory only; None where they don't.

    `memory` is asked for a directory, which is to be given back.
    """
    if table is None or table.directory is not None or workers < 2:
        return None
    try:
        shares = shares_of(table.memory, table.slice, workers)
        directory = memory.take(shares.room)
    except CannotShare as why:
        _log.warning(
            "cache: each of %d workers fetches and keeps slices for itself, up to %d MiB: %s",
            workers,
            table.memory // _MIB,
            why,
        )
        return None
    shared, own = shares.shared // _MIB, shares.own // _MIB
    said = "cache: %d workers share %d MiB of slices in %s; each has %d MiB of its own"
    _log.info(said, workers, shared, directory, own)
    return Shared(str(directory), shares)


def make_cache(table: options.Cache | None, shared: Shared | None = None) -> Cache | None:
    """The cache that a table of the configuration describes, for one worker."""
    if table is None:
        return None
    directory = table.directory if shared is None else shared.directory
    return Cache(
        CacheOptions(
            directory=str(directory) if directory is not None else None,
            in_memory=shared is not None,
            size=table.size if shared is None else shared.shares.shared,
            files=table.files,
            free=table.free if shared is None else 0,
            memory=table.memory if shared is None else shared.shares.own,
            width=table.slice,
            read_ahead=table.read_ahead,
            missing_ttl=table.missing_ttl,
            follow_demands=table.follow_requests,
        ),
        Checks(choose, new_sum, is_combinable, combine),
    )


def traced(
    name: str,
    table: origin_options.Origin,
    store: Origin,
    tracer: Tracer | None,
) -> Origin:
    """The store, what is asked of it as spans, if traces are on."""
    if tracer is None:
        return store
    is_near = isinstance(table, origin_options.DirectoryOrigin)
    return Traced(store, name, tracer, "internal" if is_near else "client")


def cached(
    settings: Settings,
    origins: Mapping[str, Origin],
    cache: Cache | None,
    tracer: Tracer | None = None,
) -> Mapping[str, Origin]:
    """The origins, those of which slices are kept over the cache."""
    if cache is None:
        return origins
    kept = {name: origin for name, origin in origins.items() if settings.origins[name].cache}
    below = {name: Fetching(kept[name], name, tracer) for name in kept} if tracer else kept
    return {**origins, **{name: Cached(below[name], name, cache) for name in kept}}


def measure_cache(meters: Meters, cache: Cache) -> None:
    """Has what the cache keeps and did looked up before each reading."""
    for result in names.CACHE_RESULTS:
        meters.add(names.CACHE_ANSWERS, 0, result)

    def look() -> None:
        now = asdict(cache.statistics())
        for tier in cache_metrics.TIERS:
            meters.put(cache_metrics.BYTES, now[f"bytes_{tier}"], tier)
        for result in cache_metrics.FILL_RESULTS:
            meters.put(cache_metrics.FILLS, now[f"fills_{result}"], result)
        for tier in ("memory", "disk"):
            meters.put(cache_metrics.EVICTED, now[f"{tier}_evicted"], tier)
        for reason in ("full", "failing"):
            meters.put(cache_metrics.RESTING, float(now["resting"] == reason), reason)
        for metric, name in _CACHE_NUMBERS.items():
            meters.put(metric, now[name])

    meters.before_reading(look)


_CACHE_NUMBERS: Mapping[names.Metric, str] = {
    cache_metrics.DAMAGED: "disk_damaged",
    cache_metrics.WRITTEN: "disk_written",
    cache_metrics.WRITTEN_BYTES: "disk_written_bytes",
    cache_metrics.EVICTED_BYTES: "disk_evicted_bytes",
    cache_metrics.DISK_BYTES: "disk_bytes",
    cache_metrics.DISK_LIMIT: "disk_limit",
    cache_metrics.DISK_FILES: "disk_files",
    cache_metrics.DISK_FILES_LIMIT: "disk_files_limit",
    cache_metrics.SHARED: "shared_used",
    cache_metrics.SHARED_LIMIT: "shared_limit",
    cache_metrics.MEMORY: "memory_used",
    cache_metrics.MEMORY_LIMIT: "memory_limit",
    cache_metrics.ENTRIES: "entries",
}


def make_origin(table: origin_options.Origin) -> Origin:
    """The origin that a table of the configuration describes."""
    if isinstance(table, origin_options.DirectoryOrigin):
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
            secret_access_key=secret_of(table.secret_access_key),
            session_token=secret_of(table.session_token),
            profile=table.profile,
            unsigned=table.unsigned,
            connect_timeout=table.connect_timeout,
            first_byte_timeout=table.first_byte_timeout,
            stall_timeout=table.stall_timeout,
            max_connections=table.max_connections,
            ca_bundle=str(table.ca_bundle) if table.ca_bundle else None,
        )
    )


def secret_of(value: SecretStr | None) -> str | None:
    """A secret in clear, for who needs it."""
    return value.get_secret_value() if value is not None else None


def checked(
    settings: Settings, origins: Mapping[str, Origin], pool: Executor, meters: Meters
) -> dict[str, Origin]:
    """What the mounts are served from: their origins, checked as each mount says.

    The layers hold nothing of their own, so it is still the origins that are started and closed.
    """
    verdicts = Verdicts(meters)
    return {
        source_of(table): Verified(
            origins[table.origin],
            Checking(
                table.verify,
                pool,
                report=verdicts.note,
                name=table.origin,
                read_through=table.verify_ranges_up_to,
                # A cache asks for a slice at once anyway: for a range, one more at the most.
                kept_through=2 * settings.cache.slice if settings.cache is not None else 0,
            ),
        )
        for table in settings.mounts
    }


class Verdicts:
    """Counts what checks came to: summed here, and looked up when somebody asks."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._counts: dict[tuple[str, str, str], tuple[int, int]] = {}
        meters.before_reading(self._fill_in)

    def note(self, verdict: Verdict) -> None:
        """Counts one."""
        key = verdict.algorithm, verdict.state, verdict.reason
        times, size = self._counts.get(key, (0, 0))
        self._counts[key] = times + 1, size + verdict.bytes

    def _fill_in(self) -> None:
        for (algorithm, state, reason), (times, size) in self._counts.items():
            labels = (algorithm or "none", state, reason)
            self._meters.add(names.VERIFICATIONS, times, *labels)
            self._meters.add(names.VERIFIED_BYTES, size, *labels[:2])
        self._counts.clear()


def source_of(table: options.Mount) -> str:
    """A name for a way of checking an origin. No origin's name has a space."""
    return f"{table.origin} {table.verify} {table.verify_ranges_up_to}"

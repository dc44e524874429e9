"""Settings to what is served: where in the public tree origins appear, and by which rules."""

from __future__ import annotations

from concurrent.futures import Executor

from proxy.config import Settings
from proxy.config import settings as options
from proxy.layered import source_of
from proxy.observability.tracing import Places
from proxy.origins.base import Origin
from proxy.semantics.freshness import Terms
from proxy.semantics.globs import compile_glob
from proxy.semantics.routing import Mount, Rule
from proxy.server.delivery import Site
from proxy.server.digesting import Digester


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
        terms=_terms(settings.cache),
        tells_cache=settings.cache is not None and settings.cache.tell,
    )


def _terms(table: options.Cache | None) -> Terms:
    if table is None:
        return Terms()
    return Terms(
        default_ttl=table.default_ttl,
        stale_while_revalidate=table.stale_while_revalidate,
        stale_if_error=table.stale_if_error,
    )


def places_of(settings: Settings) -> Places:
    """What a span may say of where a path belongs."""
    rules = [(table.path, compile_glob(table.path)) for table in settings.rules]
    return Places(mounts_of(settings), rules)


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
        source=source_of(table),
    )


def _rule(table: options.Rule) -> Rule:
    return Rule(
        pattern=compile_glob(table.path),
        cache_control=table.cache_control,
        content_security_policy=table.content_security_policy,
        fallback=table.fallback,
        download=table.download,
        cache_ttl=table.cache_ttl,
    )

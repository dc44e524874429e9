"""Settings to a running Headgate. The only file that knows every concrete class.

Read top to bottom: what a worker serves, and how the supervisor starts and replaces workers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import SecretStr
from starlette.types import ASGIApp

from proxy.config import Loaded, Settings, dump_for_worker, load_from_supervisor
from proxy.config import settings as options
from proxy.errors import ConfigurationError, StartError
from proxy.observability.logs import logging_to_standard_error
from proxy.origins.base import Origin
from proxy.origins.directory import DirectoryOrigin
from proxy.origins.s3 import S3Options, S3Origin
from proxy.semantics.globs import compile_glob
from proxy.semantics.routing import Mount, Rule
from proxy.server.app import PublicDoor, make_app
from proxy.server.delivery import Site

# --- a worker -----------------------------------------------------------------------------------


class Service:
    """What one worker serves: origins, the site over them, and the application.

    `start` opens the origins and raises `StartError` for the first that can't be used; `aclose`
    gives everything back.
    """

    def __init__(self, settings: Settings) -> None:
        self._origins = {name: make_origin(table) for name, table in settings.origins.items()}
        self._started = AsyncExitStack()
        self.door = PublicDoor(
            make_site(settings, self._origins), stall_timeout=settings.server.stall_timeout
        )
        self.app: ASGIApp = make_app(self.door, self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        yield  # the worker starts and closes the service itself: it has to tell why it can't

    async def start(self) -> None:
        """Opens all origins at once."""
        for origin in self._origins.values():
            self._started.push_async_callback(origin.aclose)
        async with asyncio.TaskGroup() as tasks:
            for name, origin in self._origins.items():
                tasks.create_task(_start(name, origin))

    async def aclose(self) -> None:
        """Closes the origins."""
        await self._started.aclose()

    def in_flight(self) -> int:
        """How many responses are being sent."""
        return self.door.in_flight


async def _start(name: str, origin: Origin) -> None:
    try:
        await origin.start()
    except StartError as error:
        raise StartError(f"origins.{name}: {error}") from None


def make_origin(table: options.S3Origin | options.DirectoryOrigin) -> Origin:
    """The origin that a table of the configuration describes."""
    if isinstance(table, options.DirectoryOrigin):
        return DirectoryOrigin(
            table.root, follow_symlinks=table.follow_symlinks, show_hidden=table.show_hidden
        )
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


def make_site(settings: Settings, origins: dict[str, Origin]) -> Site:
    """The public tree that the configuration describes, over origins already made."""
    return Site(
        mounts=tuple(_mount(table) for table in settings.mounts),
        rules=tuple(_rule(table) for table in settings.rules),
        origins=origins,
        max_ranges=settings.http.max_ranges,
        max_overlapping_ranges=settings.http.max_overlapping_ranges,
        max_target=settings.http.max_target,
        listing_page=settings.http.listing_page,
    )


def _mount(table: options.Mount) -> Mount:
    return Mount(
        path=table.path,
        origin=table.origin,
        index=table.index,
        codings=table.precompressed,
        listing=table.listing,
        error_pages=dict(table.error_pages),
    )


def _rule(table: options.Rule) -> Rule:
    return Rule(
        pattern=compile_glob(table.path),
        cache_control=table.cache_control,
        content_security_policy=table.content_security_policy,
        fallback=table.fallback,
        download=table.download,
    )

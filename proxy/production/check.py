"""`headgate check --production`: is this installation fit to be relied on?

Runs on the machine, as the user and with the limits that will serve; it changes nothing and listens
nowhere. The configuration itself has been checked before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from proxy import machine
from proxy.assembly import memory_of, workers_of
from proxy.config import Loaded, Settings
from proxy.config.origins import S3Origin
from proxy.production.cache import check_cache
from proxy.production.exposure import check_exposure
from proxy.production.files import check_certificate_now, check_private
from proxy.production.findings import Finding, error, lines, ok
from proxy.production.machine import check_machine, check_memory
from proxy.production.origins import check_origin

# Where something may be written, if it is there: what the container and the unit give.
_WRITTEN = (Path("/var/cache/headgate"), Path("/tmp"))  # noqa: S108  # only looked at


def report(loaded: Loaded, out: TextIO) -> bool:
    """Writes what was found, as it is found; whether there was no error."""
    sound = True

    def noted() -> Iterator[Finding]:
        nonlocal sound
        for one in findings(loaded):
            sound = sound and one.severity != "error"
            yield one

    for line in lines(noted()):
        out.write(f"{line}\n")
        out.flush()
    return sound


def findings(loaded: Loaded) -> Iterator[Finding]:
    """Everything that is looked at, origins last, since they may take their time."""
    settings = loaded.settings
    yield ok("configuration", "valid")
    for said in loaded.warnings:
        yield error("configuration", said, "chmod o= the file, or put the secret into one")
    if settings.server.tls is not None:
        yield from check_certificate_now(settings.server.tls.certificate, settings.server.tls.key)
    for name, file in secret_files(settings):
        yield from check_private(name, file)
    yield from check_exposure(settings)
    written = [directory for directory in _WRITTEN if directory.is_dir()]
    yield from check_machine(_origin_connections(settings), written)
    yield _check_memory(settings)
    if settings.cache is not None:
        workers = workers_of(settings)
        yield from check_cache(settings.cache, _origin_connections(settings), workers)
    for name, table in settings.origins.items():
        yield from check_origin(name, table)


def _check_memory(settings: Settings) -> Finding:
    shares = {"flow.memory": memory_of(settings), "http.prepared": settings.http.prepared}
    whole: dict[str, int] = {}
    if settings.cache is not None:
        # Without a directory workers share it; where they can't, `check_cache` says so.
        own = shares if settings.cache.directory is not None else whole
        own["cache.memory"] = settings.cache.memory
    return check_memory(machine.memory(), workers_of(settings), shares, whole)


def secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files that secrets are read from, by the option that names them."""
    tables = {"admin": settings.admin.model_dump()}
    tables |= {f"origins.{name}": one.model_dump() for name, one in settings.origins.items()}
    if settings.telemetry is not None:
        headers = settings.telemetry.headers.items()
        tables |= {f"telemetry.headers.{name}": one.model_dump() for name, one in headers}
    for table, options in tables.items():
        for option, value in options.items():
            if option.endswith("_file") and value:
                yield f"{table}.{option}", Path(value)


def _origin_connections(settings: Settings) -> int:
    stores = (one for one in settings.origins.values() if isinstance(one, S3Origin))
    return sum(one.max_connections for one in stores)

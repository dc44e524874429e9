"""Who can reach what, by the configuration alone: the operator's door, clear text, debugging."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from proxy.config.fields import is_local
from proxy.config.origins import DirectoryOrigin, S3Origin
from proxy.config.settings import Settings
from proxy.production.findings import Finding, error, ok, warning

# Characters. 16 random ones of base64 are 96 bits.
_SHORTEST_TOKEN: Final = 16


def check_exposure(settings: Settings) -> Iterator[Finding]:
    """What the configuration shows to whom."""
    yield from _check_admin(settings)
    yield from _check_public(settings)
    yield from _check_origins(settings)
    yield from _check_telemetry(settings)
    if settings.log.level == "debug":
        yield warning("log", "level is debug, which writes much", 'log.level = "info"')
    if not settings.log.access:
        yield warning("log", "no line is written per request", "log.access = true")


def _check_admin(settings: Settings) -> Iterator[Finding]:
    admin = settings.admin
    if not admin.bind:
        remedy = 'admin.bind = "127.0.0.1:9090"'
        yield warning("admin", "the operator's door is off: no health, no metrics", remedy)
        return
    local = is_local(admin.bind)
    if admin.debug == "on":
        remedy = 'admin.debug = "token", with a token'
        what = "all who reach the operator's door see profiles, memory and tasks"
        yield warning("admin", what, remedy) if local else error("admin", what, remedy)
    token = admin.token.get_secret_value() if admin.token else ""
    if token and len(token) < _SHORTEST_TOKEN:
        remedy = "openssl rand -hex 24"
        yield error("admin", f"the token has only {len(token)} characters", remedy)
    if local:
        yield ok("admin", f"{admin.bind} is reached from this machine only")
    else:
        remedy = "let only the monitoring in: a firewall, or deploy/k8s/base/networkpolicy.yaml"
        said = f"{admin.bind} is reached from other machines, with a token and in clear text"
        yield warning("admin", said, remedy)


def _check_public(settings: Settings) -> Iterator[Finding]:
    server = settings.server
    reached = [one for one in server.bind if not is_local(one)]
    if reached and server.tls is None:
        remedy = "end TLS in front of it on the same machine or network, or set [server.tls]"
        yield warning("server", f"clear text on {', '.join(reached)}, and no TLS at all", remedy)
    if server.workers == 1:
        remedy = 'server.workers = "auto", or the number of processors it may use'
        yield warning("server", "one worker uses one processor", remedy)
    if server.graceful_timeout < 10:  # seconds; a deployment cuts what takes longer
        remedy = 'server.graceful_timeout = "2m", and the same for what stops it'
        said = f"a deployment cuts downloads after {server.graceful_timeout:g} s"
        yield warning("server", said, remedy)


def _check_telemetry(settings: Settings) -> Iterator[Finding]:
    table = settings.telemetry
    if table is None:
        return
    parts = urlsplit(table.endpoint)
    if parts.scheme == "http" and table.headers and not is_local(f"{parts.hostname}:0"):
        said = "what the collector is asked with goes over the network in clear text"
        yield warning("telemetry", said, "an https endpoint, or a collector on this machine")
    if table.follow_requests and any(map(_is_reached, settings.server.bind)):
        said = "clients decide whether their requests are traced"
        remedy = "telemetry.follow_requests = false, unless what stands in front sets traceparent"
        yield warning("telemetry", said, remedy)


def _is_reached(bind: str) -> bool:
    return not is_local(bind)


def _check_origins(settings: Settings) -> Iterator[Finding]:
    for name, origin in settings.origins.items():
        about = f"origins.{name}"
        if isinstance(origin, S3Origin) and origin.endpoint:
            parts = urlsplit(origin.endpoint)
            if parts.scheme == "http" and not is_local(f"{parts.hostname}:0"):
                said = "objects come in clear text, where others may change them"
                yield warning(about, said, "an https endpoint, or a network of your own")
        if isinstance(origin, DirectoryOrigin):
            if origin.show_hidden:
                said = "files like .env and .git are served"
                yield error(about, said, "show_hidden = false")
            if origin.follow_symlinks == "anywhere":
                said = "a link may lead out of the root, to any file"
                yield error(about, said, 'follow_symlinks = "inside"')
    for mount in settings.mounts:
        if mount.listing:
            said = f"all names below {mount.path} are listed for everyone"
            yield warning("mounts", said, "listing = false, if that is not meant")

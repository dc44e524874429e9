"""Who gets in at the operator's door. Decided before anything else looks at the request.

On an address of this machine the Host field must name this machine: a page of the Internet whose
name was rebound to 127.0.0.1 sends its own name (DNS rebinding). A browser also says when another
site's page asks, and is then refused.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.admin.answers import problem
from proxy.admin.options import AdminOptions

# What tells nothing: whether it lives, whether it is ready, the page without its numbers.
OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
DEBUG = "/debug/"

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request doesn't get in."""

    status: int
    detail: str


def is_local_host(host: str) -> bool:
    """Whether a Host field names this machine."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def has_token(options: AdminOptions, headers: Headers) -> bool:
    """Whether the request brings the token; compared in constant time."""
    if options.token is None:
        return False
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("latin-1"), options.token.encode())


def refusal(options: AdminOptions, path: str, headers: Headers) -> Refusal | None:
    """Why the request is refused, or None."""
    hosts = headers.getlist("host")
    if options.is_local and not (len(hosts) == 1 and is_local_host(hosts[0])):
        return Refusal(403, "The Host field must name this machine: this address is local.")
    if path != "/" and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return Refusal(403, "A page of another site may not ask this.")
    if path in OPEN:
        return None
    if options.token is not None and not has_token(options, headers):
        return Refusal(401, "This needs the token of [admin], as Authorization: Bearer TOKEN.")
    if path.startswith(DEBUG):
        return _refused_debugging(options)
    return None


def _refused_debugging(options: AdminOptions) -> Refusal | None:
    if options.debug == "off":
        return Refusal(404, 'Debugging is off: see "debug" in [admin].')
    if options.debug == "token" and options.token is None:
        return Refusal(403, 'Debugging needs a "token" in [admin], or debug = "on" there.')
    return None


class Guard:
    """ASGI over an ASGI app that lets in whom it may."""

    def __init__(self, app: ASGIApp, options: AdminOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http":
            refused = refusal(self._options, scope["path"], Headers(scope=scope))
            if refused is not None:
                await problem(refused.status, refused.detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)

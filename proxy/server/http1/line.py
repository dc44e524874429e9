"""What an exchange stands on: the connection below it, and the scope above."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from proxy.server.http1.files import Outlet, offer
from proxy.server.http1.parser import RequestHead
from proxy.server.state import Peer, ServerState
from proxy.server.zero_copy import TAKEN

_ASGI = {"version": "3.0", "spec_version": "2.4"}  # 2.4: send raises OSError once the client left


class Line(Outlet, Protocol):
    """What an exchange asks of its connection.

    Attributes:
        also: lines that every answer of it has.
    """

    also: bytes

    @property
    def state(self) -> ServerState:
        """What the server shares: the app, the tally."""
        ...

    async def write_large(self, body: bytes) -> None:
        """Writes a body so that the transport never holds much of it."""
        ...

    def untaken(self) -> int:
        """How many bytes of what was to be written the client does not have yet."""
        ...

    def wants_body(self, *, waits: bool) -> None:
        """The app waits for a body that is not complete; `waits`: its client for a 100."""
        ...

    def took_body(self) -> None:
        """The app took what there was of the body."""
        ...

    def goes_on(self, head: RequestHead) -> bool:
        """Whether the connection can be used for another request after this one."""
        ...

    def closes_after_this(self) -> None:
        """The response says that it is the last."""
        ...

    def break_off(self, *, reset: bool) -> None:
        """Ends a response that can't be completed, so that it does not look complete."""
        ...

    def exchange_over(self, *, complete: bool) -> None:
        """The app has returned, and its response is complete or broken off."""
        ...


def make_scope(head: RequestHead, peer: Peer, taken_since: Callable[[], int]) -> dict[str, Any]:
    """The ASGI scope of a request."""
    raw_path, _, query = head.target.partition(b"?")
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    return {
        "type": "http",
        "http_version": head.version,
        "asgi": _ASGI,
        "method": head.method.decode("ascii"),
        "scheme": peer.scheme,
        "path": path.decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(head.headers),
        "client": peer.client,
        "server": peer.server,
        "state": {},
        "extensions": {**offer(peer), TAKEN: {"since": taken_since}},
    }

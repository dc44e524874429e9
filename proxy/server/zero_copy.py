"""The zero copy send extension of ASGI, as both sides use it: who offers it and who sends by it.

https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send

Our own server tells by one more field of the message how much of a file was taken so far. Without
that a client that stopped in the middle of a stretch could not be told from a slow one, so that
under other servers nothing is lent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, cast

from starlette.types import Message, Scope

from proxy.origins.base import OpenObject
from proxy.origins.lending import Lending, Piece, Stretch, can_lend
from proxy.semantics.representation import Span

ZERO_COPY: Final = "http.response.zerocopysend"
PATH: Final = "http.response.pathsend"
# A field of the message: a function that is called with the count of bytes each time some of them
# were taken. In the scope it says that the server knows it.
TAKEN: Final = "headgate.taken"

# What a server that has all this puts into the scope.
OFFER: Final[dict[str, dict[str, Any]]] = {ZERO_COPY: {TAKEN: True}, PATH: {}}

# Smaller spans are read: for them the copy costs less than what else has to be done.
FEWEST_LENT: Final = 64 * 1024


def takes_files(scope: Scope) -> bool:
    """Whether the server sends stretches of files and tells how far it has come."""
    return TAKEN in scope.get("extensions", {}).get(ZERO_COPY, ())


def pieces_of(opened: OpenObject, span: Span, *, lends: bool) -> AsyncGenerator[Piece, None]:
    """The bytes of a span: lent if that is allowed, possible and worth it, else read."""
    if lends and span.length >= FEWEST_LENT and can_lend(opened):
        return cast("Lending", opened).lend(span)
    return cast("AsyncGenerator[Piece, None]", opened.read(span))


def message_of(piece: Piece, taken: Callable[[int], None], *, more: bool) -> Message:
    """The message that sends a piece of a body."""
    if isinstance(piece, Stretch):
        return {
            "type": ZERO_COPY,
            "file": piece,
            "offset": piece.offset,
            "count": piece.count,
            "more_body": more,
            TAKEN: taken,
        }
    return {"type": "http.response.body", "body": piece, "more_body": more}

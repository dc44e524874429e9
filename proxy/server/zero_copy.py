"""Files that the app lends to the server, as both sides speak of them.

ASGI has zero copy send and path send for it, which our server offers where the kernel can send a
file: on TCP in clear.
https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send

The application itself uses a message of our own, `headgate.file`. It tells how much was taken so
far, without which a client that stopped in the middle of a stretch could not be told from a slow
one. And it is offered over TLS too: there the server has to read the file itself, but it does so
only when the client has room, so that one that does not read costs no buffer.
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
# Fields as of zero copy send; "file" may be a `proxy.origins.lending.Stretch` and say more. "taken"
# is a function that is called with the count of bytes each time some were taken, and with 0 each
# time the client got so much of what had been taken for it:
BYTES_OF_PROGRESS: Final = 64 * 1024
LENT: Final = "headgate.file"
# An extension of our own without a message. "since" is a function that tells how many bytes of the
# response the client has taken since it was asked before (the first answer says nothing): what has
# left the kernel too, which takes more only when it can take much. Whoever sends a slow client a
# large body knows it by this from one that stopped.
TAKEN: Final = "headgate.taken"

# What is put into a scope where the kernel can send files, and where it can't.
OFFER_IN_CLEAR: Final[dict[str, dict[str, Any]]] = {ZERO_COPY: {}, PATH: {}, LENT: {}}
OFFER_ELSEWHERE: Final[dict[str, dict[str, Any]]] = {LENT: {}}

# Smaller spans are read: for them the copy costs less than what else has to be done. Of what is not
# much larger nothing could be sent without being copied anyway (`proxy.origins.reading`).
FEWEST_LENT: Final = 64 * 1024 + 1


def takes_files(scope: Scope) -> bool:
    """Whether the server takes what the application lends."""
    return LENT in scope.get("extensions", {})


def taken_since(scope: Scope) -> Callable[[], int] | None:
    """By what the server tells how much the client took; None if it does not."""
    told = scope.get("extensions", {}).get(TAKEN)
    return cast("Callable[[], int]", told["since"]) if told is not None else None


def pieces_of(opened: OpenObject, span: Span, *, lends: bool) -> AsyncGenerator[Piece, None]:
    """The bytes of a span: lent if that is allowed, possible and worth it, else read."""
    if lends and span.length >= FEWEST_LENT and can_lend(opened):
        return cast("Lending", opened).lend(span)
    return cast("AsyncGenerator[Piece, None]", opened.read(span))


def message_of(piece: Piece, taken: Callable[[int], None], *, more: bool) -> Message:
    """The message that sends a piece of a body."""
    if isinstance(piece, Stretch):
        return {
            "type": LENT,
            "file": piece,
            "offset": piece.offset,
            "count": piece.count,
            "more_body": more,
            "taken": taken,
        }
    return {"type": "http.response.body", "body": piece, "more_body": more}

"""Reading a span to its end, as a caller should."""

from __future__ import annotations

import contextlib

from proxy.origins.base import OpenObject
from proxy.semantics.representation import Span


async def read(opened: OpenObject, span: Span) -> bytes:
    """The span's bytes; checks that no piece is empty."""
    pieces = []
    async with contextlib.aclosing(opened.read(span)) as reading:
        async for piece in reading:
            assert piece
            pieces.append(piece)
    return b"".join(pieces)

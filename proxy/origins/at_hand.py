"""Bytes that are at hand: given at once, by a call, where `OpenObject.read` may wait.

An open object may have `at_hand`. Layers pass it on where they have nothing to wait for. For a
small body it saves an asynchronous generator in each layer, which takes longer than reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.semantics.representation import Span


class AtHand(Protocol):
    """An open object that may give bytes without a wait."""

    def at_hand(self, span: Span) -> bytes | None:
        """All bytes of the span, as `OpenObject.read` gives them.

        None where that would have to wait, or would fail: then nothing was done or counted, and
        `read` tells. So it raises nothing.
        """
        ...


def bytes_at_hand(opened: object, span: Span) -> bytes | None:
    """The span's bytes if they are at hand, else None."""
    at_hand: Callable[[Span], bytes | None] | None = getattr(opened, "at_hand", None)
    return None if at_hand is None else at_hand(span)

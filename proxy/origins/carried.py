"""What a request to a store carries for others than the store: the context of a trace.

It is set by whoever asks, in its own task, and sent along by an origin that speaks HTTP. It is no
part of the question: it goes unsigned, and no answer depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NOTHING: Mapping[str, str] = {}

CARRIED: ContextVar[Mapping[str, str]] = ContextVar("CARRIED", default=_NOTHING)
"""Fields by name, in lower case and ASCII, none of them one that a store reads."""


@contextmanager
def carrying(fields: Mapping[str, str]) -> Iterator[None]:
    """Has what is asked in the block carry these fields. The block may end in another context."""
    before = CARRIED.get()
    CARRIED.set(fields)
    try:
        yield
    finally:
        CARRIED.set(before)

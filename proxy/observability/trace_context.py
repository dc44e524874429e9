"""W3C Trace Context, level 1: who asked, in the words of the caller's tracing system. Pure.

It is taken into the log and goes no further: requests to the origin are signed by us and carry
nothing of the client's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class TraceContext(NamedTuple):
    """The trace, and the caller's span in it, in hexadecimal."""

    trace_id: str
    parent_id: str


def parse_traceparent(value: str | None) -> TraceContext | None:
    """The context of a `traceparent` field; None where it is not valid (§3.2.2)."""
    found = _TRACEPARENT.fullmatch(value) if value is not None and len(value) < 256 else None
    if found is None:
        return None
    version, trace_id, parent_id, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return TraceContext(trace_id, parent_id)

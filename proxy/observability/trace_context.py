"""W3C Trace Context, level 1: who asked, in the words of the caller's tracing system. Pure.

What a client says is read strictly and written anew, so that nothing but such a context gets into
the log or is passed on to a store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_SAMPLED = 1
# §3.3.1.1 asks to pass on 512 characters at least, and §3.3.1.3 allows 32 members.
_MOST_STATE, _MOST_MEMBERS = 512, 32
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)


class TraceContext(NamedTuple):
    """The trace, and the caller's span in it, in hexadecimal.

    Attributes:
        sampled: whether the caller says that it keeps this trace.
        state: `tracestate`, which others than us understand; "" without.
    """

    trace_id: str
    parent_id: str
    sampled: bool = False
    state: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The fields that say it, in lower case."""
        said = {"traceparent": f"00-{self.trace_id}-{self.parent_id}-{self.sampled:02x}"}
        return {**said, "tracestate": self.state} if self.state else said


def parse_traceparent(value: str | None, state: str | None = None) -> TraceContext | None:
    """The context of a `traceparent` field and its `tracestate`; None where the first is not valid
    (§3.2.2). A state that is not valid is left out (§3.3.1)."""
    found = _TRACEPARENT.fullmatch(value) if value is not None and len(value) < 256 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED), _read_state(state))


def read_trace_context(fields: Mapping[str, str]) -> TraceContext | None:
    """The context that a request's fields say, names in lower case."""
    value = fields.get("traceparent")
    return None if value is None else parse_traceparent(value, fields.get("tracestate"))


def _read_state(value: str | None) -> str:
    if value is None or len(value) > _MOST_STATE:
        return ""
    members = [member.strip(" \t") for member in value.split(",")]
    members = [member for member in members if member]  # empty ones are allowed, and mean nothing
    if len(members) > _MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    keys = [member.partition("=")[0] for member in members]
    return ",".join(members) if len(set(keys)) == len(keys) else ""

"""The span of each traced request, by the semantic conventions for HTTP servers.

What a client chooses is bounded here: an unknown method is `_OTHER`, a path has no query, and the
span's name is the mount's. Names and values a request brings are masked as in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.errors import HeadgateError
from proxy.observability import metrics as names
from proxy.observability.access_log import MAX_TEXT, AccessRecord
from proxy.observability.masking import masked
from proxy.observability.spans import CURRENT, Sampler, Span, Tracer, Value
from proxy.observability.trace_context import (
    TraceContext,
    parse_traceparent,
    read_trace_context,
)
from proxy.origins.carried import CARRIED
from proxy.semantics.globs import Glob
from proxy.semantics.keys import path_of_target
from proxy.semantics.routing import Mount, find_mount

# Of a text that a client chose; longer ones say nothing more.
_MOST_AGENT = 256
_HEADERS = (b"traceparent", b"tracestate", b"user-agent")


def pass_on(fields: Mapping[str, str], record: AccessRecord) -> None:
    """Without traces of our own: the client's context goes into the log, and on to the store."""
    context = read_trace_context(fields)
    if context is not None:
        _note(context, record)


def _note(context: TraceContext, record: AccessRecord) -> None:
    record.trace_id, record.parent_id = context.trace_id, context.parent_id
    CARRIED.set(context.fields)


@dataclass(frozen=True, slots=True)
class Places:
    """What of the configuration a path belongs to; none of it is the client's choice."""

    mounts: Sequence[Mount]
    rules: Sequence[tuple[str, Glob]] = ()

    def of(self, target: bytes) -> tuple[str, str]:
        """The mount's path and the first rule's pattern, "" where there is none."""
        try:
            path = path_of_target(target)
        except HeadgateError:
            return "", ""
        mount = find_mount(path, self.mounts)
        rule = next((text for text, pattern in self.rules if pattern.matches(path)), "")
        return (mount.path if mount is not None else ""), rule


class Tracing:
    """Begins and ends the spans of requests.

    Args:
        tracer: where spans go.
        sampler: draws what is traced.
        places: what paths belong to.
        follows: whether a client's `traceparent` decides, and its trace is gone on with. If not,
            a span is only linked to it.
    """

    def __init__(self, tracer: Tracer, sampler: Sampler, places: Places, *, follows: bool) -> None:
        self._tracer, self._places, self._follows = tracer, places, follows
        self.sampler = sampler
        """Also says whether a request that could be answered at once has to come here instead."""

    def begin(self, scope: Mapping[str, Any], record: AccessRecord) -> Span | None:
        """A request begins, in a task of its own; None where it is not traced."""
        said = _said(scope["headers"])
        context = parse_traceparent(said.get(b"traceparent"), said.get(b"tracestate"))
        followed = context if self._follows else None
        if followed is None:
            trace_id = self.sampler.draw()
        else:
            _note(followed, record)
            trace_id = followed.trace_id if followed.sampled else ""
        if not trace_id:
            CURRENT.set(None)
            return None
        parent_id = followed.parent_id if followed is not None else ""
        span = Span(trace_id, parent_id, "", "server")
        span.state = followed.state if followed is not None else ""
        span.link = context if followed is None else None
        span.attributes = _asked(scope, said)
        record.trace_id, record.parent_id, record.span_id = trace_id, parent_id, span.id
        CURRENT.set(span)
        CARRIED.set(span.fields)
        return span

    def end(self, span: Span, record: AccessRecord) -> None:
        """A request has ended; its record is complete."""
        mount, rule = self._places.of(record.target)
        method = _method(record.method)
        span.name = f"{'HTTP' if method == '_OTHER' else method} {mount}".rstrip()
        span.attributes |= _answered(record, method)
        if mount:
            span.attributes["http.route"] = mount
        if rule:
            span.attributes["headgate.rule"] = rule
        if record.outcome == "fault" or record.status >= 500:
            span.error = True
            span.attributes["error.type"] = record.fault or str(record.status)
            span.said = masked(record.detail[:MAX_TEXT])
        self._tracer.end(span)


def _said(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The fields that are looked at. Of a traceparent there may be one only (§3.2)."""
    said: dict[bytes, str] = {}
    for name, value in headers:
        if name in _HEADERS:
            text = value.decode("latin-1")
            said[name] = f"{said[name]},{text}" if name in said else text
    return said


def _asked(scope: Mapping[str, Any], said: Mapping[bytes, str]) -> dict[str, Value]:
    attributes: dict[str, Value] = {"url.scheme": scope["scheme"]}
    agent, server = said.get(b"user-agent"), scope.get("server")
    if agent:
        attributes["user_agent.original"] = masked(agent[:_MOST_AGENT])
    if server is not None:
        attributes["server.address"] = server[0]
        if server[1] is not None:
            attributes["server.port"] = server[1]
    return attributes


def _method(method: str) -> str:
    return method if method in names.METHODS and method != names.OTHER else "_OTHER"


def _answered(record: AccessRecord, method: str) -> dict[str, Value]:
    attributes: dict[str, Value | None] = {
        "http.request.method": method,
        "http.response.status_code": record.status or None,
        "http.response.body.size": record.sent,
        "url.path": masked(record.target.partition(b"?")[0].decode("latin-1")[:MAX_TEXT]),
        "network.protocol.name": "http",
        "network.protocol.version": record.protocol,
        "client.address": record.client if record.client != "unix" else None,
        "headgate.request_id": record.request_id,
        "headgate.outcome": record.outcome,
        "headgate.origin": record.origin or None,
        "headgate.cache": record.cache or None,
        "headgate.verification": record.verification or None,
        "headgate.time_to_first_byte": record.seconds_to_first_byte,
    }
    return {name: value for name, value in attributes.items() if value is not None}

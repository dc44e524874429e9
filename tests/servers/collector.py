"""A stand-in for a collector of OpenTelemetry: takes OTLP over HTTP and keeps what it is told.

    with Collector() as collector:
        ...
        spans = collector.wait_for(3)

It may be told to misbehave: to answer with a status, to wait, or to answer nothing at all.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.servers.running import InThread, Running

_WAIT = 30.0


@dataclass(frozen=True)
class Received:
    """A span as it arrived. Ids are hexadecimal."""

    trace_id: str
    id: str
    parent_id: str
    name: str
    kind: int
    error: bool
    said: str
    begun: int
    ended: int
    attributes: Mapping[str, object]
    resource: Mapping[str, object]
    state: str = ""
    links: tuple[tuple[str, str], ...] = ()


@dataclass
class Collector(Running):
    """Listens on a free port of 127.0.0.1 until `stop`.

    Attributes:
        status: what it answers with, one after the other, and then 200.
        hangs: whether it reads and never answers.
        rejects: how many spans of each message it says it has refused.
        spans, headers, paths: what has arrived.
    """

    status: list[int] = field(default_factory=list)
    hangs: bool = False
    rejects: int = 0
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        owner = self
        self._over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                owner._take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._running = InThread(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self) -> str:
        return self._running.endpoint

    def speak_tls(self, authority: trustme.CA) -> None:
        """With a certificate of this authority, from the next connection on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server = self._running.server
        server.socket = context.wrap_socket(server.socket, server_side=True)

    def wait_for(self, count: int) -> list[Received]:
        """At least so many spans, once they are here."""
        deadline = time.monotonic() + _WAIT
        while len(self.spans) < count:
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.02)
        return list(self.spans)

    def stop(self) -> None:
        self._over.set()
        self._running.stop()

    def _take(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers["content-length"]))
        self.paths.append(asked.path)
        self.headers.append({name.lower(): value for name, value in asked.headers.items()})
        if self.hangs:
            self._over.wait(_WAIT)
            return
        status = self.status.pop(0) if self.status else 200
        if status == 200:
            self.spans += _spans_of(body)
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = self.rejects
        said = answer.SerializeToString()
        asked.send_response(status)
        asked.send_header("content-type", "application/x-protobuf")
        asked.send_header("content-length", str(len(said)))
        asked.end_headers()
        asked.wfile.write(said)


def _spans_of(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        _received(span, _values(of_resource.resource.attributes))
        for of_resource in request.resource_spans
        for scope in of_resource.scope_spans
        for span in scope.spans
    ]


def _received(span: Message, resource: Mapping[str, object]) -> Received:
    return Received(
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        error=span.status.code == Status.STATUS_CODE_ERROR,
        said=span.status.message,
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        resource=resource,
        state=span.trace_state,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _values(pairs: Sequence[KeyValue]) -> dict[str, object]:
    values: dict[str, object] = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        values[pair.key] = getattr(pair.value, kind) if kind else None
    return values

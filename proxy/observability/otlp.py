"""Spans as a collector of OpenTelemetry takes them: OTLP 1.x over HTTP, in Protocol Buffers.

The only file that names OpenTelemetry's packages; it is imported where traces are on. Of its
libraries only the messages are used: docs/decisions/0015 says why.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from proxy.observability.exporting import NotTaken
from proxy.observability.spans import Kind, Span, Value

PATH: Final = "/v1/traces"
# Spans that are written before others get the interpreter: about half a millisecond.
_AT_ONCE: Final = 8
# Bytes of an answer that are read. It says how many spans were refused, if it says anything.
_MOST_ANSWER: Final = 64 * 1024
# Answers after which another try may help (OTLP specification, "Failures").
_RETRYABLE: Final = (429, 502, 503, 504)

_KINDS: Mapping[Kind, Message.SpanKind.ValueType] = {
    "server": Message.SPAN_KIND_SERVER,
    "client": Message.SPAN_KIND_CLIENT,
    "internal": Message.SPAN_KIND_INTERNAL,
}
_SAMPLED, _HAS_REMOTE, _IS_REMOTE = 0x1, 0x100, 0x200


def write_spans(spans: Sequence[Span], resource: Mapping[str, str], version: str) -> bytes:
    """The message for spans of one process. For a thread: it lets others have turns."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.extend(_attributes(resource))
    scope = of_resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "headgate", version
    for at in range(0, len(spans), _AT_ONCE):
        scope.spans.extend(map(_message, spans[at : at + _AT_ONCE]))
        time.sleep(0)
    return bytes(request.SerializeToString())


def _message(span: Span) -> Message:
    message = Message(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=span.state,
        flags=_SAMPLED | _HAS_REMOTE | (_IS_REMOTE if span.kind == "server" else 0),
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.begun,
        end_time_unix_nano=span.ended,
        attributes=_attributes(span.attributes),
    )
    if span.error:
        message.status.code = Status.STATUS_CODE_ERROR
        message.status.message = span.said
    if span.link is not None:
        message.links.add(
            trace_id=bytes.fromhex(span.link.trace_id),
            span_id=bytes.fromhex(span.link.parent_id),
            trace_state=span.link.state,
        )
    return message


def _attributes(attributes: Mapping[str, Value]) -> Iterator[KeyValue]:
    for name, value in attributes.items():
        yield KeyValue(key=name, value=_value(value))


def _value(value: Value) -> AnyValue:
    if isinstance(value, str):  # protobuf takes no half of a surrogate pair
        return AnyValue(string_value=value.encode("utf-8", "replace").decode())
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


class Collector:
    """Posts messages to a collector over one connection that it keeps. For one thread.

    Args:
        endpoint: its URL, "http://host:4318"; `PATH` is added where the URL does not end in it.
        headers: sent along, such as its credentials.
        timeout: seconds for each wait: the connection, and each part of an answer.
        ca_bundle: a PEM file with the authorities to trust instead of the usual ones.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        timeout: float,
        ca_bundle: str | None = None,
    ) -> None:
        url = urlsplit(endpoint)
        base = url.path.rstrip("/")
        self._path = base if base.endswith(PATH) else base + PATH
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._connection = self._connect(url.scheme, url.netloc, timeout, ca_bundle)

    def _connect(
        self, scheme: str, place: str, timeout: float, ca_bundle: str | None
    ) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(place, timeout=timeout)
        context = ssl.create_default_context(cafile=ca_bundle)
        return http.client.HTTPSConnection(place, timeout=timeout, context=context)

    def post(self, body: bytes) -> int:
        """Gives a message; how many of its spans the collector refused. Raises `NotTaken`."""
        reused = self._connection.sock is not None
        try:
            try:
                status, answer = self._ask(body)
            except (ConnectionError, http.client.HTTPException):
                if not reused:
                    raise
                status, answer = self._ask(body)  # it had closed what we kept
        except (OSError, http.client.HTTPException) as error:
            raise NotTaken(_why(error), retryable=True) from None
        if status != 200:
            raise NotTaken(f"it answered {status}", retryable=status in _RETRYABLE)
        return _refused(answer)

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        try:
            self._connection.request("POST", self._path, body, self._headers)
            with self._connection.getresponse() as response:
                answer = response.read(_MOST_ANSWER)
                if not response.isclosed():  # it says more than anybody wants to hear
                    self._connection.close()
                return response.status, answer
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _why(error: Exception) -> str:
    """Without what the peer may have written."""
    return getattr(error, "strerror", None) or type(error).__name__


def _refused(answer: bytes) -> int:
    try:
        told = ExportTraceServiceResponse.FromString(answer)
    except Exception:  # noqa: BLE001  # not of that form: it has taken them, as its status says
        return 0
    return int(told.partial_success.rejected_spans)

"""The spans of requests: who decides, what they tell, and what they keep to themselves."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.observability.access_log import AccessRecord
from proxy.observability.spans import CURRENT, Sampler, Span, Tracer
from proxy.observability.trace_context import parse_traceparent
from proxy.observability.tracing import Places, Tracing, pass_on
from proxy.origins.carried import CARRIED
from proxy.semantics.globs import compile_glob
from proxy.semantics.routing import Mount

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEPT, NOT_KEPT = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
PLACES = Places(
    [Mount("/", "site"), Mount("/media/", "media")], [("/media/**", compile_glob("/media/**"))]
)


def record_of(target: bytes = b"/media/a.mp4", method: str = "GET") -> AccessRecord:
    return AccessRecord("request-1", "192.0.2.7", "1.1", method, target)


def scope_of(*headers: tuple[bytes, bytes], **more: object) -> dict[str, Any]:
    scope = {"scheme": "https", "server": ("203.0.113.1", 443), "headers": list(headers)}
    return {**scope, **more}


class Rig:
    """Begins and ends in a context of its own, as a request's task does."""

    def __init__(self, ratio: float = 1.0, *, follows: bool = True) -> None:
        self.ended: list[Span] = []
        self.tracing = Tracing(Tracer(self.ended.append), Sampler(ratio), PLACES, follows=follows)
        self._context = contextvars.copy_context()

    def begin(self, scope: dict[str, Any], record: AccessRecord) -> Span | None:
        return self._context.run(self.tracing.begin, scope, record)

    def one(self, record: AccessRecord, *headers: tuple[bytes, bytes], **more: object) -> Span:
        span = self.begin(scope_of(*headers, **more), record)
        assert span is not None
        self.tracing.end(span, record)
        assert self.ended == [span]
        return span

    @property
    def carried(self) -> dict[str, str]:
        return dict(self._context.run(CARRIED.get))

    @property
    def current(self) -> Span | None:
        return self._context.get(CURRENT)


def test_what_a_span_tells() -> None:
    record, rig = record_of(), Rig()
    record.status, record.sent, record.outcome = 206, 1000, "complete"
    record.origin, record.cache, record.verification = "media", "hit (disk)", "crc64nvme verified"
    record.seconds_to_first_byte = 0.25
    span = rig.one(record, (b"user-agent", b"curl/8"), (b"cookie", b"secret"))
    assert (span.name, span.kind, span.error) == ("GET /media/", "server", False)
    assert span.attributes == {
        "url.scheme": "https",
        "user_agent.original": "curl/8",
        "server.address": "203.0.113.1",
        "server.port": 443,
        "http.request.method": "GET",
        "http.response.status_code": 206,
        "http.response.body.size": 1000,
        "http.route": "/media/",
        "url.path": "/media/a.mp4",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.7",
        "headgate.request_id": "request-1",
        "headgate.outcome": "complete",
        "headgate.origin": "media",
        "headgate.cache": "hit (disk)",
        "headgate.verification": "crc64nvme verified",
        "headgate.rule": "/media/**",
        "headgate.time_to_first_byte": 0.25,
    }
    assert (record.trace_id, record.parent_id, record.span_id) == (span.trace_id, "", span.id)


@pytest.mark.parametrize(
    ("target", "method", "name"),
    [
        (b"/a", "GET", "GET /"),
        (b"/media/deep/down", "HEAD", "HEAD /media/"),
        (b"/media/a%2Fb", "GET", "GET"),
        (b"no/path\xff", "GET", "GET"),
        (b"/media/a", "STEAL", "HTTP /media/"),
    ],
)
def test_no_name_is_chosen_by_a_client(target: bytes, method: str, name: str) -> None:
    span = Rig().one(record_of(target, method))
    assert span.name == name
    known = {"GET", "HEAD", "OPTIONS", "_OTHER"}
    assert span.attributes["http.request.method"] in known


def test_no_secret_gets_into_a_span() -> None:
    record = record_of(b"/media/a;token=hunter2?X-Amz-Signature=hunter2")
    record.outcome, record.detail, record.status = "fault", "password=hunter2", 502
    span = Rig().one(record, (b"user-agent", b"x/1 (token=hunter2)" + b"y" * 5000))
    assert "hunter2" not in repr([span.attributes, span.said, span.name])
    assert len(str(span.attributes["user_agent.original"])) < 300
    assert span.error


@pytest.mark.parametrize(
    ("status", "outcome", "fault", "error", "kind"),
    [
        (200, "complete", "", False, None),
        (404, "refused", "NotFound", False, None),
        (0, "client gone", "", False, None),
        (200, "fault", "OriginBroke", True, "OriginBroke"),
        (503, "fault", "", True, "503"),
    ],
)
def test_only_our_faults_are_errors(
    status: int, outcome: str, fault: str, error: bool, kind: str | None
) -> None:
    record = record_of()
    record.status, record.outcome, record.fault = status, outcome, fault
    span = Rig().one(record)
    assert (span.error, span.attributes.get("error.type")) == (error, kind)
    assert ("http.response.status_code" in span.attributes) == bool(status)


def test_a_unix_socket_has_no_addresses() -> None:
    record = record_of()
    record.client = "unix"
    span = Rig().one(record, server=("/run/headgate.sock", None))
    assert "client.address" not in span.attributes
    assert "server.port" not in span.attributes
    assert "server.address" not in Rig().one(record, server=None).attributes


# --- who decides --------------------------------------------------------------------------------

HEADERS = Sequence[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("headers", "follows", "ratio", "traced", "followed"),
    [
        ([], True, 0.0, False, False),
        ([], True, 1.0, True, False),
        ([(b"traceparent", KEPT.encode())], True, 0.0, True, True),
        ([(b"traceparent", NOT_KEPT.encode())], True, 1.0, False, True),
        ([(b"traceparent", KEPT.encode())], False, 0.0, False, False),
        ([(b"traceparent", KEPT.encode())], False, 1.0, True, False),
        ([(b"traceparent", b"00-rubbish")], True, 1.0, True, False),
        ([(b"traceparent", KEPT.encode())] * 2, True, 0.0, False, False),
    ],
)
def test_who_decides(
    headers: HEADERS, follows: bool, ratio: float, traced: bool, followed: bool
) -> None:
    rig, record = Rig(ratio, follows=follows), record_of()
    span = rig.begin(scope_of(*headers), record)
    assert (span is not None) == traced
    assert rig.current is span
    assert (record.trace_id == TRACE) == followed
    assert (record.parent_id == PARENT) == followed
    passed = parse_traceparent(rig.carried.get("traceparent"))
    assert (passed is not None) == (traced or followed)
    if passed is None:
        return
    assert passed.sampled == traced
    assert (passed.trace_id == TRACE) == followed
    if span is not None:
        assert (passed.trace_id, passed.parent_id) == (span.trace_id, span.id)


def test_a_state_goes_along() -> None:
    rig = Rig()
    headers = [(b"traceparent", KEPT.encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    span = rig.begin(scope_of(*headers), record_of())
    assert span is not None
    assert rig.carried["tracestate"] == "a=1,b=2"


def test_whom_it_does_not_follow_it_links_to() -> None:
    span = Rig(follows=False).begin(scope_of((b"traceparent", KEPT.encode())), record_of())
    assert span is not None
    assert span.link is not None
    assert (span.link.trace_id, span.parent_id) == (TRACE, "")


def test_without_traces_a_context_is_logged_and_passed_on() -> None:
    record, context = record_of(), contextvars.copy_context()
    fields = {"traceparent": NOT_KEPT, "tracestate": "a=1"}
    context.run(pass_on, fields, record)
    assert context[CARRIED] == fields
    assert (record.trace_id, record.parent_id, record.span_id) == (TRACE, PARENT, "")
    nothing = contextvars.copy_context()
    nothing.run(pass_on, {"traceparent": "rubbish\r\n"}, record)
    assert CARRIED not in nothing

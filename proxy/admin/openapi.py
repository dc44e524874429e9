"""The operator's door in OpenAPI 3.1. A test holds it and the routes together, another one asks at
random what it allows and what it does not."""

from __future__ import annotations

from typing import Any

from proxy import __version__
from proxy.observability.profiling import MOST_SECONDS

_Json = dict[str, Any]
_PROBLEM: _Json = {"$ref": "#/components/responses/problem"}


def _parameter(name: str, schema: _Json, what: str) -> _Json:
    return {"name": name, "in": "query", "schema": schema, "description": what}


def _seconds(default: int) -> _Json:
    schema = {"type": "integer", "minimum": 1, "maximum": MOST_SECONDS, "default": default}
    return _parameter("seconds", schema, "How long to measure.")


_WORKER = _parameter(
    "worker",
    {"type": "string", "pattern": "^(worker-[0-9]{1,4}|[1-9][0-9]{0,6})$"},
    'Only this worker, by name ("worker-0") or process id. Left out: all of them.',
)


def _get(
    what: str,
    media_types: tuple[str, ...],
    *parameters: _Json,
    others: tuple[int, ...] = (),
    is_open: bool = False,
) -> _Json:
    """One operation. `others` are statuses beside 200 and those that every operation has."""
    refusals = (400, 403, 405) if is_open else (400, 401, 403, 405)
    responses: _Json = {str(status): _PROBLEM for status in (*refusals, *others)}
    content = {one: {"schema": _SCHEMAS.get(one, {"type": "string"})} for one in media_types}
    responses["200"] = {"description": what, "content": content}
    operation: _Json = {"summary": what, "parameters": list(parameters), "responses": responses}
    if is_open:
        operation["security"] = []
    return {"get": operation}


_SCHEMAS: _Json = {"application/json": {"type": "object"}}
_JSON = ("application/json",)
_DEBUG = (404, 429, 503)


def _readiness() -> _Json:
    path = _get("Whether new requests are welcome.", _JSON, is_open=True)
    path["get"]["responses"]["503"] = {
        "description": "They are not: no worker is ready, no origin answers, or it drains.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    return path


DESCRIPTION: _Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "Headgate's operator's door",
        "version": __version__,
        "description": "What a running Headgate does. Nothing here changes anything.",
    },
    "security": [{}, {"token": []}],
    "paths": {
        "/": _get("The status page.", ("text/html",), is_open=True),
        "/healthz": _get("Whether the process lives.", ("text/plain",), is_open=True),
        "/readyz": _readiness(),
        "/openapi.json": _get("This description.", _JSON, is_open=True),
        "/metrics": _get(
            "Metrics of all processes in one.",
            ("text/plain", "application/openmetrics-text"),
        ),
        "/status.json": _get("What the status page shows.", _JSON),
        "/transfers": _get("The responses in flight.", _JSON),
        "/config": _get("The effective configuration, secrets masked.", ("text/plain",)),
        "/trace": _get(
            "Responses as they end, as server-sent events, until the client leaves.",
            ("text/event-stream",),
            _parameter(
                "status",
                {"type": "string", "pattern": "^[1-5](xx|[0-9]{2})(,[1-5](xx|[0-9]{2})){0,99}$"},
                'Only these: "404", or "4xx,5xx".',
            ),
            _parameter(
                "path",
                {"type": "string", "pattern": "^/[a-z0-9/*.-]{0,1000}$"},
                "Only paths that match: * within a part, ** for any parts.",
            ),
            _parameter(
                "slower",
                {"type": "string", "pattern": "^[0-9]{1,6}(\\.[0-9]{1,6})?(ms|s|m)?$"},
                'Only those that took at least so long: "250ms".',
            ),
            others=(429,),
        ),
        "/debug/profile": _get(
            "Where the workers' time goes.",
            ("text/html", "application/json", "text/plain"),
            _seconds(10),
            _parameter(
                "format",
                {"type": "string", "enum": ["html", "speedscope", "text"], "default": "html"},
                "A page, a file for speedscope, or text.",
            ),
            _WORKER,
            others=_DEBUG,
        ),
        "/debug/memory": _get(
            "What was allocated meanwhile and is still held.",
            _JSON,
            _seconds(5),
            _WORKER,
            others=_DEBUG,
        ),
        "/debug/tasks": _get("Where each task waits.", _JSON, _WORKER, others=(404, 503)),
        "/debug/stalls": _get("What held the event loops.", _JSON, _WORKER, others=(404, 503)),
    },
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "responses": {
            "problem": {
                "description": "What is wrong, in the form of RFC 9457.",
                "content": {
                    "application/problem+json": {
                        "schema": {
                            "type": "object",
                            "required": ["status", "title", "detail"],
                            "properties": {
                                "status": {"type": "integer"},
                                "title": {"type": "string"},
                                "detail": {"type": "string"},
                            },
                        }
                    }
                },
            }
        },
    },
}

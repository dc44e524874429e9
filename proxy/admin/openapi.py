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
    return {"get": _operation(what, media_types, *parameters, others=others, is_open=is_open)}


def _post(what: str, body: _Json, *others: int) -> _Json:
    """An operation with a JSON body, that tells how far it is if Accept asks for events."""
    refusals = (404, 408, 413, 415, 429, 503, *others)
    operation = _operation(what, (*_JSON, "text/event-stream"), others=refusals)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return {"post": operation}


def _operation(
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
    return operation


def _object(required: tuple[str, ...] = (), **members: _Json) -> _Json:
    made: _Json = {"type": "object", "properties": members, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


# Texts that can be keys: Unicode, without NUL.
_TEXT: _Json = {"type": "string", "maxLength": 4096, "pattern": "^[^\\x00]*$"}
_ORIGIN: _Json = {**_TEXT, "description": "Its name; left out or empty: any, or the only one."}
_PURGE: _Json = {"origin": _ORIGIN, "soft": {"type": "boolean"}}
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
        "description": "What a running Headgate does. GET changes nothing; what is posted to "
        "/cache/ changes what is kept, never what is stored.",
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
        "/cache": _get(
            "What is kept and was done, by worker and in all.", _JSON, others=(404, 503)
        ),
        "/cache/objects": _get(
            "The objects of which something is kept.",
            _JSON,
            _parameter("prefix", _TEXT, "Only keys that begin so."),
            _parameter("origin", _TEXT, "Only those of this origin."),
            _parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000},
                "No more than this.",
            ),
            others=(404, 503),
        ),
        "/cache/purge": _post(
            "Purge; it is complete in all workers and on disk when this answers.",
            {
                "oneOf": [
                    _object(
                        ("kind", "value"),
                        kind={"enum": ["key", "prefix", "tag"]},
                        value={**_TEXT, "minLength": 1},
                        **_PURGE,
                    ),
                    _object(
                        ("kind", "value"),
                        kind={"const": "path"},
                        value={**_TEXT, "pattern": "^(/|https?://)[^\\x00]*$"},
                        **_PURGE,
                    ),
                    _object(("kind",), kind={"const": "all"}, value={"const": ""}, **_PURGE),
                ]
            },
            504,
        ),
        "/cache/scrub": _post(
            "Compare all slices on disk with their check values; drop those that differ.",
            _object(),
        ),
        "/cache/warm": _post(
            "Read objects from their origins, so that they are kept.",
            {
                "oneOf": [
                    _object(
                        ("keys",),
                        keys={
                            "type": "array",
                            "items": {**_TEXT, "minLength": 1},
                            "minItems": 1,
                            "maxItems": 1000,
                        },
                        origin=_ORIGIN,
                    ),
                    _object(
                        ("prefix",),
                        prefix={**_TEXT, "pattern": "^([^\\x00]*/)?$"},
                        origin=_ORIGIN,
                    ),
                ]
            },
        ),
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

"""Strict schemas of the Prometheus operator's two kinds, as far as we use them.

Kubernetes' own schemas know no custom resources. These hold the fields that deploy/k8s/ has, with
the operator's types; a field that is not here is refused, so that a misspelt one is.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_DURATION = {"type": "string", "pattern": r"^(0|([0-9]+(ms|s|m|h|d|w|y))+)$"}
_LABELS = {
    "type": "object",
    "propertyNames": {"pattern": r"^[a-zA-Z_]\w*$"},
    "additionalProperties": {"type": "string"},
}


def _closed(required: list[str], **properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


_METADATA = _closed(
    ["name", "labels"],
    name=_TEXT,
    namespace=_TEXT,
    labels={"type": "object", "additionalProperties": {"type": "string"}},
)


def _document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": kind},
        metadata=_METADATA,
        spec=spec,
    )


SERVICE_MONITOR = _document(
    "ServiceMonitor",
    _closed(
        ["selector", "endpoints"],
        jobLabel=_TEXT,
        sampleLimit={"type": "integer", "minimum": 1},
        selector=_closed(
            ["matchLabels"],
            matchLabels={"type": "object", "additionalProperties": {"type": "string"}},
        ),
        endpoints={
            "type": "array",
            "minItems": 1,
            "items": _closed(
                ["port", "path"],
                port=_TEXT,
                path={"type": "string", "pattern": "^/"},
                interval=_DURATION,
                scrapeTimeout=_DURATION,
                authorization=_closed(
                    ["credentials"],
                    type={"const": "Bearer"},
                    credentials=_closed(["name", "key"], name=_TEXT, key=_TEXT),
                ),
            ),
        },
    ),
)

_RULE = {
    "type": "object",
    "required": ["expr"],
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
    "properties": {
        "alert": _TEXT,
        "record": _TEXT,
        "expr": _TEXT,
        "for": _DURATION,
        "labels": _LABELS,
        "annotations": _LABELS,
    },
    "additionalProperties": False,
}

PROMETHEUS_RULE = _document(
    "PrometheusRule",
    _closed(
        ["groups"],
        groups={
            "type": "array",
            "minItems": 1,
            "items": _closed(
                ["name", "rules"],
                name=_TEXT,
                interval=_DURATION,
                rules={"type": "array", "minItems": 1, "items": _RULE},
            ),
        },
    ),
)

CUSTOM = {"ServiceMonitor": SERVICE_MONITOR, "PrometheusRule": PROMETHEUS_RULE}

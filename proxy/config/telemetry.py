"""The options of traces. As in `proxy.config.settings`, the text below each is its description."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from proxy.config.fields import (
    FieldName,
    Flag,
    OptionalFile,
    OptionalSecretText,
    RequiredEndpoint,
    ServiceName,
)
from proxy.config.table import Table
from proxy.config.units import Timeout


class SecretHeader(Table):
    """One field of the requests to the collector."""

    value: OptionalSecretText = None
    """Its value, such as "Bearer …"; better by file or environment than written down here."""

    value_file: OptionalFile = None
    """File that holds the value, instead of `value`."""


class Telemetry(Table):
    """Traces for OpenTelemetry, which need what `just extras` installs. Left out: none are made."""

    endpoint: RequiredEndpoint
    """URL of the collector that takes OTLP over HTTP: "http://127.0.0.1:4318"; spans go to
    /v1/traces there."""

    sample: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of requests that are traced, of those whose client has not decided: 1 is all."""

    follow_requests: Flag = True
    """True goes on with the traces of clients that send `traceparent`, which then decide whether
    theirs are kept. False, for doors that anybody reaches, draws for all, and links to theirs."""

    service_name: ServiceName = "headgate"
    """The name by which traces tell of this installation."""

    attributes: dict[str, str] = {}
    """More to tell of it: {"deployment.environment.name" = "production"}."""

    headers: dict[FieldName, SecretHeader] = {}
    """Fields that requests to the collector bring: [telemetry.headers.authorization]."""

    timeout: Timeout = 5.0
    """How long the collector may take, for a connection and for an answer."""

    ca_bundle: OptionalFile = None
    """PEM file with the authorities to trust instead of the usual ones."""

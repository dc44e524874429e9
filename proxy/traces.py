"""Settings to traces. Nothing of OpenTelemetry is imported where there are none."""

from __future__ import annotations

import asyncio
import os
import platform
from functools import partial

from proxy import __version__
from proxy.config.telemetry import SecretHeader, Telemetry
from proxy.observability.exporting import Exporter
from proxy.observability.meters import Meters
from proxy.observability.spans import Sampler, Tracer
from proxy.observability.tracing import Places, Tracing


class Traces:
    """The traces of one worker: `start`, then `aclose`.

    Attributes:
        tracer: where spans end.
    """

    def __init__(self, table: Telemetry, exporter: Exporter) -> None:
        self._table, self._exporter = table, exporter
        self.tracer = Tracer(exporter.put)

    def of(self, places: Places) -> Tracing:
        """What makes the spans of requests."""
        sampler = Sampler(self._table.sample)
        return Tracing(self.tracer, sampler, places, follows=self._table.follow_requests)

    def start(self) -> None:
        """Begins to send."""
        self._exporter.start()

    async def aclose(self) -> None:
        """Sends what is left, for a moment: see `Exporter.stop`."""
        await asyncio.to_thread(self._exporter.stop)


def make_traces(table: Telemetry | None, meters: Meters) -> Traces | None:
    """The traces that a table of the configuration describes; None without."""
    if table is None:
        return None
    # Imported where it is used: it takes 30 ms and 5 MB, and is not everywhere installed.
    from proxy.observability.otlp import Collector, write_spans  # noqa: PLC0415

    collector = Collector(
        table.endpoint,
        {name: _text(header) for name, header in table.headers.items()},
        table.timeout,
        str(table.ca_bundle) if table.ca_bundle is not None else None,
    )
    write = partial(write_spans, resource=resource_of(table), version=__version__)
    exporter = Exporter(collector, write)
    exporter.measure(meters)
    return Traces(table, exporter)


def _text(header: SecretHeader) -> str:
    return header.value.get_secret_value() if header.value is not None else ""


def resource_of(table: Telemetry) -> dict[str, str]:
    """What spans say of the process that makes them."""
    host = platform.node()
    return {
        "service.name": table.service_name,
        "service.version": __version__,
        "service.instance.id": f"{host}:{os.getpid()}",
        "host.name": host,
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
        **table.attributes,
    }

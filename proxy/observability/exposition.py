"""Metrics as text that Prometheus reads: its own client library writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.observability.meters import Value, Values
from proxy.observability.metrics import BY_NAME, Metric


@dataclass(frozen=True, slots=True, eq=False)
class _Once(Collector):
    values: Values

    def collect(self) -> Iterator[Family]:
        """All metrics in the order of their table; those without a value too, as a head."""
        for metric in BY_NAME.values():
            yield _family(metric, self.values.get(metric.name, []))


def write(values: Values, accept: str = "") -> tuple[bytes, str]:
    """The text, and its media type: Prometheus's own format, or OpenMetrics where `accept` asks."""
    registry = CollectorRegistry()
    registry.register(_Once(values))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def _family(metric: Metric, rows: list[tuple[list[str], Value]]) -> Family:
    family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
    names = [label.name for label in metric.labels]
    for values, value in sorted(rows, key=lambda row: row[0]):
        labels = dict(zip(names, values, strict=True))
        if isinstance(value, list):
            _add_histogram(family, metric, labels, value)
        else:
            family.add_sample(metric.name, labels, value)
    return family


def _add_histogram(
    family: Family, metric: Metric, labels: dict[str, str], value: list[float]
) -> None:
    *counts, observed = value
    bounds = [*map(str, metric.buckets), "+Inf"]
    running = list(accumulate(counts))
    for bound, count in zip(bounds, running, strict=True):
        family.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{metric.name}_count", labels, running[-1])
    family.add_sample(f"{metric.name}_sum", labels, observed)

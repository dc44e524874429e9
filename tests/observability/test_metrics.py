"""The table of metrics: rules for names and labels, and that docs/metrics.md tells the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.observability.metrics import BY_NAME, Metric, status_class

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "metrics.md"
METRICS = [pytest.param(one, id=one.name) for one in BY_NAME.values()]


def row_of(metric: Metric) -> str:
    """A metric's line in the document."""
    labels = "; ".join(
        f"{one.name}: {one.values if isinstance(one.values, str) else ', '.join(one.values)}"
        for one in metric.labels
    )
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


def test_the_document_tells_of_each_metric_and_of_no_other() -> None:
    rows = re.findall(r"^\| `.*$", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(map(row_of, BY_NAME.values()))


@pytest.mark.parametrize("metric", METRICS)
def test_names_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert re.fullmatch(r"headgate_[a-z_]+[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


# What a request can choose. A label of such a name would have as many values as there are requests.
CHOSEN_BY_REQUESTS = {
    "path", "key", "url", "uri", "target", "object", "client", "address", "user_agent", "host",
    "query", "referer", "request_id", "code",
}  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_labels_are_bounded(metric: Metric) -> None:
    for label in metric.labels:
        assert label.name not in CHOSEN_BY_REQUESTS
        assert label.values, "a closed set, or what bounds it"
        if not isinstance(label.values, str):
            assert len(label.values) <= 10


def test_no_other_file_has_a_metrics_name() -> None:
    files = [one for one in (ROOT / "proxy").rglob("*.py") if not one.name.endswith("metrics.py")]
    assert len(files) > 50
    found = [
        (str(one), name) for one in files for name in BY_NAME if f'"{name}"' in one.read_text()
    ]
    assert found == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "2xx"),
        (206, "2xx"),
        (304, "3xx"),
        (599, "5xx"),
        (0, "none"),
        (99, "none"),
        (600, "none"),
    ],
)
def test_status_classes(status: int, expected: str) -> None:
    assert status_class(status) == expected

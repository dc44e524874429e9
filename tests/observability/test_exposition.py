"""The text for Prometheus, read back by Prometheus's own parser."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from proxy.observability import metrics as names
from proxy.observability.exposition import write
from proxy.observability.meters import Meters


def meters() -> Meters:
    made = Meters()
    made.add(names.REQUESTS, 3, "GET", "2xx", "1.1")
    made.add(names.ORIGIN_ERRORS, 1, 'na"me\\\n', "timeout")
    for seconds in (0.0003, 0.3, 0.3, 7300.0):
        made.observe(names.REQUEST_SECONDS, seconds, "2xx")
    made.put(names.IN_FLIGHT, 2)
    return made


@pytest.mark.parametrize("openmetrics", [False, True])
def test_what_is_written_is_what_is_read(openmetrics: bool) -> None:
    accept = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain"
    text, media_type = write(meters().read(), accept)
    assert media_type.startswith("application/openmetrics" if openmetrics else "text/plain")
    families = {
        one.name: one for one in (parse_openmetrics if openmetrics else parse)(text.decode())
    }
    assert len(families) == len(names.BY_NAME)
    [requests] = families["headgate_requests"].samples
    assert requests.value == 3
    assert requests.labels == {"method": "GET", "status": "2xx", "protocol": "1.1"}
    assert families["headgate_origin_errors"].samples[0].labels["origin"] == 'na"me\\\n'
    duration = {
        (one.name.rpartition("_")[2], one.labels.get("le")): one.value
        for one in families["headgate_request_duration_seconds"].samples
    }
    assert duration["bucket", "0.001"] == 1
    assert duration["bucket", "0.25"] == 1
    assert duration["bucket", "0.5"] == 3
    assert duration["bucket", "7200.0"] == 3
    assert duration["bucket", "+Inf"] == duration["count", None] == 4
    assert duration["sum", None] == pytest.approx(7300.6003)

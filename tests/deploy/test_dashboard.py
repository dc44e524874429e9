"""The dashboard: every query of every panel, asked of a real Prometheus.

It scrapes a real Headgate under traffic. A query that fails or finds nothing fails its test.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.tools import dashboard
from deploy.tools.dashboard import Panel
from proxy.observability.metrics import BY_NAME
from tests.e2e.program import Headgate
from tests.load.background import Background
from tests.servers import SeaweedFS
from tests.servers.process import Process, ServerFailed, free_ports, program, work_directory
from tests.servers.running import InProcess

ROOT = Path(__file__).parents[2]
PANELS = list(dashboard.panels())
TOKEN = "a-token-of-the-test"
# Seconds over which rates are taken here, where Grafana would fill in its own.
RATE = 10
# A rate needs two scrapes in its window, and some more that carry traffic.
SCRAPES = 8


class Prometheus(InProcess):
    """A Prometheus that scrapes one Headgate every half second, with the shipped alerts."""

    def __init__(self, target: str) -> None:
        super().__init__(lambda: self._start(target))

    def _start(self, target: str) -> Process:
        work = work_directory()
        (self.port,) = free_ports(1)
        configuration = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "deploy/monitoring/alerts.yaml")],
            "scrape_configs": [
                {
                    "job_name": "headgate",
                    "authorization": {"type": "Bearer", "credentials": TOKEN},
                    "static_configs": [{"targets": [target]}],
                }
            ],
        }
        file = work / "prometheus.yaml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        command = [program("prometheus"), f"--config.file={file}", "--storage.tsdb.path=data"]
        process = Process([*command, f"--web.listen-address=127.0.0.1:{self.port}"], work)
        process.wait_until(self._is_ready)
        return process

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401  # JSON
        """The `data` of an answer of its interface; ServerFailed with what it says otherwise."""
        url = f"{self.endpoint}/api/v1/{path}"
        answer = httpx.get(url, params=parameters, timeout=30).json()
        if answer["status"] != "success":
            raise ServerFailed(answer["error"])
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The rows that an expression finds now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found


class Traffic(Background):
    """Requests of many kinds, one after the other, until it is stopped."""

    def __init__(self, url: str) -> None:
        super().__init__("traffic")
        self._url = url

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            for _ in range(2000):
                if self._done.wait(0.02):
                    return
                etag = client.get("/body.bin").headers["etag"]
                client.get("/body.bin", headers={"if-none-match": etag})
                client.get("/store/dashboard.bin", headers={"range": "bytes=5-900"})
                client.get("/store/dashboard.bin")
                client.get("/missing")


@pytest.fixture(scope="module")
def prometheus(
    seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    files = tmp_path_factory.mktemp("files")
    body = bytes(range(256)) * 1000
    (files / "body.bin").write_bytes(body)
    seaweedfs.uploads.put(seaweedfs.bucket, "dashboard.bin", body, checksum="crc32c")
    store = f'type = "s3"\nbucket = "{seaweedfs.bucket}"'
    configuration = f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        [admin]
        bind = "127.0.0.1:0"
        token = "{TOKEN}"
        [cache]
        directory = "{tmp_path_factory.mktemp("cache") / "slices"}"
        free = "1MiB"
        [origins.files]
        type = "directory"
        root = "{files}"
        [origins.store]
        {store}
        endpoint = "{seaweedfs.endpoint}"
        [[mounts]]
        path = "/"
        origin = "files"
        [[mounts]]
        path = "/store/"
        origin = "store"
    """
    environment = {
        "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
    }
    with (
        Headgate(re.sub(r"(?m)^ +", "", configuration), environment=environment) as headgate,
        Prometheus(headgate.admin_url.removeprefix("http://")) as server,
        Traffic(headgate.url),
    ):
        deadline = time.monotonic() + 60
        counted = "min(count_over_time(headgate_requests_total[1m]))"
        while True:
            rows = server.query(counted)
            if rows and float(rows[0]["value"][1]) >= SCRAPES:
                break
            if time.monotonic() > deadline:
                raise ServerFailed(f"{server.get('targets')}\n{headgate.output()[-3000:]}")
            time.sleep(0.2)
        yield server


def filled_in(expression: str) -> str:
    """A query with Grafana's variables as Grafana would fill them in."""
    for name, value in {"job": "headgate", "instance": ".+", "__rate_interval": f"{RATE}s"}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    return expression


@pytest.mark.servers
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_query_of_a_panel_finds_something(panel: Panel, prometheus: Prometheus) -> None:
    for query in panel.queries:
        rows = prometheus.query(filled_in(query.expression))
        assert rows, f"{query.expression} finds nothing"
        values = [float(row["value"][1]) for row in rows]
        assert not all(map(math.isnan, values)), f"{query.expression} is not a number"
        labels = set(re.findall(r"{{(\w+)}}", query.legend))
        assert all(labels <= row["metric"].keys() for row in rows), "a line without its name"


@pytest.mark.servers
def test_numbers_are_those_of_the_traffic(prometheus: Prometheus) -> None:
    """Not only some number: what was asked for is what is seen."""
    seen = {panel.title: panel for panel in PANELS}
    requests = prometheus.query(filled_in(seen["Requests"].queries[0].expression))
    by_status = {row["metric"]["status"]: float(row["value"][1]) for row in requests}
    assert by_status["2xx"] > by_status["3xx"] > 0
    assert by_status["4xx"] > 0
    throughput = [
        float(prometheus.query(filled_in(query.expression))[0]["value"][1])
        for query in seen["Throughput"].queries
    ]
    assert all(value > 100_000 for value in throughput)


@pytest.mark.servers
def test_a_query_that_is_wrong_is_found(prometheus: Prometheus) -> None:
    """The check can fail: a name that is not there, and an expression that is none."""
    assert prometheus.query("headgate_downloads_activ") == []
    with pytest.raises(ServerFailed):
        prometheus.query("sum(rate(headgate_requests_total))")


@pytest.mark.servers
def test_the_choices_at_the_top_have_something_to_choose(prometheus: Prometheus) -> None:
    for label in ("job", "instance"):
        found = prometheus.get(f"label/{label}/values", **{"match[]": "headgate_build_info"})
        assert found, label


@pytest.mark.servers
def test_the_alerts_are_loaded_and_quiet_when_all_is_well(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 9
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert [
        alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"
    ] == []


def test_the_file_for_grafana_is_what_the_table_says() -> None:
    file = ROOT / "deploy/monitoring/dashboard.json"
    assert file.read_text() == dashboard.dashboard(), "run `just monitoring`"


def test_there_is_a_panel_for_each_thing_to_watch() -> None:
    assert len(PANELS) >= 9
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for panel in PANELS
        for query in panel.queries
        for shared in ("", "shared_")  # a query asks for both at once
        for name in re.findall(r"\bheadgate_\w+", query.expression.replace("(shared_)?", shared))
    }
    assert asked <= BY_NAME.keys()
    never = BY_NAME.keys() - asked
    assert never <= {"headgate_event_loop_stalls_total", "headgate_verifications_total"} | {
        "headgate_configuration_loads_total"
    }, "metrics that nobody sees"


def test_panels_do_not_overlap() -> None:
    places = [one["gridPos"] for one in json.loads(dashboard.dashboard())["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24

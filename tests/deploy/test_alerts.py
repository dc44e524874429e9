"""Each alert fires when it should, says what it should, and is quiet when it should be.

`promtool test rules` runs the rules over made-up series, a minute apart. Of the annotations only
the summary is compared, which has the templates that can go wrong.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.monitoring import prometheus_rule
from proxy.observability.metrics import BY_NAME
from tests.servers.process import program

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/monitoring/alerts.yaml"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}

JOB = 'job="headgate"'
ONE = f'{JOB},instance="a:1"'
OTHER = f'{JOB},instance="b:1"'
REQUESTS = "headgate_requests_total"
DOWNLOADS = "headgate_downloads_total"
FIRST_BYTE = "headgate_time_to_first_byte_seconds_bucket"
RESIDENT = "headgate_process_resident_memory_bytes"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire, with what it says; and series that must not.

    Attributes:
        at: minute at which it fires.
        before: minute at which it must still be pending or quiet.
    """

    fires: Mapping[str, str]
    at: int
    before: int
    labels: Mapping[str, str]
    summary: str
    quiet: Mapping[str, str] = field(default_factory=dict)


INSTANCE = {"job": "headgate", "instance": "a:1"}
WHOLE = {"job": "headgate"}
ORIGIN = {"job": "headgate", "origin": "media"}

CASES: dict[str, Case] = {
    "HeadgateDown": Case(
        {f"up{{{ONE}}}": "1 1 0x20", f"up{{{OTHER}}}": "1x20"}, 5, 3, INSTANCE,
        "Headgate at a:1 does not answer",
        {f"up{{{ONE}}}": "1 0 1x20", 'up{job="node",instance="x"}': "0x20"},
    ),
    "HeadgateAbsent": Case(
        {'up{job="node",instance="x"}': "1x20"}, 6, 4, WHOLE,
        "There is no Headgate to be seen",
        {f"up{{{ONE}}}": "0x50"},
    ),
    "HeadgateNotReady": Case(
        {f'headgate_workers{{{ONE},state="ready"}}': "2 0x20",
         f'headgate_workers{{{ONE},state="starting"}}': "0 2x20"}, 3, 1, INSTANCE,
        "No worker of a:1 is ready",
        {f'headgate_workers{{{ONE},state="ready"}}': "1x20",
         f'headgate_workers{{{ONE},state="starting"}}': "1x20"},
    ),
    "HeadgateErrorsHigh": Case(
        {f'{REQUESTS}{{{ONE},status="2xx",method="GET"}}': "0+540x30",
         f'{REQUESTS}{{{ONE},status="5xx",method="GET"}}': "0+60x30"}, 15, 4, WHOLE,
        "10% of requests fail",
        {f'{REQUESTS}{{{ONE},status="2xx"}}': "0+580x30",
         f'{REQUESTS}{{{ONE},status="5xx"}}': "0+20x30",
         f'{REQUESTS}{{job="other",status="2xx"}}': "0+1x30",  # too few to tell
         f'{REQUESTS}{{job="other",status="5xx"}}': "0+1x30"},
    ),
    "HeadgateDownloadsFail": Case(
        {f'{DOWNLOADS}{{{ONE},outcome="complete"}}': "0+95x40",
         f'{DOWNLOADS}{{{ONE},outcome="client_gone"}}': "0+300x40",
         f'{DOWNLOADS}{{{ONE},outcome="origin_fault"}}': "0+5x40"}, 25, 9, WHOLE,
        "5% of downloads break off on our side",
        {f'{DOWNLOADS}{{{ONE},outcome="complete"}}': "0+99x40",
         f'{DOWNLOADS}{{{ONE},outcome="client_gone"}}': "0+300x40",
         f'{DOWNLOADS}{{{ONE},outcome="refused"}}': "0+300x40",
         f'{DOWNLOADS}{{{ONE},outcome="internal"}}': "0+1x40"},
    ),
    "HeadgateChecksumMismatch": Case(
        {f'{DOWNLOADS}{{{ONE},outcome="checksum_mismatch"}}': "0x5 1x30"}, 8, 5, WHOLE,
        "Bytes from the origin did not match their checksum",
        {f'{DOWNLOADS}{{{ONE},outcome="checksum_mismatch"}}': "3x40",
         f'{DOWNLOADS}{{{ONE},outcome="complete"}}': "0+9x40"},
    ),
    "HeadgateFirstByteSlow": Case(
        {f'{FIRST_BYTE}{{{ONE},status="2xx",le="1.0"}}': "0+50x60",
         f'{FIRST_BYTE}{{{ONE},status="2xx",le="2.5"}}': "0+100x60",
         f'{FIRST_BYTE}{{{ONE},status="2xx",le="+Inf"}}': "0+100x60"}, 30, 14, WHOLE,
        "First bytes take 2.35s at the 95th percentile",
        {f'{FIRST_BYTE}{{{ONE},status="2xx",le="1.0"}}': "0+98x60",
         f'{FIRST_BYTE}{{{ONE},status="2xx",le="2.5"}}': "0+100x60",
         f'{FIRST_BYTE}{{{ONE},status="2xx",le="+Inf"}}': "0+100x60",
         f'{FIRST_BYTE}{{{ONE},status="5xx",le="1.0"}}': "0x60",
         f'{FIRST_BYTE}{{{ONE},status="5xx",le="+Inf"}}': "0+100x60"},
    ),
    "HeadgateOriginDown": Case(
        {f'headgate_origin_up{{{ONE},origin="media"}}': "1 0x20",
         f'headgate_origin_up{{{OTHER},origin="media"}}': "1 0x20",
         f'headgate_origin_up{{{ONE},origin="site"}}': "1x20"}, 4, 2, ORIGIN,
        "Origin media answers nobody",
        {f'headgate_origin_up{{{ONE},origin="media"}}': "0x20",
         f'headgate_origin_up{{{OTHER},origin="media"}}': "1x20"},
    ),
    "HeadgateOriginErrors": Case(
        {f'headgate_origin_requests_total{{{ONE},origin="media",operation="read"}}': "0+100x40",
         f'headgate_origin_errors_total{{{ONE},origin="media",kind="timeout"}}': "0+20x40",
         f'headgate_origin_errors_total{{{ONE},origin="media",kind="broke"}}': "0+5x40"},
        25, 9, ORIGIN,
        "25% of requests to media fail",
        {f'headgate_origin_requests_total{{{ONE},origin="media",operation="read"}}': "0+100x40",
         f'headgate_origin_errors_total{{{ONE},origin="media",kind="timeout"}}': "0+2x40"},
    ),
    "HeadgateRefuses": Case(
        {f'headgate_refused_total{{{ONE},reason="connections"}}': "0x50",
         f'headgate_origin_queue_refused_total{{{ONE},origin="media",reason="late"}}':
         "0x5 1+1x40"}, 14, 6, INSTANCE,
        "a:1 refuses what it has no room for",
        {f'headgate_refused_total{{{ONE},reason="address"}}': "0+50x40",
         f'headgate_refused_total{{{ONE},reason="connections"}}': "7x40",
         f'headgate_origin_queue_refused_total{{{ONE},origin="media",reason="late"}}': "7x40"},
    ),
    "HeadgateCacheResting": Case(
        {f'headgate_cache_resting{{{ONE},reason="full"}}': "0 1x20",
         f'headgate_cache_resting{{{ONE},reason="failing"}}': "0x20"},
        10, 5, INSTANCE | {"reason": "full"},
        "The cache's disk of a:1 is full",
        {f'headgate_cache_resting{{{ONE},reason="full"}}': "0 1 0 0 0 0 0 1 0x20"},
    ),
    "HeadgateCacheDamaged": Case(
        {f"headgate_cache_damaged_slices_total{{{ONE}}}": "0x5 1x30"}, 8, 5, INSTANCE,
        "The cache's disk of a:1 gives back other bytes than were written",
        {f"headgate_cache_damaged_slices_total{{{ONE}}}": "3x40"},
    ),
    "HeadgateWorkersLost": Case(
        {f"headgate_workers_lost_total{{{ONE}}}": "0 1 2 3 4 5x30"}, 8, 2, INSTANCE,
        "Workers of a:1 keep dying",
        {f"headgate_workers_lost_total{{{ONE}}}": "0 1x40"},
    ),
    "HeadgateWorkerSilent": Case(
        {f"headgate_workers_silent{{{ONE}}}": "0 1x20"}, 5, 3, INSTANCE,
        "A worker of a:1 does not answer",
        {f"headgate_workers_silent{{{ONE}}}": "0 1 0 1 0x20"},
    ),
    "HeadgateLoopLag": Case(
        {f'headgate_event_loop_lag_max_seconds{{{ONE},process="worker-0"}}': "0.5x20",
         f'headgate_event_loop_lag_max_seconds{{{ONE},process="worker-1"}}': "0.01x20"},
        6, 4, INSTANCE,
        "An event loop of a:1 stalls for 500ms",
        {f'headgate_event_loop_lag_max_seconds{{{ONE},process="worker-0"}}': "0.5 0.5 0.01x20"},
    ),
    "HeadgateProcessorFull": Case(
        {f'headgate_process_cpu_seconds_total{{{ONE},process="worker-0"}}': "0+57x60",
         f'headgate_process_cpu_seconds_total{{{ONE},process="worker-1"}}': "0+57x60",
         f'headgate_workers{{{ONE},state="ready"}}': "2x60"}, 25, 14, INSTANCE,
        "The workers of a:1 use 95% of a processor each",
        {f'headgate_process_cpu_seconds_total{{{ONE},process="worker-0"}}': "0+57x60",
         f'headgate_process_cpu_seconds_total{{{ONE},process="worker-1"}}': "0+5x60",
         f'headgate_process_cpu_seconds_total{{{ONE},process="supervisor"}}': "0+60x60",
         f'headgate_workers{{{ONE},state="ready"}}': "2x60"},
    ),
    "HeadgateMemoryHigh": Case(
        {f'{RESIDENT}{{{ONE},process="worker-0"}}': f"{500 * MIB}x20",
         f'{RESIDENT}{{{ONE},process="worker-1"}}': f"{460 * MIB}x20"},
        6, 4, INSTANCE,
        "a:1 holds 960MiB",
        {f'{RESIDENT}{{{ONE},process="worker-0"}}': f"{800 * MIB}x20",
         f'{RESIDENT}{{{OTHER},process="worker-0"}}': f"{800 * MIB}x20"},
    ),
    "HeadgateDescriptorsLow": Case(
        {f'headgate_process_open_descriptors{{{ONE},process="worker-0"}}': "900x20",
         f'headgate_process_open_descriptors{{{ONE},process="worker-1"}}': "10x20",
         f'headgate_process_max_descriptors{{{ONE},process="worker-0"}}': "1000x20",
         f'headgate_process_max_descriptors{{{ONE},process="worker-1"}}': "1000x20"},
        6, 4, INSTANCE,
        "A process of a:1 uses 90% of its descriptors",
        {f'headgate_process_open_descriptors{{{ONE},process="worker-0"}}': "700x20",
         f'headgate_process_max_descriptors{{{ONE},process="worker-0"}}': "1000x20"},
    ),
    "HeadgateConfigurationRefused": Case(
        {f'headgate_configuration_loads_total{{{ONE},result="refused"}}': "0 0 1x20"},
        5, 2, {**INSTANCE, "result": "refused"},
        "a:1 refused a new configuration",
        {f'headgate_configuration_loads_total{{{ONE},result="refused"}}': "1x20",
         f'headgate_configuration_loads_total{{{ONE},result="accepted"}}': "0+1x20"},
    ),
    "HeadgateLogLinesDropped": Case(
        {f'headgate_log_lines_dropped_total{{{ONE},process="worker-0"}}': "0 7x20"},
        7, 3, INSTANCE,
        "a:1 drops log lines",
        {f'headgate_log_lines_dropped_total{{{ONE},process="worker-0"}}': "7x40"},
    ),
}  # fmt: skip


def promtool(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def run_rules(directory: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What promtool says of the tests, on the rules with their summaries only."""
    rules = {
        name: {**rule, "annotations": {"summary": rule["annotations"]["summary"]}}
        for name, rule in ALERTS.items()
    }
    groups = [{"name": "all", "rules": list(rules.values())}]
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (directory / "test.yaml").write_text(yaml.safe_dump(whole))
    return promtool("test", "rules", "test.yaml", cwd=directory)


def one_test(series: Mapping[str, str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": expected,
    }


def firing(name: str, case: Case) -> dict[str, Any]:
    return {
        "exp_labels": {**case.labels, "severity": ALERTS[name]["labels"]["severity"]},
        "exp_annotations": {"summary": case.summary},
    }


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert list(CASES) == list(ALERTS)
    assert len(ALERTS) >= 9


@pytest.mark.parametrize("name", CASES)
def test_it_fires_in_time_and_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    times: list[dict[str, Any]] = [
        {"eval_time": f"{case.before}m", "alertname": name, "exp_alerts": []},
        {"eval_time": f"{case.at}m", "alertname": name, "exp_alerts": [firing(name, case)]},
    ]
    done = run_rules(tmp_path, [one_test(case.fires, times)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_refusals_are_told_where_no_store_has_connections(tmp_path: Path) -> None:
    series = {f'headgate_refused_total{{{ONE},reason="descriptors"}}': "0x5 1+1x40"}
    times = [
        {
            "eval_time": "14m",
            "alertname": "HeadgateRefuses",
            "exp_alerts": [firing("HeadgateRefuses", CASES["HeadgateRefuses"])],
        }
    ]
    done = run_rules(tmp_path, [one_test(series, times)])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_it_is_quiet_when_all_is_well(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    times: list[dict[str, Any]] = [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []} for minute in range(1, 41)
    ]
    done = run_rules(tmp_path, [one_test(case.quiet, times)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alert_that_stays_away_would_be_missed(tmp_path: Path) -> None:
    """The check can fail: series that make nothing fire, where an alert is expected."""
    case = CASES["HeadgateDown"]
    expected = {
        "eval_time": f"{case.at}m",
        "alertname": "HeadgateDown",
        "exp_alerts": [firing("HeadgateDown", case)],
    }
    assert run_rules(tmp_path, [one_test(case.quiet, [expected])]).returncode == 1


def test_the_rules_pass_every_lint() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_configuration_is_valid() -> None:
    file = ROOT / "deploy/monitoring/prometheus.yaml"
    done = promtool("check", "config", "--syntax-only", file)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_complete(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].endswith(f"PRODUCTION.md#{name.lower()}")
    runbook = (ROOT / "PRODUCTION.md").read_text()
    assert re.search(rf"^#+ {name}$", runbook, re.MULTILINE), "the runbook says nothing of it"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_metrics_that_there_are(name: str) -> None:
    asked = set(re.findall(r"\bheadgate_\w+", ALERTS[name]["expr"]))
    known = {f"{metric}{end}" for metric in BY_NAME for end in ("", "_bucket", "_count", "_sum")}
    assert asked <= known


def test_kubernetes_has_the_same_rules() -> None:
    file = ROOT / "deploy/k8s/components/monitoring/prometheusrule.yaml"
    assert file.read_text() == prometheus_rule(RULES.read_text()), "run `just monitoring`"
    document = yaml.safe_load(file.read_text())
    assert document["spec"]["groups"] == GROUPS

"""The Grafana dashboard as code: a table of panels, and the JSON that Grafana imports.

A panel is a row here: title, unit, and queries with the words that name their lines. Whether a
query finds anything is tested on a real Prometheus (tests/deploy/test_dashboard.py). `OURS` stands
for the choice of job and instance that is made at the top of the dashboard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

OURS = 'job=~"$job",instance=~"$instance"'
RATE = "[$__rate_interval]"
_WIDTH, _HEIGHT = 8, 7  # of 24 columns: three beside one another
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and the name of each line of the answer, from its labels."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        unit: Grafana's name of it: reqps, percentunit, s, Bps, bytes, short.
        kind: timeseries, or stat for one number.
        highest: the top of the scale where it is known, as 1 for a share.
    """

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    highest: float | None = None


def _rate(metric: str, by: str = "", where: str = "") -> str:
    return f"sum {f'by ({by}) ' if by else ''}(rate({metric}{{{OURS}{where}}}{RATE}))"


def _quantiles(metric: str, where: str = "") -> tuple[Query, ...]:
    buckets = _rate(f"{metric}_bucket", "le", where)
    return tuple(
        Query(f"histogram_quantile({share}, {buckets})", f"{share:.0%}")
        for share in (0.5, 0.95, 0.99)
    )


def _share(part: str, whole: str) -> str:
    """Of the fullest instance."""
    return f"max({part}{{{OURS}}} / {whole}{{{OURS}}})"


def _or_none(expression: str) -> str:
    """0 where nothing has been counted yet, so that no trouble is not "no data"."""
    return f"({expression} or vector(0))"


_ALL = _rate("headgate_requests_total")
_FAILED = _or_none(_rate("headgate_requests_total", where=',status="5xx"'))
_COUNTED = _rate("headgate_downloads_total", where=',outcome!~"client_gone|refused"')
_COMPLETE = _rate("headgate_downloads_total", where=',outcome="complete"')
_KEPT_ANSWERS = _rate(
    "headgate_cache_answers_total", where=',result=~"hit|stale hit|revalidated|collapsed"'
)
_FROM_ORIGINS = _rate("headgate_origin_bytes_total")
_TO_CLIENTS = _rate("headgate_sent_bytes_total")

ROWS: dict[str, tuple[Panel, ...]] = {
    "Clients": (
        Panel(
            "Requests",
            "Ended requests by status class.",
            "reqps",
            (Query(_rate("headgate_requests_total", "status"), "{{status}}"),),
        ),
        Panel(
            "Errors",
            "Share of requests answered by a 5xx.",
            "percentunit",
            (Query(f"{_FAILED} / {_ALL}", "5xx"),),
        ),
        Panel(
            "From memory",
            "Share of requests that were answered at once, from an answer prepared before.",
            "percentunit",
            (Query(f"{_rate('headgate_requests_hot_total')} / {_ALL}", "hot"),),
        ),
        Panel(
            "Prepared answers",
            "Memory that they take, by instance.",
            "bytes",
            (Query(f"sum by (instance) (headgate_prepared_bytes{{{OURS}}})", "{{instance}}"),),
        ),
        Panel(
            "Protocols",
            "Ended requests by version of HTTP.",
            "reqps",
            (Query(_rate("headgate_requests_total", "protocol"), "HTTP/{{protocol}}"),),
        ),
        Panel(
            "Time to first byte",
            "What Headgate and the origin take, for successful responses.",
            "s",
            _quantiles("headgate_time_to_first_byte_seconds", ',status="2xx"'),
        ),
        Panel(
            "Duration",
            "Whole responses; mostly how fast the clients' lines are.",
            "s",
            _quantiles("headgate_request_duration_seconds", ',status="2xx"'),
        ),
        Panel(
            "Active downloads",
            "Responses that are sending an object's bytes, by instance.",
            "short",
            (
                Query(f"sum by (instance) (headgate_downloads_active{{{OURS}}})", "{{instance}}"),
                Query(f"sum(headgate_requests_in_flight{{{OURS}}})", "all requests in flight"),
            ),
        ),
        Panel(
            "Success rate of downloads",
            "Complete ones among all but those that the client broke off or had no right to.",
            "percentunit",
            (Query(f"{_COMPLETE} / {_COUNTED}", "complete"),),
            kind="stat",
            highest=1,
        ),
        Panel(
            "Downloads by outcome",
            "How they ended.",
            "short",
            (Query(_rate("headgate_downloads_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Limits of the proxy",
            "What was lost on the way out: log lines and lines of live traces.",
            "short",
            (
                Query(_rate("headgate_log_lines_dropped_total"), "log lines dropped"),
                Query(_rate("headgate_trace_lines_dropped_total"), "trace lines dropped"),
            ),
        ),
    ),
    "Bytes": (
        Panel(
            "Throughput",
            "Bytes of bodies to clients, and from origins.",
            "Bps",
            (Query(_TO_CLIENTS, "to clients"), Query(_FROM_ORIGINS, "from origins")),
        ),
        Panel(
            "Amplification",
            "Bytes read from origins for each byte to a client; below 1 where a cache helps.",
            "short",
            (Query(f"{_FROM_ORIGINS} / {_TO_CLIENTS}", "origin bytes per client byte"),),
        ),
        Panel(
            "Verification",
            "Bytes that were compared with the store's checksums, did not match, or could not be.",
            "Bps",
            (Query(_rate("headgate_verification_bytes_total", "result"), "{{result}}"),),
        ),
    ),
    "Cache": (
        Panel(
            "Answers from the cache",
            "By what the cache did for them.",
            "reqps",
            (Query(_rate("headgate_cache_answers_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Hit ratio",
            "Answers that needed no byte of an origin, among all of objects that may be kept.",
            "percentunit",
            (Query(f"{_KEPT_ANSWERS} / {_rate('headgate_cache_answers_total')}", "answers"),),
            highest=1,
        ),
        Panel(
            "Where bytes come from",
            "Kept in memory or on disk, just being filled, or past the cache.",
            "Bps",
            (Query(_rate("headgate_cache_bytes_total", "tier"), "{{tier}}"),),
        ),
        Panel(
            "Fills",
            "Slices asked of origins, those that failed or were given up, and other workers'.",
            "short",
            (Query(_rate("headgate_cache_fills_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Written and evicted",
            "Bytes written to the cache's disk, and those that gave way.",
            "Bps",
            (
                Query(_rate("headgate_cache_written_bytes_total"), "written"),
                Query(_rate("headgate_cache_evicted_bytes_total"), "evicted"),
            ),
        ),
        Panel(
            "Slices",
            "Written, evicted from memory and disk, and damaged.",
            "short",
            (
                Query(_rate("headgate_cache_written_slices_total"), "written"),
                Query(
                    _rate("headgate_cache_evicted_slices_total", "tier"), "evicted from {{tier}}"
                ),
                Query(_rate("headgate_cache_damaged_slices_total"), "damaged"),
            ),
        ),
        Panel(
            "Disk of the cache",
            "Share of what it may hold, in bytes and in files.",
            "percentunit",
            (
                Query(
                    _share("headgate_cache_disk_bytes", "headgate_cache_disk_limit_bytes"), "bytes"
                ),
                Query(
                    _share("headgate_cache_disk_files", "headgate_cache_disk_limit_files"), "files"
                ),
            ),
        ),
        Panel(
            "Memory of the cache",
            "Slices held by all workers, and what they may hold.",
            "bytes",
            (
                Query(
                    f"sum by (instance) ({{__name__=~"
                    f'"headgate_cache_(shared_)?memory_bytes",{OURS}}})',
                    "{{instance}}",
                ),
                Query(
                    f'sum({{__name__=~"headgate_cache_(shared_)?memory_limit_bytes",{OURS}}})',
                    "limit",
                ),
            ),
        ),
        Panel(
            "Objects, purges, rest",
            "Objects known, purges, and 1 while the directory is left alone.",
            "short",
            (
                Query(f"sum(headgate_cache_entries{{{OURS}}})", "objects"),
                Query(f"sum(increase(headgate_cache_purges_total{{{OURS}}}{RATE}))", "purges"),
                Query(f"max by (reason) (headgate_cache_resting{{{OURS}}})", "{{reason}}"),
            ),
        ),
    ),
    "Origins": (
        Panel(
            "Origin requests",
            "By origin and what was asked.",
            "reqps",
            (
                Query(
                    _rate("headgate_origin_requests_total", "origin, operation"),
                    "{{origin}} {{operation}}",
                ),
            ),
        ),
        Panel(
            "Origin errors",
            "Requests that failed through the origin's fault.",
            "reqps",
            (Query(_rate("headgate_origin_errors_total", "origin, kind"), "{{origin}} {{kind}}"),),
        ),
        Panel(
            "Origin answers after",
            "Opening an object, 95 of 100, by origin.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, "
                    + _rate("headgate_origin_open_seconds_bucket", "origin, le")
                    + ")",
                    "{{origin}}",
                ),
            ),
        ),
        Panel(
            "Retries",
            "Requests asked again, bodies gone on with, and both given up.",
            "reqps",
            (Query(_rate("headgate_origin_retries_total", "origin, kind"), "{{origin}} {{kind}}"),),
        ),
        Panel(
            "Origins that answer",
            "1 where at least one instance reaches it.",
            "short",
            (Query(f"max by (origin) (headgate_origin_up{{{OURS}}})", "{{origin}}"),),
            kind="stat",
            highest=1,
        ),
    ),
    "Flow and memory": (
        Panel(
            "Budgets",
            "Share of what may be used, of the fullest instance: connections with clients and to a"
            " store, and memory for slices and for prepared answers.",
            "percentunit",
            (
                Query(_share("headgate_connections", "headgate_connections_limit"), "clients"),
                Query(
                    _share("headgate_origin_connections", "headgate_origin_connections_limit"),
                    "store",
                ),
                Query(
                    _share("headgate_cache_memory_bytes", "headgate_cache_memory_limit_bytes"),
                    "slices",
                ),
                Query(
                    _share("headgate_prepared_bytes", "headgate_prepared_limit_bytes"), "prepared"
                ),
            ),
            highest=1,
        ),
        Panel(
            "Paused",
            "Responses whose client takes nothing; and how many waited for theirs on average.",
            "short",
            (
                Query(f"sum(headgate_responses_paused{{{OURS}}})", "for a second"),
                Query(_rate("headgate_paused_seconds_total"), "on average"),
            ),
        ),
        Panel(
            "Waiting for a store",
            "Requests that wait for a connection, now and on average, and those that had to.",
            "short",
            (
                Query(f"sum by (origin) (headgate_origin_queue{{{OURS}}})", "{{origin}}"),
                Query(_rate("headgate_origin_queue_seconds_total", "origin"), "{{origin}} average"),
                Query(_rate("headgate_origin_queue_waits_total", "origin"), "{{origin}} a second"),
            ),
        ),
        Panel(
            "Memory of downloads",
            "What bodies on their way may hold, of the budget.",
            "percentunit",
            (
                Query(
                    f"sum(headgate_flow_memory_bytes{{{OURS}}})"
                    f" / sum(headgate_flow_memory_limit_bytes{{{OURS}}})",
                    "of the budget",
                ),
            ),
        ),
        Panel(
            "Waiting for memory",
            "Requests that wait for some of it, now and on average, and those that had to.",
            "short",
            (
                Query(f"sum(headgate_flow_queue{{{OURS}}})", "now"),
                Query(_rate("headgate_flow_queue_seconds_total"), "on average"),
                Query(_rate("headgate_flow_queue_waits_total"), "a second"),
            ),
        ),
        Panel(
            "Refused",
            "Connections and requests, by the limit that was reached.",
            "reqps",
            (
                Query(_rate("headgate_refused_total", "reason"), "{{reason}}"),
                Query(
                    _rate("headgate_origin_queue_refused_total", "origin, reason"),
                    "{{origin}} {{reason}}",
                ),
            ),
        ),
        Panel(
            "Connections",
            "With clients, by instance.",
            "short",
            (Query(f"sum by (instance) (headgate_connections{{{OURS}}})", "{{instance}}"),),
        ),
        Panel(
            "Traces",
            "Spans that the collector has taken, and those that were dropped.",
            "short",
            tuple(
                Query(_or_none(_rate("headgate_spans_total", where=f',result="{one}"')), one)
                for one in ("sent", "dropped")
            ),
        ),
    ),
    "Workers": (
        Panel(
            "Workers",
            "By state, and those that were lost.",
            "short",
            (
                Query(f"sum by (state) (headgate_workers{{{OURS}}})", "{{state}}"),
                Query(
                    f"sum(increase(headgate_workers_lost_total{{{OURS}}}{RATE}))", "lost just now"
                ),
                Query(f"sum(headgate_workers_silent{{{OURS}}})", "silent"),
            ),
        ),
        Panel(
            "Processors",
            "Each worker can use one.",
            "percentunit",
            (
                Query(
                    _rate("headgate_process_cpu_seconds_total", "instance, process"),
                    "{{instance}} {{process}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident, by process.",
            "bytes",
            (
                Query(
                    "sum by (instance, process) "
                    f"(headgate_process_resident_memory_bytes{{{OURS}}})",
                    "{{instance}} {{process}}",
                ),
            ),
        ),
        Panel(
            "Event-loop lag",
            "The longest in half a minute, and 99 of 100.",
            "s",
            (
                Query(
                    f"max by (instance) (headgate_event_loop_lag_max_seconds{{{OURS}}})",
                    "longest {{instance}}",
                ),
                _quantiles("headgate_event_loop_lag_seconds")[2],
            ),
        ),
        Panel(
            "Garbage collection",
            "Share of the time it took.",
            "percentunit",
            (Query(_rate("headgate_gc_pause_seconds_sum", "generation"), "{{generation}}"),),
        ),
        Panel(
            "Descriptors",
            "Share of those that are allowed.",
            "percentunit",
            (
                Query(
                    f"max by (instance) (headgate_process_open_descriptors{{{OURS}}}"
                    f" / headgate_process_max_descriptors{{{OURS}}})",
                    "{{instance}}",
                ),
            ),
            highest=1,
        ),
        Panel(
            "Versions",
            "What runs.",
            "short",
            (
                Query(
                    f"count by (version, python) (headgate_build_info{{{OURS}}})",
                    "{{version}} on {{python}}",
                ),
            ),
            kind="stat",
        ),
        Panel(
            "Configuration",
            "How old the one in effect is, and loads that were refused.",
            "s",
            (
                Query(
                    "time() - min(headgate_configuration_last_success_timestamp_seconds"
                    f"{{{OURS}}})",
                    "age",
                ),
            ),
            kind="stat",
        ),
    ),
}


def panels() -> Iterator[Panel]:
    """All of them, top to bottom."""
    for row in ROWS.values():
        yield from row


def dashboard() -> str:
    """The JSON that Grafana (11 and newer) imports."""
    whole = {
        "title": "Headgate",
        "uid": "headgate",
        "tags": ["headgate"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": [_reloads()]},
        "panels": list(_placed()),
    }
    return json.dumps(whole, indent=1) + "\n"


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource"}
    return [
        {**source, "query": "prometheus"},
        _choice("job", "label_values(headgate_build_info, job)"),
        _choice("instance", 'label_values(headgate_build_info{job=~"$job"}, instance)'),
    ]


def _choice(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _reloads() -> dict[str, Any]:
    return {
        "name": "Configuration loaded",
        "datasource": _DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes(headgate_configuration_last_success_timestamp_seconds{{{OURS}}}[1m]) > 0",
        "titleFormat": "Configuration loaded",
    }


def _placed() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        number, top = number + 1, top + 1
        for index, panel in enumerate(row):
            x, y = index % 3 * _WIDTH, top + index // 3 * _HEIGHT
            yield _drawn(panel, number, {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y})
            number += 1
        top += -(-len(row) // 3) * _HEIGHT


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.highest is not None:
        defaults["max"] = panel.highest
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": "ABCDE"[index],
                "datasource": _DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }

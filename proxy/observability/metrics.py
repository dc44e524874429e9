"""Every metric there is: its name, its labels, what it counts.

Here are those of clients, origins, checks and the whole; those of the flow, of what the cache keeps
and of single processes are in `flow_metrics`, `cache_metrics` and `process_metrics`. No other file
has a metric's name.

A label has a closed set of values, or one that the configuration bounds. Never a path, a key, an
address of a client or anything else that a request chooses: whoever asks for a million names must
not make a million series. docs/metrics.md tells the same as these tables; a test holds them
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.observability import cache_metrics, flow_metrics, process_metrics
from proxy.observability.metric import OF_ORIGINS, Label, Metric

__all__ = ["Label", "Metric"]  # beside all that is said here


OTHER: Final = "other"

METHODS: Final = ("GET", "HEAD", "OPTIONS", OTHER)
STATUSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
PROTOCOLS: Final = ("1.0", "1.1", "2", "3", OTHER)
OUTCOMES: Final = (
    "complete",
    "client_gone",
    "origin_fault",
    "checksum_mismatch",
    "refused",
    "cut",
    "internal",
)
ERRORS: Final = (
    "unreachable",
    "timeout",
    "unavailable",
    "refused",
    "broke",
    "changed",
    "mismatch",
    OTHER,
)
RETRIES: Final = ("retry", "resume", "exhausted")

_STATUS: Final = Label("status", STATUSES)
_ORIGIN: Final = OF_ORIGINS

# A stop at a 304 (under 1 ms) and at a film over a slow line (two hours), about 2.5 apart between.
_DURATIONS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0),
)
# From a file in the page cache to a store at its first_byte_timeout.
_FIRST_BYTES: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

# --- clients ------------------------------------------------------------------------------------

REQUESTS: Final = Metric(
    "headgate_requests_total",
    "counter",
    "Requests that have ended, however they did.",
    (Label("method", METHODS), _STATUS, Label("protocol", PROTOCOLS)),
)
REQUESTS_HOT: Final = Metric(
    "headgate_requests_hot_total",
    "counter",
    "Those of them that were answered at once, from an answer that was prepared before.",
)
PREPARED_BYTES: Final = Metric(
    "headgate_prepared_bytes",
    "gauge",
    "Memory that prepared answers take, as they are counted against http.prepared.",
)
PREPARED_LIMIT: Final = Metric(
    "headgate_prepared_limit_bytes", "gauge", "What all workers may hold of them (http.prepared)."
)
REQUEST_SECONDS: Final = Metric(
    "headgate_request_duration_seconds",
    "histogram",
    "From a request's head to the end of its response; a download's takes what the client takes.",
    (_STATUS,),
    _DURATIONS,
)
FIRST_BYTE_SECONDS: Final = Metric(
    "headgate_time_to_first_byte_seconds",
    "histogram",
    "From a request's head to the first byte of its response: what Headgate and origin take.",
    (_STATUS,),
    _FIRST_BYTES,
)
IN_FLIGHT: Final = Metric(
    "headgate_requests_in_flight", "gauge", "Requests that are being answered."
)
DOWNLOADS_ACTIVE: Final = Metric(
    "headgate_downloads_active", "gauge", "Responses that are sending an object's bytes."
)
DOWNLOADS: Final = Metric(
    "headgate_downloads_total",
    "counter",
    "GET requests for an object that have ended, but for those answered by 304 or a redirect.",
    (Label("outcome", OUTCOMES),),
)
SENT_BYTES: Final = Metric(
    "headgate_sent_bytes_total",
    "counter",
    "Bytes of bodies handed to clients, those of responses still in flight among them.",
)

CACHE_HIT: Final = "hit"
CACHE_RESULTS: Final = (
    CACHE_HIT,
    "stale hit",
    "miss",
    "partial",
    "stale",
    "revalidated",
    "collapsed",
    "bypass",
    OTHER,
)
CACHE_ANSWERS: Final = Metric(
    "headgate_cache_answers_total",
    "counter",
    "Answers of objects by what the cache did for them, in the words of the access log.",
    (Label("result", CACHE_RESULTS),),
)

# --- origins ------------------------------------------------------------------------------------

ORIGIN_REQUESTS: Final = Metric(
    "headgate_origin_requests_total",
    "counter",
    "Objects opened, spans read and listings made at an origin, failed ones too.",
    (_ORIGIN, Label("operation", ("open", "read", "list"))),
)
ORIGIN_ERRORS: Final = Metric(
    "headgate_origin_errors_total",
    "counter",
    "Origin requests that failed through the origin's fault; a missing object is none.",
    (_ORIGIN, Label("kind", ERRORS)),
)
ORIGIN_BYTES: Final = Metric(
    "headgate_origin_bytes_total", "counter", "Bytes read from an origin.", (_ORIGIN,)
)
ORIGIN_RETRIES: Final = Metric(
    "headgate_origin_retries_total",
    "counter",
    "Origin requests asked again (retry), bodies gone on with (resume), and both given up.",
    (_ORIGIN, Label("kind", RETRIES)),
)
ORIGIN_SECONDS: Final = Metric(
    "headgate_origin_open_seconds",
    "histogram",
    "What opening an object took at an origin, failed ones too.",
    (_ORIGIN,),
    _FIRST_BYTES,
)
ORIGIN_UP: Final = Metric(
    "headgate_origin_up",
    "gauge",
    "1 if the origin answered the last look of at least one worker.",
    (_ORIGIN,),
    merge="max",
)

# --- verification -------------------------------------------------------------------------------

_ALGORITHM: Final = Label(
    "algorithm", ("crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5", "none")
)
_RESULT: Final = Label("result", ("verified", "mismatch", "unverified"))
VERIFICATIONS: Final = Metric(
    "headgate_verifications_total",
    "counter",
    "Reads for clients whose bytes were compared with the store's checksum, or could not be.",
    (
        _ALGORITHM,
        _RESULT,
        Label("reason", "empty, or why it is unverified: one of six in proxy/integrity/verdict.py"),
    ),
)
VERIFIED_BYTES: Final = Metric(
    "headgate_verification_bytes_total",
    "counter",
    "The bytes of these reads.",
    (_ALGORITHM, _RESULT),
)

# --- the whole ----------------------------------------------------------------------------------

WORKERS: Final = Metric(
    "headgate_workers",
    "gauge",
    "Worker processes.",
    (Label("state", ("starting", "ready", "draining")),),
)
WORKERS_SILENT: Final = Metric(
    "headgate_workers_silent",
    "gauge",
    "Workers that did not answer in time for this scrape; what they last said is counted.",
)
WORKERS_LOST: Final = Metric(
    "headgate_workers_lost_total",
    "counter",
    "Workers that ended without having been told to; each was replaced.",
)
RELOADS: Final = Metric(
    "headgate_configuration_loads_total",
    "counter",
    "Configurations that were put in effect or refused, the first one among them.",
    (Label("result", ("accepted", "refused")),),
)
LAST_LOAD: Final = Metric(
    "headgate_configuration_last_success_timestamp_seconds",
    "gauge",
    "When the configuration in effect was loaded, in seconds since 1970.",
    merge="max",
)
CACHE_PURGES: Final = Metric(
    "headgate_cache_purges_total", "counter", "Purges that were complete in all workers."
)
BUILD: Final = Metric(
    "headgate_build_info",
    "gauge",
    "Always 1; the labels say what runs.",
    (Label("version", "of Headgate"), Label("python", "of the interpreter")),
    merge="max",
)

BY_NAME: Final[Mapping[str, Metric]] = {
    one.name: one
    for table in (globals(), *map(vars, (flow_metrics, cache_metrics, process_metrics)))
    for one in table.values()
    if isinstance(one, Metric)
}


def status_class(status: int) -> str:
    """The value of a `status` label."""
    return STATUSES[status // 100 - 1] if 100 <= status < 600 else "none"

"""Every metric there is: its name, its labels, what it counts. Only this file and that of the flow
(`flow_metrics`) have a metric's name.

A label has a closed set of values, or one that the configuration bounds. Never a path, a key, an
address of a client or anything else that a request chooses: whoever asks for a million names must
not make a million series. docs/metrics.md tells the same as this table; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.observability import flow_metrics
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
_PROCESS: Final = Label("process", '"supervisor", and "worker-0" to one less than server.workers')

# A stop at a 304 (under 1 ms) and at a film over a slow line (two hours), about 2.5 apart between.
_DURATIONS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0),
)
# From a file in the page cache to a store at its first_byte_timeout.
_FIRST_BYTES: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
# The aim is a few milliseconds; 0.1 s counts as a stall.
_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

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

# --- the cache ----------------------------------------------------------------------------------

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
CACHE_TIERS: Final = ("memory", "disk", "fill", "bypass")
CACHE_FILLS: Final = ("started", "failed", "left", "followed", "taken_over")

CACHE_ANSWERS: Final = Metric(
    "headgate_cache_answers_total",
    "counter",
    "Answers of objects by what the cache did for them, in the words of the access log.",
    (Label("result", CACHE_RESULTS),),
)
CACHE_BYTES: Final = Metric(
    "headgate_cache_bytes_total",
    "counter",
    "Bytes given to readers: kept in memory or on disk, just filled, or past the cache.",
    (Label("tier", CACHE_TIERS),),
)
CACHE_FILL: Final = Metric(
    "headgate_cache_fills_total",
    "counter",
    "Slices asked of an origin, those that failed or were given up, and those of other workers.",
    (Label("result", CACHE_FILLS),),
)
CACHE_DAMAGED: Final = Metric(
    "headgate_cache_damaged_slices_total",
    "counter",
    "Slices on disk that were not as they were written; each was dropped and not given.",
)
CACHE_WRITTEN: Final = Metric(
    "headgate_cache_written_slices_total", "counter", "Slices written to disk."
)
CACHE_WRITTEN_BYTES: Final = Metric(
    "headgate_cache_written_bytes_total", "counter", "The bytes of these slices."
)
CACHE_EVICTED: Final = Metric(
    "headgate_cache_evicted_slices_total",
    "counter",
    "Slices that gave way to others.",
    (Label("tier", ("memory", "disk")),),
)
CACHE_EVICTED_BYTES: Final = Metric(
    "headgate_cache_evicted_bytes_total", "counter", "The bytes of those evicted from disk."
)
CACHE_DISK_BYTES: Final = Metric(
    "headgate_cache_disk_bytes",
    "gauge",
    "What the cache's directory holds; 0 until it is counted.",
    merge="max",
)
CACHE_DISK_LIMIT: Final = Metric(
    "headgate_cache_disk_limit_bytes", "gauge", "What it may hold (size).", merge="max"
)
CACHE_DISK_FILES: Final = Metric(
    "headgate_cache_disk_files", "gauge", "The files that it holds.", merge="max"
)
CACHE_DISK_FILES_LIMIT: Final = Metric(
    "headgate_cache_disk_limit_files", "gauge", "The files that it may hold (files).", merge="max"
)
CACHE_SHARED: Final = Metric(
    "headgate_cache_shared_memory_bytes",
    "gauge",
    "Slices that workers share in memory, where there is no directory.",
    merge="max",
)
CACHE_SHARED_LIMIT: Final = Metric(
    "headgate_cache_shared_memory_limit_bytes",
    "gauge",
    "What they may share there (half of memory).",
    merge="max",
)
CACHE_MEMORY: Final = Metric(
    "headgate_cache_memory_bytes", "gauge", "Slices in workers' own memory, added up."
)
CACHE_MEMORY_LIMIT: Final = Metric(
    "headgate_cache_memory_limit_bytes", "gauge", "What all workers may hold there (memory)."
)
CACHE_ENTRIES: Final = Metric(
    "headgate_cache_entries", "gauge", "Objects that workers know, added up."
)
CACHE_RESTING: Final = Metric(
    "headgate_cache_resting",
    "gauge",
    "1 while a worker leaves the cache's directory alone, since it is full or fails.",
    (Label("reason", ("full", "failing")),),
    merge="max",
)
CACHE_PURGES: Final = Metric(
    "headgate_cache_purges_total", "counter", "Purges that were complete in all workers."
)

# --- processes ----------------------------------------------------------------------------------

LOOP_LAG: Final = Metric(
    "headgate_event_loop_lag_seconds",
    "histogram",
    "How late a timer of a worker's event loop was, looked at ten times a second.",
    (),
    _LAGS,
)
LOOP_LAG_MAX: Final = Metric(
    "headgate_event_loop_lag_max_seconds",
    "gauge",
    "The longest such lag in the last 30 to 60 seconds.",
    (_PROCESS,),
    merge="max",
)
STALLS: Final = Metric(
    "headgate_event_loop_stalls_total",
    "counter",
    "Times an event loop was held for longer than 0.1 s; /debug/stalls says by what.",
    (_PROCESS,),
)
CPU_SECONDS: Final = Metric(
    "headgate_process_cpu_seconds_total",
    "counter",
    "Processor time, user and system.",
    (_PROCESS,),
)
RESIDENT_BYTES: Final = Metric(
    "headgate_process_resident_memory_bytes", "gauge", "Resident memory.", (_PROCESS,)
)
DESCRIPTORS: Final = Metric(
    "headgate_process_open_descriptors", "gauge", "Open file descriptors.", (_PROCESS,)
)
MAX_DESCRIPTORS: Final = Metric(
    "headgate_process_max_descriptors", "gauge", "The limit on them (RLIMIT_NOFILE).", (_PROCESS,)
)
GC_SECONDS: Final = Metric(
    "headgate_gc_pause_seconds",
    "histogram",
    "Pauses of the garbage collector, all workers.",
    (Label("generation", ("0", "1", "2")),),
    (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5),
)
LOG_LINES_DROPPED: Final = Metric(
    "headgate_log_lines_dropped_total",
    "counter",
    "Log lines that were dropped since standard error took none.",
    (_PROCESS,),
)
TRACE_LINES_DROPPED: Final = Metric(
    "headgate_trace_lines_dropped_total",
    "counter",
    "Lines that a `headgate trace` missed since it, or the way to it, was too slow.",
)
SPANS: Final = Metric(
    "headgate_spans_total",
    "counter",
    "Spans of traces that the collector has taken, and those it has not; with [telemetry].",
    (Label("result", ("sent", "dropped")),),
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
BUILD: Final = Metric(
    "headgate_build_info",
    "gauge",
    "Always 1; the labels say what runs.",
    (Label("version", "of Headgate"), Label("python", "of the interpreter")),
    merge="max",
)

BY_NAME: Final[Mapping[str, Metric]] = {
    one.name: one
    for one in [*globals().values(), *vars(flow_metrics).values()]
    if isinstance(one, Metric)
}


def status_class(status: int) -> str:
    """The value of a `status` label."""
    return STATUSES[status // 100 - 1] if 100 <= status < 600 else "none"

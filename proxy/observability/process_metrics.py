"""The metrics of single processes: their event loops, memory and logs; `metrics` has all others."""

from __future__ import annotations

from typing import Final

from proxy.observability.metric import Label, Metric

_PROCESS: Final = Label("process", '"supervisor", and "worker-0" to one less than server.workers')
# The aim is a few milliseconds; 0.1 s counts as a stall.
_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

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

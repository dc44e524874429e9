"""The metrics of what is full, what waits and what is refused; `metrics` has all others."""

from __future__ import annotations

from typing import Final

from proxy.observability.metric import OF_ORIGINS, Label, Metric

SHED: Final = ("connections", "address", "descriptors", "requests")
OF_MEMORY: Final = "memory"

CONNECTIONS: Final = Metric(
    "headgate_connections", "gauge", "Connections with clients, those in their handshake too."
)
CONNECTIONS_LIMIT: Final = Metric(
    "headgate_connections_limit", "gauge", "How many there may be, of all workers."
)
REFUSED: Final = Metric(
    "headgate_refused_total",
    "counter",
    "Connections refused by a limit (all, of one address) or for want of descriptors; requests"
    " over HTTP/2 by that on requests at once, and requests for want of memory.",
    (Label("reason", (*SHED, OF_MEMORY)),),
)
MEMORY: Final = Metric(
    "headgate_flow_memory_bytes", "gauge", "What bodies on their way may hold, as it is counted."
)
MEMORY_LIMIT: Final = Metric(
    "headgate_flow_memory_limit_bytes",
    "gauge",
    "The budget for that, of all workers (flow.memory).",
)
MEMORY_QUEUE: Final = Metric("headgate_flow_queue", "gauge", "Requests that wait for some of it.")
MEMORY_WAITS: Final = Metric(
    "headgate_flow_queue_waits_total", "counter", "Requests that had to wait for some."
)
MEMORY_SECONDS: Final = Metric(
    "headgate_flow_queue_seconds_total", "counter", "The time they waited."
)
PAUSED: Final = Metric(
    "headgate_responses_paused", "gauge", "Responses whose client has taken nothing for a second."
)
PAUSED_SECONDS: Final = Metric(
    "headgate_paused_seconds_total",
    "counter",
    "Time that bodies waited for their clients to take more, all responses added up.",
)
ORIGIN_CONNECTIONS: Final = Metric(
    "headgate_origin_connections", "gauge", "Requests under way to a store.", (OF_ORIGINS,)
)
ORIGIN_CONNECTIONS_LIMIT: Final = Metric(
    "headgate_origin_connections_limit",
    "gauge",
    "How many there may be (max_connections), of all workers.",
    (OF_ORIGINS,),
)
ORIGIN_QUEUE: Final = Metric(
    "headgate_origin_queue", "gauge", "Requests that wait for such a connection.", (OF_ORIGINS,)
)
ORIGIN_QUEUE_WAITS: Final = Metric(
    "headgate_origin_queue_waits_total",
    "counter",
    "Requests that had to wait for one.",
    (OF_ORIGINS,),
)
ORIGIN_QUEUE_SECONDS: Final = Metric(
    "headgate_origin_queue_seconds_total", "counter", "The time they waited.", (OF_ORIGINS,)
)
ORIGIN_QUEUE_REFUSED: Final = Metric(
    "headgate_origin_queue_refused_total",
    "counter",
    "Those that were given up: too many waited already (full), or none came free in time (late).",
    (OF_ORIGINS, Label("reason", ("full", "late"))),
)

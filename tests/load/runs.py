"""Runs as they might have been, for the tests of what reads them."""

from __future__ import annotations

from typing import Any


def run(*, speed: float = 1.0, others: float = 0.0, **more: object) -> dict[str, Any]:
    """A steady run at `speed` times 100 requests/s; others take `others` of the two processors."""
    samples = [
        {
            "t": float(t),
            "reqs": 100.0 * speed * t,
            "received": 1e8 * speed * t,
            "server_cpu": 0.9 * t,
            "store_cpu": 0.2 * t,
            "generator_cpu": 0.3 * t,
            "server_memory": 100 * 2.0**20,
            "busy": (1.4 + 2 * others) * t,
            "idle": (0.6 - 2 * others) * t,
        }
        for t in range(20)
    ]
    latency = {"med": 10 / speed, "p(95)": 30 / speed, "p(99)": 50 / speed}
    return {
        "name": "files",
        "began": 1_700_000_000.0,
        "exit_code": 0,
        "samples": samples,
        "load_average_after": [1.0, 1.0, 1.0],
        "machine": {"processor": "A", "cores": 2, "commit": "abc", "load_average": [1.0, 1.0, 1.0]},
        "metrics": {
            "http_req_duration": {"values": latency},
            "wrong_bytes": {"values": {"count": 0}},
            "unexplained": {"values": {"count": 0}},
        },
        **more,
    }

"""What metrics and access log cost: microseconds for each request, and while somebody measures.

    .venv/bin/python -m tests.benchmarks.watching [--requests N] [--rounds N]

The application is driven in this process, without sockets, over an origin in memory, so that what
is left beside it is small. Times are of the processor, all threads together. Each way is run in
turn, several times; the least of each counts, since whatever else the machine does only adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from time import process_time

import uvloop
from pyinstrument import Profiler

from proxy.observability.access_log import AccessRecord
from proxy.observability.exporting import Exporter
from proxy.observability.instruments import Instruments
from proxy.observability.logs import logging_to_standard_error
from proxy.observability.metered import Metered
from proxy.observability.meters import Meters
from proxy.observability.otlp import write_spans
from proxy.observability.profiling import INTERVAL
from proxy.observability.responses import Responses, Sending, Transfer
from proxy.observability.spans import Sampler, Tracer
from proxy.observability.traced import Traced
from proxy.observability.tracing import Places, Tracing
from proxy.origins.base import Origin
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.routing import Mount
from proxy.server.app import PublicDoor
from proxy.server.delivery import Site
from tests.server.asgi import Client

BODY = b"x" * 64 * 1024
MOUNTS = (Mount("/", "memory"),)


class Blind(Responses):
    """Follows nothing."""

    def begin(self, record: AccessRecord, sending: Sending) -> Transfer:
        return Transfer(record, sending, 0.0)

    def end(self, transfer: Transfer) -> None:
        del transfer


class Nowhere:
    """A collector that takes all."""

    def post(self, body: bytes) -> int:
        del body
        return 0

    def close(self) -> None:
        pass


def door(*, counted: bool, tracing: Tracing | None = None, tracer: Tracer | None = None) -> Client:
    """A client of a door that counts, or of one that does not; or makes spans too."""
    instruments = Instruments()
    origin: Origin = MemoryOrigin({"a.txt": StoredObject(BODY)})
    if counted:
        origin = Metered(origin, "memory", instruments.meters)
    responses = instruments.responses if counted else Blind(Meters())
    if tracer is not None:
        origin = Traced(origin, "memory", tracer, "client")
    site = Site(mounts=MOUNTS, rules=(), origins={"memory": origin})
    made = PublicDoor(site, stall_timeout=60, responses=responses, tracing=tracing)
    return Client(made)


async def timed(client: Client, count: int) -> float:
    """Microseconds for a request."""
    begun = process_time()
    for _ in range(count):
        await client.get("/a.txt")
    return (process_time() - begun) / count * 1e6


async def unlogged(*, counted: bool, count: int) -> float:
    """With the access log off."""
    logging.getLogger("headgate.access").setLevel(logging.CRITICAL)
    return await timed(door(counted=counted), count)


async def logged(count: int) -> float:
    """With metrics, and a line for each request to nowhere."""
    with ExitStack() as stack:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        stack.callback(os.close, nowhere)
        stack.enter_context(logging_to_standard_error("info", "json", access=True))
        return await timed(door(counted=True), count)


async def spanned(share: float, count: int) -> float:
    """With metrics, and spans of a share of the requests: three each, written for a collector."""
    logging.getLogger("headgate.access").setLevel(logging.CRITICAL)
    exporter = Exporter(Nowhere(), partial(write_spans, resource={}, version=""), pause=0.02)
    tracer = Tracer(exporter.put)
    tracing = Tracing(tracer, Sampler(share), Places(MOUNTS), follows=True)
    exporter.start()
    try:
        client = door(counted=True, tracing=tracing, tracer=tracer)
        return await asyncio.create_task(timed(client, count))
    finally:
        exporter.stop(10)


async def profiled(count: int) -> float:
    """With metrics, while a profile is taken."""
    logging.getLogger("headgate.access").setLevel(logging.CRITICAL)
    with Profiler(interval=INTERVAL, async_mode="disabled"):
        return await timed(door(counted=True), count)


async def traced(count: int) -> float:
    """With metrics, while memory is looked at."""
    logging.getLogger("headgate.access").setLevel(logging.CRITICAL)
    tracemalloc.start(8)
    try:
        return await timed(door(counted=True), count)
    finally:
        tracemalloc.stop()


async def run(count: int, rounds: int) -> None:
    """Prints a table for docs/metrics.md."""
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "nothing": lambda: unlogged(counted=False, count=count),
        "metrics": lambda: unlogged(counted=True, count=count),
        "metrics and access log": lambda: logged(count),
        "metrics and traces, none drawn": lambda: spanned(0.0, count),
        "metrics and traces, one in a hundred": lambda: spanned(0.01, count),
        "metrics and traces, all": lambda: spanned(1.0, count),
        "metrics, while a profile is taken": lambda: profiled(count),
        "metrics, while memory is looked at": lambda: traced(count),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], await way())
    plain = best["nothing"]
    print("| with | µs for a request | more |\n| --- | --- | --- |")
    for name, microseconds in best.items():
        print(f"| {name} | {microseconds:.1f} | {microseconds - plain:+.1f} |")


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.requests, arguments.rounds))


if __name__ == "__main__":
    main()

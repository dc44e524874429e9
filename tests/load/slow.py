"""The scenario that k6 can't play: many readers who take their time, and others who must not wait.

Started by `just load slow`, told by the same variables as k6's scenarios (k6/lib/settings.js), and
leaves the same summary.json and junit.xml. Each reader takes RATE bytes a second of an object and
compares every block of 64 KiB with the manifest. Meanwhile one ordinary client asks for small files
all the time; it is their latency that shows whether slow readers cost anybody else something.
Memory per reader is what the server (SERVER_PID) holds with them, over what it held before.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from tests.benchmarks.processes import resident
from tests.load.data import BLOCK, KIB, MIB
from tests.load.scenarios import seconds

_RECEIVE_BUFFER = 32 * KIB  # so that the kernel's buffer doesn't take the whole object at once
_CONNECTING_AT_ONCE = 64
_DIGITS = 16  # of a block's digest in the manifest
_PATIENCE = 30.0  # for an answer to begin

Objects = list[dict[str, Any]]


@dataclass
class Tally:
    """What all readers found, and how long the small requests took, in ms."""

    answered: set[int] = field(default_factory=set)
    open_now: int = 0
    most_open: int = 0
    received: int = 0
    blocks: int = 0
    wrong: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What is asked, of whom, by how many, how slowly."""

    host: str
    port: int
    path: str
    users: int
    rate: int
    duration: float
    server_pid: int | None


def _plan(told: os._Environ[str]) -> Plan:
    url = urlsplit(told["BASE_URL"])
    if url.scheme != "http" or url.hostname is None:
        raise SystemExit("slow readers come in clear: BASE_URL has to begin with http://")
    short = told.get("SHORT") == "1"
    return Plan(
        host=url.hostname,
        port=url.port or 80,
        path=url.path,
        users=int(told.get("USERS") or (200 if short else 2000)),
        rate=int(told.get("RATE") or 32 * KIB),
        duration=seconds(told.get("DURATION") or ("8s" if short else "45s")),
        server_pid=int(told["SERVER_PID"]) if told.get("SERVER_PID") else None,
    )


async def _play(plan: Plan, objects: Objects) -> tuple[Tally, dict[str, float]]:
    """The whole scenario; the tally, and the server's memory in bytes before and with readers."""
    tally = Tally()
    bulk = [one for one in objects if one["group"] == "bulk"]
    small = [one for one in objects if one["group"] == "ladder" and one["size"] <= 16 * KIB]
    await _ask_small(plan, random.choice(small), tally)  # warm: what a first request makes
    tally.latencies.clear()
    memory = {"before": _memory(plan)}
    end = time.monotonic() + plan.duration
    gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for number in range(plan.users):
            group.create_task(_reader(plan, number, bulk[number % len(bulk)], tally, gate, end))
        group.create_task(_others(plan, small, tally, end))
        await asyncio.sleep(plan.duration * 0.9)
        memory["with"] = _memory(plan)
        tally.most_open = tally.open_now
    return tally, memory


def _memory(plan: Plan) -> float:
    return float(resident(plan.server_pid)) if plan.server_pid else 0.0


async def _reader(
    plan: Plan,
    number: int,
    entry: dict[str, Any],
    tally: Tally,
    gate: asyncio.Semaphore,
    end: float,
) -> None:
    """Reads one object after the other at its pace until `end`."""
    while time.monotonic() < end:
        try:
            async with gate:
                reader, writer, length = await _request(plan, entry["key"], _RECEIVE_BUFFER)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            tally.faults.append(f"{entry['key']}: {error!r}")
            return
        tally.answered.add(number)
        if length is None:
            tally.refused += 1
            writer.transport.abort()
            await asyncio.sleep(1)
            continue
        tally.open_now += 1
        try:
            await _sip(plan, reader, entry, tally, end)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            tally.faults.append(f"{entry['key']}: {error!r}")
            return
        finally:
            tally.open_now -= 1
            writer.transport.abort()


async def _sip(
    plan: Plan, reader: asyncio.StreamReader, entry: dict[str, Any], tally: Tally, end: float
) -> None:
    """Takes a block, compares it, and waits as long as its bytes should have lasted."""
    for number in range(entry["size"] // BLOCK):
        due = time.monotonic() + BLOCK / plan.rate
        async with asyncio.timeout(_PATIENCE):
            block = await reader.readexactly(BLOCK)
        tally.received += BLOCK
        tally.blocks += 1
        expected = entry["blocks"][number * _DIGITS : (number + 1) * _DIGITS]
        tally.wrong += hashlib.sha256(block).hexdigest()[:_DIGITS] != expected
        await asyncio.sleep(max(0.0, min(due, end) - time.monotonic()))
        if time.monotonic() >= end:
            return


async def _others(plan: Plan, small: Objects, tally: Tally, end: float) -> None:
    """The ordinary client: a small file, whole, twenty times a second."""
    while time.monotonic() < end:
        await _ask_small(plan, random.choice(small), tally)
        await asyncio.sleep(0.05)


async def _ask_small(plan: Plan, entry: dict[str, Any], tally: Tally) -> None:
    began = time.monotonic()
    try:
        await _fetch_small(plan, entry, tally)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
        tally.faults.append(f"{entry['key']}: {error!r}")
    tally.latencies.append((time.monotonic() - began) * 1000)


async def _fetch_small(plan: Plan, entry: dict[str, Any], tally: Tally) -> None:
    reader, writer, length = await _request(plan, entry["key"], None)
    try:
        if length is None:
            tally.refused += 1
            return
        async with asyncio.timeout(_PATIENCE):
            body = await reader.readexactly(entry["size"])
        tally.wrong += hashlib.sha256(body).hexdigest() != entry["sha256"]
    finally:
        writer.transport.abort()


async def _request(
    plan: Plan, key: str, buffer: int | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int | None]:
    """Sends a GET; the streams, and the body's length, or None for a polite refusal.

    Raises ValueError for any other answer; the caller closes the writer.
    """
    sock = socket.socket()
    sock.setblocking(False)
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    writer = None
    try:
        async with asyncio.timeout(_PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, (plan.host, plan.port))
            # The limit holds the stream's own buffer down, or it would read ahead for us.
            reader, writer = await asyncio.open_connection(sock=sock, limit=BLOCK)
            target = f"GET {plan.path}{key} HTTP/1.1\r\nHost: {plan.host}\r\n\r\n"
            writer.write(target.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if status == 503 and "retry-after" in fields:
            return reader, writer, None
        if status != 200:
            raise ValueError(f"status {status}")
        return reader, writer, int(fields["content-length"])
    except BaseException:
        if writer is not None:
            writer.transport.abort()
        sock.close()
        raise


def _report(plan: Plan, tally: Tally, memory: dict[str, float], took: float) -> dict[str, Any]:
    """The figures in the shape of k6's summary."""
    cuts = quantiles(tally.latencies or [0.0, 0.0], n=100, method="inclusive")
    trend = {
        "med": cuts[49], "p(90)": cuts[89], "p(95)": cuts[94], "p(99)": cuts[98],
        "max": max(tally.latencies, default=0.0), "count": len(tally.latencies),
    }  # fmt: skip
    held = memory["with"] - memory["before"]
    counts = {
        "http_reqs": len(tally.latencies) + plan.users,
        "data_received": tally.received,
        "verified": tally.blocks,
        "wrong_bytes": tally.wrong,
        "unexplained": len(tally.faults),
        "refused": tally.refused,
    }
    metrics: dict[str, Any] = {
        name: {"type": "counter", "values": {"count": count, "rate": count / took}}
        for name, count in counts.items()
    }
    metrics["http_req_duration"] = {"type": "trend", "values": trend}
    metrics["memory_per_reader"] = {
        "type": "gauge",
        "values": {"value": held / max(1, tally.most_open)},
    }
    metrics["readers"] = {"type": "gauge", "values": {"value": tally.most_open}}
    return {"metrics": metrics, "state": {"testRunDurationMs": took * 1000}}


def _verdicts(plan: Plan, tally: Tally) -> dict[str, bool]:
    return {
        "wrong_bytes: count==0": tally.wrong == 0,
        "unexplained: count==0": not tally.faults,
        "every reader had an answer": len(tally.answered) == plan.users,
        "blocks were compared": tally.blocks >= tally.most_open > 0,
        "others were served": len(tally.latencies) > 0,
    }


def _junit(verdicts: dict[str, bool], took: float) -> str:
    cases = "\n".join(
        f"  <testcase name={quoteattr(name)}>{'' if right else '<failure/>'}</testcase>"
        for name, right in verdicts.items()
    )
    failures = sum(not right for right in verdicts.values())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="slow" tests="{len(verdicts)}"'
        f' failures="{failures}" time="{took:.3f}">\n{cases}\n</testsuite>\n'
    )


def main() -> int:
    """Plays the scenario; 99 when something was not right, as k6 has it."""
    plan = _plan(os.environ)
    objects = json.loads(Path(os.environ["MANIFEST"]).read_text())["objects"]
    began = time.monotonic()
    tally, memory = asyncio.run(_play(plan, objects))
    took = time.monotonic() - began
    summary, verdicts = _report(plan, tally, memory, took), _verdicts(plan, tally)
    for fault in tally.faults[:50]:
        print(fault, file=sys.stderr)
    values = {name: metric["values"] for name, metric in summary["metrics"].items()}
    trend = values["http_req_duration"]
    print(f"  {tally.most_open} readers at {plan.rate / KIB:.0f} KiB/s, {tally.refused} refused")
    print(f"  {tally.blocks} blocks of 64 KiB compared, {tally.wrong} wrong")
    print(f"  server's memory per reader: {values['memory_per_reader']['value'] / KIB:.0f} KiB")
    print(f"  ({memory['before'] / MIB:.0f} MiB before, {memory['with'] / MIB:.0f} MiB with them)")
    print(f"  others' latency: median {trend['med']:.1f} ms, p99 {trend['p(99)']:.1f} ms")
    for name, right in verdicts.items():
        print(f"  {'ok  ' if right else 'FAIL'} {name}")
    if "OUT" in os.environ:
        out = Path(os.environ["OUT"])
        (out / "summary.json").write_text(json.dumps(summary, indent=1))
        (out / "junit.xml").write_text(_junit(verdicts, took))
    return 0 if all(verdicts.values()) else 99


if __name__ == "__main__":
    sys.exit(main())

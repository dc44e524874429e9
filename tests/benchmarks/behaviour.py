"""What can't be said in requests per second: slow readers, and a store whose bytes go bad."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.contestants import Contestant
from tests.faults.acts import Act
from tests.faults.control import Faults
from tests.load import slow

_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Slow:
    """Memory that a slow reader costs, in bytes, and the others' latency in ms."""

    readers: float
    memory: float
    median: float
    p99: float


def slow_readers(
    contestant: Contestant, base: str, manifest: Path, *, readers: int, seconds: int
) -> Slow:
    """Readers at 32 KiB/s of 4 MiB objects, while an ordinary client asks for small files.

    Raises RuntimeError when bytes were wrong or readers were not served.
    """
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as out:
        told = {
            "BASE_URL": base,
            "MANIFEST": str(manifest.resolve()),
            "OUT": out,
            "USERS": str(readers),
            "DURATION": f"{seconds}s",
            "SERVER_PID": str(contestant.pid()),
        }
        done = subprocess.run(
            [sys.executable, "-m", slow.__name__],
            env=os.environ | told,
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{contestant.name}: {done.stdout}{done.stderr[:500]}")
        metrics = json.loads(Path(out, "summary.json").read_text())["metrics"]
    values = {name: metric["values"] for name, metric in metrics.items()}
    return Slow(
        readers=values["readers"]["value"],
        memory=values["memory_per_reader"]["value"],
        median=values["http_req_duration"]["med"],
        p99=values["http_req_duration"]["p(99)"],
    )


@dataclass
class Corrupt:
    """Downloads of objects that go bad on the way from the store, by what the client got."""

    bad_and_complete: int = 0
    visibly_broken: int = 0
    right: int = 0


def corrupt_origin(base: str, faults: Faults, sound: dict[str, bytes]) -> Corrupt:
    """Asks once for each object; one byte of every answer of the store is turned."""
    tally = Corrupt()
    for key, content in sound.items():
        faults.plan(key, rest=Act(flip=len(content) // 2))
        body = _body(base + key)
        if body is None:
            tally.visibly_broken += 1
        elif hashlib.sha256(body).digest() == hashlib.sha256(content).digest():
            tally.right += 1
        else:
            tally.bad_and_complete += 1
        faults.take(key)
    return tally


def _body(url: str) -> bytes | None:
    """The body as a client takes it for complete; None when it can see that something is wrong."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None

"""The programs that ask: wrk, h2load and curl, on one processor, each for a moment.

A measurement in which any request failed is none, and raises `Failed`.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"": 1.0, "B": 1.0, "K": 2.0**10, "KB": 2.0**10, "M": 2.0**20, "MB": 2.0**20, "G": 2.0**30,
          "GB": 2.0**30}  # fmt: skip


class Failed(RuntimeError):
    """The measurement is worthless; the text says what the program wrote."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program got in its time: requests and bytes in all, and each per second."""

    requests: float
    per_second: float
    bytes_per_second: float

    @property
    def bytes(self) -> float:
        return self.bytes_per_second * self.requests / self.per_second


def wrk(url: str, *, connections: int, seconds: int, script: Path | None = None) -> Asked:
    """HTTP/1.1 with connections that are kept."""
    more = ["-s", str(script)] if script else []
    said = _run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *more, url], seconds)
    if "Non-2xx" in said or "Socket errors" in said:
        raise Failed(f"{url}:\n{said}")
    return Asked(
        requests=_number(r"(\d+) requests in", said),
        per_second=_number(r"Requests/sec:\s+([\d.]+)", said),
        bytes_per_second=_size(r"Transfer/sec:\s+([\d.]+)(\w*)", said),
    )


def h2load(url: str, *, connections: int, streams: int, seconds: int) -> Asked:
    """HTTP/2 over TLS, as ALPN gives it."""
    command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", url]
    said = _run(command, seconds)
    good = r"Application protocol: h2\n.* 0 failed, 0 errored.* 0 4xx, 0 5xx"
    if not re.search(good, said, re.DOTALL):
        raise Failed(f"{url}:\n{said}")
    per_second = _number(r"finished in [\d.]+\w+, ([\d.]+) req/s", said)
    return Asked(
        requests=_number(r"requests: \d+ total, \d+ started, (\d+) done", said),
        per_second=per_second,
        bytes_per_second=_size(r"req/s, ([\d.]+)(\w*)/s", said),
    )


def curl(url: str, size: int) -> Asked:
    """One download, read and thrown away."""
    said = _run(["curl", "-sS", "--fail", "-o", "/dev/null", "-w",
                 "%{size_download} %{speed_download} %{time_total}", url], 60)  # fmt: skip
    received, speed, took = map(float, said.split())
    if received != size:
        raise Failed(f"{url}: {received:.0f} bytes instead of {size}")
    return Asked(1, 1 / took, speed)


def _run(command: list[str], seconds: int) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise Failed(f"no {pattern!r} in:\n{said}")
    return float(found[1])


def _size(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise Failed(f"no {pattern!r} in:\n{said}")
    return float(found[1]) * _UNITS[found[2]]

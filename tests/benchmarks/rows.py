"""What the contestants are asked, row by row: the way in, the tool, and the unit of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.benchmarks.contestants import Contestant
from tests.benchmarks.tools import Asked, curl, h2load, wrk

KIB, MIB = 1024, 1024 * 1024
GIB = 1024 * MIB
# The objects that are asked for, in the directory and in the store.
SIZES = {"1KiB": KIB, "64KiB": 64 * KIB, "10MiB": 10 * MIB, "64MiB": 64 * MIB, "1GiB": GIB}
Way = Literal["directory", "directory_tls", "store"]
Ask = Callable[[str, int, Path], Asked]

# Every request for another mebibyte, all of the object in turn; 7 and 64 have no common factor.
RANGES_SCRIPT = """
local place = 0
request = function()
  place = (place + 7) % 64
  local first = place * 1048576
  return wrk.format("GET", nil, {["Range"] = string.format("bytes=%d-%d", first, first + 1048575)})
end
"""


@dataclass(frozen=True)
class Row:
    """One question to all contestants that have this way in. `unit` is "req/s" or "MB/s"."""

    title: str
    way: Way
    name: str
    unit: Literal["req/s", "MB/s"]
    ask: Ask

    def url(self, contestant: Contestant) -> str | None:
        """Where this contestant is asked; None if it doesn't do this."""
        base: str | None = getattr(contestant, self.way)
        return None if base is None else base + self.name

    def value(self, asked: Asked) -> float:
        """What is compared, in the row's unit."""
        return asked.per_second if self.unit == "req/s" else asked.bytes_per_second / 1e6

    def work(self, asked: Asked) -> float:
        """By what processor time is divided: thousands of requests, or GB."""
        return asked.requests / 1000 if self.unit == "req/s" else asked.bytes / 1e9


def _connections(count: int) -> Ask:
    return lambda url, seconds, _: wrk(url, connections=count, seconds=seconds)


def _ranges(url: str, seconds: int, work: Path) -> Asked:
    return wrk(url, connections=32, seconds=seconds, script=work / "ranges.lua")


def _streams(connections: int, streams: int) -> Ask:
    return lambda url, seconds, _: h2load(
        url, connections=connections, streams=streams, seconds=seconds
    )


def _download(url: str, _: int, __: Path) -> Asked:
    return curl(url, SIZES["1GiB"])


ROWS = (
    Row("directory, 1 KiB, 32 connections", "directory", "1KiB", "req/s", _connections(32)),
    Row("directory, 1 KiB, 256 connections", "directory", "1KiB", "req/s", _connections(256)),
    Row("directory, 64 KiB, 32 connections", "directory", "64KiB", "req/s", _connections(32)),
    Row("directory, ranges of 1 MiB", "directory", "64MiB", "MB/s", _ranges),
    Row("directory, 1 GiB, one download", "directory", "1GiB", "MB/s", _download),
    Row("TLS, HTTP/1.1, 1 KiB", "directory_tls", "1KiB", "req/s", _connections(32)),
    Row("TLS, HTTP/1.1, 10 MiB", "directory_tls", "10MiB", "MB/s", _connections(8)),
    Row("TLS, HTTP/2, 1 KiB, 8 × 16 streams", "directory_tls", "1KiB", "req/s", _streams(8, 16)),
    Row("TLS, HTTP/2, 10 MiB, 8 × 2 streams", "directory_tls", "10MiB", "MB/s", _streams(8, 2)),
    Row("S3, 1 KiB, 32 connections", "store", "1KiB", "req/s", _connections(32)),
    Row("S3, 64 KiB, 32 connections", "store", "64KiB", "req/s", _connections(32)),
    Row("S3, ranges of 1 MiB", "store", "64MiB", "MB/s", _ranges),
    Row("S3, 1 GiB, one download", "store", "1GiB", "MB/s", _download),
)

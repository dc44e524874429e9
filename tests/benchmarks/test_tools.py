"""What the programs print, as they print it; and that a measurement with failures is none."""

from __future__ import annotations

import subprocess

import pytest

from tests.benchmarks import tools

WRK = """Running 1s test @ http://127.0.0.1:1/1KiB
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.23ms    0.50ms   9.99ms   80.00%
    Req/Sec    21.50k     1.00k   23.00k    70.00%
  23685 requests in 1.10s, 29.55MB read
Requests/sec:  21533.10
Transfer/sec:     26.86MB
"""
H2LOAD = """Application protocol: h2
finished in 1.00s, 4021.00 req/s, 4.20MB/s
requests: 4021 total, 4149 started, 4021 done, 4021 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4021 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def saying(monkeypatch: pytest.MonkeyPatch, said: str, code: int = 0) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], code, said, "")

    monkeypatch.setattr(subprocess, "run", run)


def test_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, WRK)
    asked = tools.wrk("http://x/", connections=32, seconds=1)
    assert (asked.requests, asked.per_second) == (23685, 21533.10)
    assert asked.bytes_per_second == pytest.approx(26.86 * 2**20)
    assert asked.bytes == pytest.approx(29.55 * 2**20, rel=0.01)


def test_h2load(monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, H2LOAD)
    asked = tools.h2load("https://x/", connections=8, streams=16, seconds=1)
    assert (asked.requests, asked.per_second) == (4021, 4021)
    assert asked.bytes_per_second == pytest.approx(4.2 * 2**20)


def test_curl(monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, "1000 50000 0.02")
    assert tools.curl("http://x/", 1000).bytes_per_second == 50000
    with pytest.raises(tools.Failed, match="1000 bytes instead of 1001"):
        tools.curl("http://x/", 1001)


@pytest.mark.parametrize("more", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: read 1\n"])
def test_wrk_with_failures(monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    saying(monkeypatch, WRK + more)
    with pytest.raises(tools.Failed):
        tools.wrk("http://x/", connections=1, seconds=1)


@pytest.mark.parametrize(
    "said",
    [
        H2LOAD.replace("0 failed", "10 failed"),
        H2LOAD.replace("0 errored", "10 errored"),
        H2LOAD.replace("protocol: h2", "protocol: http/1.1"),
        H2LOAD.replace("4021 2xx, 0 3xx, 0 4xx", "4000 2xx, 0 3xx, 21 4xx"),
    ],
)
def test_h2load_with_failures(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    saying(monkeypatch, said)
    with pytest.raises(tools.Failed):
        tools.h2load("https://x/", connections=1, streams=1, seconds=1)


def test_a_program_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    saying(monkeypatch, "no such host", 1)
    with pytest.raises(tools.Failed, match="no such host"):
        tools.curl("http://x/", 1)

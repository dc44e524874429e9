"""Those who are not attacking, in processes of their own, and what they saw meanwhile.

    python -m tests.siege.bystanders fresh|sibling PORT PID [PATH FIELD...]

`fresh` asks for a small object on a new connection, fifty times a second at most; it is its waits
that are measured, and beside them for how long a process, the server's, was at work meanwhile. With
a path and fields it asks a store, past the server.
`sibling` asks again and again over one HTTP/2 connection, which must not break.
Both go on until their standard input ends, and then print what they saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from tests.siege.objects import ROOT, SMALL, SMALL_BODY

_PAUSE = 0.02
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Direct:
    """How a store is asked for the small object itself, past the server: with these fields."""

    port: int
    path: str
    fields: Sequence[str]


@dataclass
class Seen:
    """What both saw: waits in milliseconds, of these what the server itself was at work (its
    processor time, whatever else the machine does), those for the store where it was asked, and
    what was not as it should be."""

    latencies: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    siblings: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def answers(self) -> int:
        """How many requests were made."""
        return len(self.latencies) + self.siblings


@contextmanager
def watching(port: int, pid: int = 0, store: Direct | None = None) -> Iterator[Seen]:
    """Both look on while the block runs; what they saw is there when it has ended. So does one that
    asks the store, if there is one to ask."""
    seen = Seen()
    both = [_start(kind, port, pid) for kind in ("fresh", "sibling")]
    beside = [_start("fresh", store.port, 0, store.path, *store.fields)] if store else []
    try:
        yield seen
    finally:
        for said in map(_said, both):
            seen.latencies += said.latencies
            seen.worked += said.worked
            seen.siblings += said.siblings
            seen.faults += said.faults
        for said in map(_said, beside):
            seen.store += said.latencies
            seen.faults += [f"store: {fault}" for fault in said.faults]


def _said(one: subprocess.Popen[bytes]) -> Seen:
    out, _ = one.communicate(timeout=2 * _PATIENCE)
    return Seen(**json.loads(out))


def idle(port: int, seconds: float, pid: int = 0) -> Seen:
    """What they see of a server that nobody attacks."""
    with watching(port, pid) as seen:
        time.sleep(seconds)
    return seen


def _start(kind: str, port: int, pid: int, *request: str) -> subprocess.Popen[bytes]:
    told = [kind, str(port), str(pid), *request]
    command = [sys.executable, "-m", "tests.siege.bystanders", *told]
    one = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert one.stdout is not None
    one.stdout.readline()  # it has begun
    return one


def _work_of(pid: int) -> float:
    """Seconds of processor time of a process so far (clock_getcpuclockid of Linux)."""
    return time.clock_gettime(~pid << 3 | 2) if pid else 0.0


def _request(path: str = f"/{SMALL}", *fields: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", *(fields or ("Host: localhost",)), "Connection: close", "", "")
    return "\r\n".join(lines).encode()


def _be_fresh(port: int, pid: int, request: bytes, over: threading.Event, seen: Seen) -> None:
    while not over.wait(_PAUSE):
        began, worked, answer = time.monotonic(), _work_of(pid), b""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as one:
                one.sendall(request)
                # A store may keep a connection that is to be closed.
                while not answer.endswith(SMALL_BODY) and (piece := one.recv(65536)):
                    answer += piece
        except OSError as error:
            seen.faults.append(f"fresh: {error!r}")
        else:
            if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(SMALL_BODY)):
                seen.faults.append(f"fresh: {answer[:60]!r}")
        seen.latencies.append((time.monotonic() - began) * 1000)
        seen.worked.append((_work_of(pid) - worked) * 1000)


async def _be_sibling(port: int, over: threading.Event, seen: Seen) -> None:
    from tests.server import talk  # noqa: PLC0415  # the other one shall begin at once

    async with talk.http2(port) as client:
        while not over.is_set():
            stream = client.request(f"/{SMALL}")
            await client.over(stream, seconds=_PATIENCE)
            answer = client.answers.pop(stream)
            seen.siblings += 1
            if not (answer.ended and answer.status == 200 and answer.body == SMALL_BODY):
                seen.faults.append(f"sibling: {answer}")
                return
            await asyncio.sleep(_PAUSE)


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main(kind: str, port: int, pid: int, *request: str) -> None:
    """Looks on until standard input ends."""
    seen, over = Seen(), threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    print("begun", flush=True)
    try:
        if kind == "fresh":
            _be_fresh(port, pid, _request(*request), over, seen)
        else:
            asyncio.run(_be_sibling(port, over, seen))
    except (OSError, TimeoutError) as error:
        seen.faults.append(f"{kind}: {error!r}")
    del seen.faults[20:]
    print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])

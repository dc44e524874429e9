"""Processes that claim files and write them, one of which is killed whenever a test likes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cache.directory import eventually

_PROGRAM = """
import os, signal, sys, time
from random import Random
from proxy.cache.disk.claims import claim

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    path, length, seed, piece, stop, pause, final = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        try:
            held = claim(path)
            body = Random(f"{length} {seed}").randbytes(int(length))
            for at in range(0, int(stop) if held.mine else 0, int(piece)):
                held.write([body[at : min(at + int(piece), int(stop))]])
                time.sleep(float(pause))
            if final == "withdraw":
                held.withdraw()
            elif final:
                held.publish(final)
            else:
                signal.pause()
        finally:
            os._exit(0)
    print(child, flush=True)
"""


class Child:
    """A process that has claimed a file and writes to it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def kill(self) -> None:
        """Ends it by SIGKILL, and waits for that."""
        try:
            os.kill(self.number, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.wait()

    def wait(self) -> None:
        """Until it has ended."""
        eventually(lambda: not os.path.exists(f"/proc/{self.number}"))


class Writers:
    """Starts such processes, each a few milliseconds after it was asked for."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._children: list[Child] = []

    def begin(
        self,
        path: Path,
        length: int,
        seed: int = 0,
        *,
        piece: int = 1000,
        stop: int | None = None,
        pause: float = 0.0,
        final: Path | str = "",
    ) -> Child:
        """One that writes `bytes_of(length, seed)` in pieces, up to `stop` if it is given.

        Then it publishes the file as `final`, withdraws it for "withdraw", or holds it for "".
        """
        stop = length if stop is None else stop
        told = (path, length, seed, piece, stop, pause, final)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write("\t".join(map(str, told)) + "\n")
        self._popen.stdin.flush()
        child = Child(int(self._popen.stdout.readline()))
        self._children.append(child)
        return child

    def close(self) -> None:
        """Kills all that are left."""
        for child in self._children:
            child.kill()
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def writers() -> Iterator[Writers]:
    made = Writers()
    try:
        yield made
    finally:
        made.close()


def is_locked(path: Path) -> bool:
    """Whether a process holds the file locked."""
    try:
        told = f":{path.stat().st_ino} "
    except FileNotFoundError:
        return False
    locks = Path("/proc/locks").read_text().splitlines()
    return any("FLOCK" in line and told in line for line in locks)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1

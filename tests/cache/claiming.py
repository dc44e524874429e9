"""Processes that claim files and write them, one of which is killed whenever a test likes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cache.directory import eventually

# It is the parent that kills and reaps, so that no number is killed that is another's by now.
_PROGRAM = """
import os, signal, sys, time
from random import Random
from proxy.cache.disk.claims import claim

alive = set()


def reap(*_):
    for child in [one for one in alive if os.waitpid(one, os.WNOHANG)[0]]:
        alive.discard(child)


def kill(child):
    if child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        alive.discard(child)


def write(path, length, seed, piece, stop, pause, final):
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


signal.signal(signal.SIGCHLD, reap)
for line in sys.stdin:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    what, *told = line.rstrip("\\n").split("\\t")
    if what == "kill":
        kill(child := int(told[0]))
    else:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                write(*told)
            finally:
                os._exit(0)
        alive.add(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    print(child, flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
for child in list(alive):
    kill(child)
"""


class Child:
    """A process that has claimed a file and writes to it."""

    def __init__(self, number: int, parent: Writers) -> None:
        self.number = number
        self._parent = parent

    def kill(self) -> None:
        """Ends it by SIGKILL, and waits for that."""
        self._parent.tell("kill", self.number)

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
        return Child(self.tell("begin", path, length, seed, piece, stop, pause, final), self)

    def tell(self, what: str, *told: object) -> int:
        """Has it begin or kill a process, and gives that one's number."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write("\t".join(map(str, (what, *told))) + "\n")
        self._popen.stdin.flush()
        return int(self._popen.stdout.readline())

    def close(self) -> None:
        """Kills all that are left."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe is not None
            pipe.close()
        self._popen.wait(60)


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

"""A process that writes a file as the cache's writers do, told what to do line by line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers.running import Running

_PROGRAM = """
import fcntl, os, sys
path = sys.argv[1]
file = os.open(path, os.O_WRONLY | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("open", flush=True)
for line in sys.stdin:
    act, _, rest = line.strip().partition(" ")
    if act == "write":
        os.write(file, b"x" * int(rest))
    elif act == "close":
        os.close(file)
    elif act == "rename":
        os.rename(path, rest)
    elif act == "unlink":
        os.unlink(path)
    print(act, flush=True)
"""


class Writer(Running):
    """Holds a file open and locked, from when it is made. Killed when it is stopped."""

    def __init__(self, path: Path) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("open")

    def _hear(self, word: str) -> None:
        assert self._popen.stdout is not None
        assert self._popen.stdout.readline().strip() == word

    def do(self, line: str) -> None:
        """ "write COUNT", "close", "rename PATH" or "unlink"; returns when it is done."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()
        self._hear(line.split(maxsplit=1)[0])

    def stop(self) -> None:
        """Ends the process by SIGKILL, and waits for that."""
        self._popen.kill()
        self._popen.wait()
        # A pipe that is closed already is closed again without harm.
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe is not None
            pipe.close()

"""A cache's directory to keep, and processes that keep it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy.cache.upkeep.holdings import SHARDS

PATIENCE = 60.0


def make(root: Path) -> Path:
    """An empty one at `root`."""
    for name in (*SHARDS, "tmp"):
        (root / name).mkdir()
    return root


def object_name(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]


def slice_path(root: Path, number: int, index: int = 0) -> Path:
    name = object_name(number)
    return root / name[:2] / f"{name}.{number:016x}.{index}"


def head_path(root: Path, number: int) -> Path:
    name = object_name(number)
    return root / name[:2] / f"{name}.head"


def put(path: Path, size: int, age: float = 0.0) -> Path:
    """Writes a file as the cache does, last modified `age` seconds ago."""
    being_written = path.parents[1] / "tmp" / path.name
    being_written.write_bytes(bytes(size))
    os.utime(being_written, (time.time() - age,) * 2)
    being_written.rename(path)
    return path


def eventually(happened: Callable[[], object]) -> None:
    """Waits until `happened` gives something true."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


_PROGRAM = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from proxy.cache.disk.hits import HitTable
from proxy.cache.upkeep.janitor import Janitor, Limits
root = Path(sys.argv[1])
janitor = Janitor(root, Limits(*map(int, sys.argv[2:5])), HitTable.open(root / "hits"))
janitor.start()
for _ in sys.stdin:
    print(json.dumps(asdict(janitor.statistics())), flush=True)
janitor.stop()
"""


class Keeper:
    """A process with a janitor. `kill` it at the end, if not before."""

    def __init__(self, root: Path, bytes_: int, files: int = 10**6, free: int = 0) -> None:
        command = [sys.executable, "-c", _PROGRAM, *map(str, (root, bytes_, files, free))]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def statistics(self) -> dict[str, Any]:
        """What its `Usage` says now."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        told: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return told

    def is_janitor(self) -> bool:
        told = self.statistics()
        return bool(told["is_janitor"] and told["scanned"])

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            assert pipe is not None
            pipe.close()

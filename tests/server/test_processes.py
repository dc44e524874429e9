"""Orphans, as a container's process 1 gets them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import ctypes, os, time
from proxy.server.processes import reap_orphans

ctypes.CDLL(None).prctl(36, 1)  # be the one who inherits orphans, as process 1 is
reading, writing = os.pipe()
own = os.fork()
if own == 0:
    orphan = os.fork()
    if orphan == 0:  # a grandchild: orphaned at once, and it ends at once
        os._exit(0)
    os.write(writing, b"%d" % orphan)
    os._exit(0)


def has_ended(pid):
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"


orphan = int(os.read(reading, 20))
while not (has_ended(own) and has_ended(orphan)):
    time.sleep(0.01)
reap_orphans({own})
os.waitpid(own, 0)  # our own was left to us
reap_orphans(set())
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("none left")
"""


def test_orphans_are_reaped_and_our_own_left() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "none left\n", done.stderr

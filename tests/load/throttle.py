"""Holding a process still for a share of the time: a build that is slow, without a slow build.

Needs no privileges and nothing in the product: the process and its workers are stopped by SIGSTOP
and set going again, fifty times a second. It shows that a comparison notices.
"""

from __future__ import annotations

import contextlib
import os
import signal

from tests.benchmarks.processes import descendants
from tests.load.background import Background

_PERIOD = 0.02


class Throttle(Background):
    """While the block runs, `pid` and its descendants stand still for `share` of each 20 ms."""

    def __init__(self, pid: int, share: float) -> None:
        if not 0 < share < 1:
            raise ValueError(f"a share is between 0 and 1, not {share}")
        self._pids = descendants(pid)
        self._share = share
        super().__init__("throttle")

    def _run(self) -> None:
        try:
            while not self._done.wait(_PERIOD * (1 - self._share)):
                self._send(signal.SIGSTOP)
                self._done.wait(_PERIOD * self._share)
                self._send(signal.SIGCONT)
        finally:
            self._send(signal.SIGCONT)

    def _send(self, kind: signal.Signals) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, kind)

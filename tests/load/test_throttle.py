from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.load.throttle import Throttle


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_stands_still_and_goes_on_afterwards() -> None:
    spin = "import time\nwhile True: time.sleep(0.001)"
    with subprocess.Popen([sys.executable, "-c", spin]) as process:
        try:
            with Throttle(process.pid, 0.5):
                seen: set[str] = set()
                while not ("T" in seen and seen & {"S", "R"}):
                    seen.add(state(process.pid))
            assert state(process.pid) != "T"
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("share", [0, 1, -0.5, 2])
def test_a_share_is_between_none_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Throttle(1, share)

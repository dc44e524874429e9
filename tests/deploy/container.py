"""A container of the image, confined as production confines it, on the network of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.tools.container import engine
from tests.servers.process import ServerFailed
from tests.servers.running import Running

IMAGE = os.environ.get("HEADGATE_IMAGE", "")
_START_TIMEOUT = 60.0


def run_engine(*arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Runs podman or docker with a runtime that works in a sandbox too."""
    runtime = ["--runtime", "runc"] if Path(engine()).name == "podman" and runc() else []
    command = [engine(), *runtime, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def runc() -> str | None:
    """crun refuses the control groups of some sandboxes."""
    return shutil.which("runc")


class Container(Running):
    """A running container; made with the image's own command unless `command` says otherwise.

    Args:
        volumes: host paths to container paths, mounted read-only.
        environment: variables of the container.
    """

    def __init__(
        self,
        volumes: Mapping[Path, str],
        environment: Mapping[str, str],
        command: Sequence[str] = (),
    ) -> None:
        options = ["--detach", "--read-only", "--user", "10001:10001", "--cap-drop", "all"]
        options += ["--security-opt", "no-new-privileges", "--network", "host"]
        options += ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
        options += ["--no-healthcheck"] if Path(engine()).name == "docker" else []
        options += ["--health-interval=disable"] if Path(engine()).name == "podman" else []
        for path, where in volumes.items():
            options += ["--volume", f"{path}:{where}:ro"]
        for name, value in environment.items():
            options += ["--env", f"{name}={value}"]
        done = run_engine("run", *options, IMAGE, *command)
        if done.returncode:
            raise ServerFailed(done.stderr)
        self.id = done.stdout.strip().splitlines()[-1]

    def stop(self) -> None:
        run_engine("rm", "--force", self.id)

    def state(self) -> dict[str, Any]:
        """What the engine knows: Status, Pid, ExitCode."""
        found: dict[str, Any] = json.loads(run_engine("inspect", self.id).stdout)[0]["State"]
        return found

    def output(self) -> str:
        """All that it wrote."""
        done = run_engine("logs", self.id)
        return done.stdout + done.stderr

    def is_healthy(self) -> bool:
        """What the image's own health check says, run now."""
        return run_engine("healthcheck", "run", self.id).returncode == 0

    def wait_until_healthy(self) -> float:
        """Seconds until the health check first succeeded."""
        began = time.monotonic()
        while not self.is_healthy():
            if self.state()["Status"] != "running" or time.monotonic() > began + _START_TIMEOUT:
                raise ServerFailed(self.output())
            time.sleep(0.02)
        return time.monotonic() - began

    def wait_until_gone(self) -> int:
        """Its exit code, once it has ended."""
        return int(run_engine("wait", self.id).stdout)

    def processes(self) -> list[Path]:
        """/proc of each of its processes, as this machine sees them."""
        first = Path(f"/proc/{self.state()['Pid']}")
        found = [first]
        for task in first.glob("task/*/children"):
            with contextlib.suppress(OSError):
                found += [Path(f"/proc/{pid}") for pid in task.read_text().split()]
        return found

    def memory(self) -> int:
        """Bytes its processes hold, shared pages counted once."""
        rollups = [(process / "smaps_rollup").read_text() for process in self.processes()]
        rows = [row for text in rollups for row in text.splitlines() if row.startswith("Pss:")]
        return sum(int(row.split()[1]) for row in rows) * 1024

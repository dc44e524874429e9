"""A server process: free ports, a log to show when it fails, an end that is sure."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Between "is it there?" and "is it there now?"; a server that answers in 50 ms is seen at once.
_POLL = 0.03
# Two slow shared cores: SeaweedFS was seen to take 0.8 s alone, and ten times that under load.
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 8.0
# A free port can be taken between looking and listening; three times in a row it is not chance.
_ATTEMPTS = 3
# A run of all tests takes some hundreds.
_PORTS_AT_LEAST = 4000
_REFUSED_BY_BROWSERS = 10_080  # https://fetch.spec.whatwg.org/#port-blocking, of those above 10000


def program(name: str) -> str:
    """The path of a program installed beside this Python, or else one on PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is neither in {beside.parent} nor on PATH")
    return found


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now, each given once by this process.

    None is from the range of which the kernel takes those of outgoing connections: with many of
    them about, such a port is soon gone again. Another process may still be faster: retry.
    """
    with contextlib.ExitStack() as stack:
        return [_hold_a_free_port(stack) for _ in range(count)]


def _hold_a_free_port(stack: contextlib.ExitStack) -> int:
    while True:
        port = _PORTS.pop()
        held = stack.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            held.bind(("127.0.0.1", port))
            return port


def _ports_in_any_order() -> list[int]:
    """Those below the range for outgoing connections, but for the low ones that have names, and
    the one that browsers refuse. Where that range leaves none, just any."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [port for port in range(10_000, first) if port != _REFUSED_BY_BROWSERS]
    if len(ports) < _PORTS_AT_LEAST:
        ports = list(range(20_000, 65_536))
    secrets.SystemRandom().shuffle(ports)  # or the processes of one run would choose the same
    return ports


_PORTS = _ports_in_any_order()


class ServerFailed(RuntimeError):
    """The process ended or did not answer in time; the text ends with its last log lines."""


class Process:
    """One running program with a directory of its own, which is deleted when it stops."""

    def __init__(
        self, argv: Sequence[str], work: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.work = work
        self._log = work / "log"
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                argv,
                cwd=work,
                env={"HOME": str(work), "PATH": "/usr/sbin:/usr/bin:/bin", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Returns once `ready` says so; stops the process and raises ServerFailed if it can't."""
        deadline = time.monotonic() + _START_TIMEOUT
        while not ready():
            if self._popen.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:]
                self.stop()
                raise ServerFailed(f"{self._popen.args!r} did not come up:\n{tail}")
            time.sleep(_POLL)

    def stop(self) -> None:
        """Ends it with SIGTERM, after 8 s with SIGKILL, and deletes its directory. Safe twice."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def work_directory() -> Path:
    """A new private directory, its path short enough for a Unix socket in it."""
    return Path(tempfile.mkdtemp(prefix="headgate-"))


def listens(port: int) -> bool:
    """Whether 127.0.0.1 accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def with_retries(start: Callable[[], Process]) -> Process:
    """Starts, and starts again if it failed: each try is expected to look for new ports."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return start()
        except ServerFailed:
            continue
    return start()

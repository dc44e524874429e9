"""The program itself, as a user starts it: `python -m proxy serve --config FILE`.

    with Headgate(configuration) as program:
        httpx.get(program.url + "/readme.txt")

Every "127.0.0.1:0" in the configuration becomes an address with a free port before the program
sees it, so that its URLs are known here without reading its output.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.process import ServerFailed, free_ports, work_directory
from tests.servers.running import Running

REPOSITORY = Path(__file__).resolve().parents[2]
ANY_PORT = "127.0.0.1:0"
START_TIMEOUT = 60.0  # two slow shared cores, and imports alone take a second there
STOP_TIMEOUT = 15.0
WRITE_TIMEOUT = 30.0
ATTEMPTS = 3  # a free port can be taken between looking and listening


class Headgate(Running):
    """A running Headgate. Making one starts it and waits until it answers.

    Args:
        config_text: the configuration, TOML.
        arguments: more for the command line, behind `serve --config FILE`.
        environment: more variables; of this process's own only PATH is passed on.

    Raises: `ServerFailed` with everything it wrote, when it ends or doesn't answer in a minute.
    """

    def __init__(
        self,
        config_text: str,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments, self._environment = arguments, environment or {}
        self._process: subprocess.Popen[bytes]
        self._stopped = False
        for attempt in range(1, ATTEMPTS + 1):
            self._start(config_text)
            try:
                self._wait_until_it_answers()
                return
            except ServerFailed as failed:
                if attempt == ATTEMPTS or "in use" not in str(failed):
                    raise

    @property
    def pid(self) -> int:
        """Of the process that was started; with workers it is their supervisor."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The first address in clear, without a slash at its end."""
        return f"http://{self.settings['server']['bind'][0]}"

    @property
    def tls_url(self) -> str:
        """The first address with TLS."""
        return f"https://{self.settings['server']['tls']['bind'][0]}"

    @property
    def admin_url(self) -> str:
        """The operator's door."""
        return f"http://{self.settings['admin']['bind']}"

    def output(self) -> str:
        """All that it has written to standard output and standard error; after `stop` too."""
        if self._log.exists():
            self._written = self._log.read_text(errors="replace")
        return self._written

    def wait_for(self, words: str, count: int = 1) -> str:
        """All whole lines that it has written, once they hold the words so often: a thread of it
        writes them, often after the answer that they are about.

        Raises: AssertionError, when they don't come in half a minute.
        """
        deadline = time.monotonic() + WRITE_TIMEOUT
        while True:
            written = self.output()
            lines = written[: written.rfind("\n") + 1]
            if lines.count(words) >= count:
                return lines
            assert time.monotonic() < deadline, f"no {words!r} in:\n{written}"
            time.sleep(0.02)

    def rewrite(self, config_text: str) -> None:
        """Replace the configuration file, keeping the addresses, for a reload by SIGHUP."""
        self._file.write_text(self._with_ports(config_text))

    def wait(self) -> int:
        """Its exit code, once it has ended; a stop was asked for before.

        Raises: TimeoutExpired, when it has not within half a minute.
        """
        return self._process.wait(2 * STOP_TIMEOUT)

    def stop(self) -> int:
        """End it by SIGTERM, and by SIGKILL after 15 s, with all its workers.

        Returns its exit code, negative for a signal. May be called twice.
        """
        if self._stopped:
            return self.wait()
        self._stopped = True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        self._kill_all()  # a worker that outlived its supervisor
        self.output()
        shutil.rmtree(self._work, ignore_errors=True)
        return self._process.wait()

    def _start(self, config_text: str) -> None:
        self._ports = free_ports(config_text.count(ANY_PORT))
        self._work = work_directory()
        self._file, self._log = self._work / "headgate.toml", self._work / "log"
        self._written, self._stopped = "", False
        self.rewrite(config_text)
        self.settings: dict[str, Any] = tomllib.loads(self._file.read_text())
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(self._file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                cwd=self._work,
                env={
                    "HOME": str(self._work),
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(REPOSITORY),
                    "PYTHONUNBUFFERED": "1",
                    **self._environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, so that no worker is left behind
            )

    def _with_ports(self, config_text: str) -> str:
        for port in self._ports:
            config_text = config_text.replace(ANY_PORT, f"127.0.0.1:{port}", 1)
        return config_text

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        silent = self._doors()
        while silent := [door for door in silent if not self._answers_at(door)]:
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                self.stop()
                what = "did not answer" if code is None else f"ended with {code}"
                raise ServerFailed(f"headgate serve {what}; it wrote:\n{self._written}")
            time.sleep(0.03)

    def _doors(self) -> list[str]:
        """Where it answers in clear. Each is asked only until it has answered once, so that
        whoever counts requests knows how many came before its own."""
        doors = [self.settings["server"]["bind"][0]]
        if admin := self.settings.get("admin", {}).get("bind"):
            doors.append(admin)
        return doors

    def _answers_at(self, address: str) -> bool:
        """Whether it answers a request there, whatever it says."""
        host, _, port = address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1) as probe:
            probe.settimeout(30)
            probe.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return probe.recv(5) == b"HTTP/"
        return False

    def _kill_all(self) -> None:
        """Once and at once: later its number may be that of others."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

"""Starts a fault origin and tells it what to do."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults.acts import Act
from tests.servers import S3Server
from tests.servers.running import Running

REPOSITORY = Path(__file__).resolve().parents[2]


class Faults(Running):
    """A running fault origin before `store`; a context manager that ends it.

    Calls may come from several threads. In an asynchronous test they are short enough to be made
    directly: they are answered by another process, which does nothing else.
    """

    def __init__(self, store: S3Server) -> None:
        self.store = store
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.origin", str(store.port)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        ports = json.loads(self._process.stdout.readline())
        self.port, self._control, self.canary_port = (
            ports["port"],
            ports["control"],
            ports["canary"],
        )
        self._lock = threading.Lock()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=30)

    @property
    def endpoint(self) -> str:
        """Where clients find it; it has the store's bucket and credentials."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def plan(self, key: str, *acts: Act, rest: Act | None = None) -> None:
        """What to do with the next requests for `key`, one act each; `rest` is for all others."""
        listed = [asdict(act) for act in acts]
        rest_or_none = asdict(rest) if rest is not None else None
        self._call("/plan", path=self.path_of(key), acts=listed, rest=rest_or_none)

    def take(self, key: str) -> dict[str, Any]:
        """What was counted for `key` (as `tests.faults.counts.Counts`); forgets it, and the
        plan."""
        return self._call("/take", path=self.path_of(key))

    def counts(self) -> dict[str, Any]:
        """What was counted: "total", and "paths" one by one. Bytes are those of bodies."""
        return self._call("/counts")

    def pace(self, *, delay: float = 0.0, rate: float = 0.0) -> None:
        """Slows every answer that begins from now on: seconds to its first byte at the least, and
        bytes per second on each connection at the most (0: no limit)."""
        self._call("/pace", delay=delay, rate=rate)

    def asked_the_canary(self) -> int:
        """How many connections the canary had."""
        return int(self._call("/canary")["requests"])

    def path_of(self, key: str) -> str:
        return f"/{self.store.bucket}/{key}"

    def stop(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.communicate()

    def _call(self, name: str, **body: object) -> dict[str, Any]:
        with self._lock:
            self._connection.request("POST", name, json.dumps(body))
            answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
            return answer

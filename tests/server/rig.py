"""Starts the toy server as real processes, and says what it said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "tests.server.toy", "serve"]
ROOT = Path(__file__).parents[2]


class Toy:
    """A running toy server."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path, log: Path) -> None:
        self.process = process
        self.config = config
        self._log = log
        self.said: dict[str, Any] = {}

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def port(self) -> int:
        return int(self.said["clear"][0].rpartition(":")[2])

    @property
    def tls_port(self) -> int:
        return int(self.said["tls"][0].rpartition(":")[2])

    @property
    def admin_port(self) -> int:
        return int(self.said["admin"].rpartition(":")[2])

    def write(self, **plan: object) -> None:
        self.config.write_text(json.dumps(plan))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def said_in_log(self, words: str, count: int = 1) -> None:
        """Waits until the log holds the words so often."""
        async with asyncio.timeout(30):
            while self.log.count(words) < count:
                await asyncio.sleep(0.02)

    async def ended(self, seconds: float = 30) -> int:
        async with asyncio.timeout(seconds):
            return await self.process.wait()


async def start(directory: Path, **plan: object) -> Toy:
    """Starts it; `said` stays empty when it ended instead of becoming ready."""
    config, log = directory / "toy.json", directory / "toy.log"
    config.write_text(json.dumps(plan))
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            str(config),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            start_new_session=True,
        )
    toy = Toy(process, config, log)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
        if line:
            toy.said = json.loads(line)
        else:
            await process.wait()
    return toy


@contextlib.asynccontextmanager
async def running(directory: Path, **plan: object) -> AsyncGenerator[Toy, None]:
    """A toy server that is ready, stopped at the end if the test has not."""
    toy = await start(directory, **plan)
    assert toy.said, toy.log
    try:
        yield toy
    finally:
        if toy.process.returncode is None:
            toy.signal(signal.SIGTERM)
            toy.signal(signal.SIGINT)  # the second one: at once
            await toy.ended()


@contextlib.contextmanager
def served(directory: Path, **plan: object) -> Iterator[int]:
    """The port of a toy server that many tests share."""
    with served_all(directory, **plan) as said:
        yield int(said["clear"][0].rpartition(":")[2])


@contextlib.contextmanager
def served_all(directory: Path, **plan: object) -> Iterator[dict[str, Any]]:
    """The same, and all that it says of its addresses."""
    config = directory / "toy.json"
    config.write_text(json.dumps(plan))
    with subprocess.Popen(
        [*COMMAND, str(config)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            yield said
        finally:
            process.terminate()
            process.send_signal(signal.SIGINT)
            process.wait(30)

"""One worker process, as the supervisor sees it: started, ready, draining, gone.

The process is this object's: whoever makes it calls `drain` or `kill`, and it is reaped here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from proxy.errors import StartError
from proxy.observability.meters import Values
from proxy.server.asking import Asking
from proxy.server.control import Channel
from proxy.server.serving import Drained

logger = logging.getLogger(__name__)

# Seconds beyond the drain in which a worker must be gone before it is killed.
_PATIENCE = 5.0
# Seconds for what a worker reported last to be read after it is gone.
_LAST_WORDS = 1.0


class WorkerProcess:
    """A worker that was started. `pid` is its process id, `state` one of the four words above."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.pid = process.pid
        self.name = "worker"
        """By its place among the workers; whoever replaces it has the same."""
        self.state = "starting"
        self.since = time.monotonic()
        self.drained: Drained | None = None
        self.last_metrics: Values | None = None
        """What it had counted when it left in order."""
        self.asking = Asking(channel)
        self.vacated = asyncio.Event()
        """Set when it takes no more requests: it is gone, or drains by its own decision."""
        self._process = process
        self._channel = channel
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())
        self._watching = asyncio.create_task(self._watch())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        plan: Mapping[str, Any],
        payload: bytes,
        sockets: Collection[socket.socket],
        meet: Callable[[WorkerProcess], Mapping[str, Any]] = lambda _: {},
    ) -> WorkerProcess:
        """Starts `command` with the descriptor of its channel as one more argument.

        `meet` is called once it is there, and gives what it is told beside the plan: nothing else
        happens between its call and the telling.

        Raises `StartError` when the operating system refuses.
        """
        ours, theirs = socket.socketpair()
        descriptors = (theirs.fileno(), *(one.fileno() for one in sockets))
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C at the terminal is the supervisor's business
            )
        except OSError as error:
            ours.close()
            raise StartError(f"Can't start a worker process: {error.strerror}") from None
        finally:
            theirs.close()
        worker = cls(process, await Channel.over(ours))
        await worker._tell({"is": "plan", **plan, **meet(worker)}, payload)
        return worker

    async def _tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        try:
            await self._channel.send(message, payload)
        except ConnectionError:
            pass  # it is gone, which `_watch` sees

    async def _listen(self) -> None:
        while received := await self._channel.receive():
            message, payload = received
            match message["is"]:
                case "answer" | "event":
                    self.asking.took(message, payload)
                case "ready":
                    self.state = "ready"
                    self._ready.set_result(None)
                case "failed":
                    self._fail(message["why"])
                case "draining":
                    self.state = "draining"
                    self.vacated.set()
                case "drained":
                    self.drained = Drained(message["finished"], message["cut"])
                    self.last_metrics = message["metrics"]

    async def _watch(self) -> None:
        await self._process.wait()
        await asyncio.wait([self._listening], timeout=_LAST_WORDS)
        self._listening.cancel()
        self.asking.lose()
        await self._channel.aclose()
        self.state = "gone"
        self._fail(f"A worker {self.ending} before it was ready; see its messages above")
        self.vacated.set()

    def _fail(self, why: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(StartError(why))
            self._ready.exception()  # it may be that nobody asks

    @property
    def served(self) -> bool:
        """Whether it ever was ready."""
        return self._ready.done() and self._ready.exception() is None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "has not ended"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    async def wait_ready(self, seconds: float) -> None:
        """Waits until it serves; raises `StartError` with its own words if it can't."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise StartError(f"A worker was not ready after {seconds:g} seconds") from None

    async def drain(self, grace: float) -> Drained | None:
        """Lets it finish for so many seconds and waits until it is gone.

        Returns its count, or None when it had to be killed or died before it could say.
        """
        if self.state != "gone":
            self.state = "draining"
        await self._tell({"is": "drain", "grace": grace})
        await self.wait_gone(grace)
        return self.drained

    async def hurry(self) -> None:
        """Ends a drain that is under way."""
        await self._tell({"is": "drain", "grace": 0.0})

    async def wait_gone(self, grace: float) -> None:
        """Waits until it is gone; kills it when that takes longer than `grace` and a bit."""
        done, _ = await asyncio.wait([self._watching], timeout=grace + _PATIENCE)
        if not done:
            logger.warning("worker %d did not leave in time and is killed", self.pid)
            await self.kill()

    async def kill(self) -> None:
        """Kills it and waits until it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        await self._watching


def reap_orphans(own: Collection[int]) -> None:
    """Reaps processes that were left to us (as process 1 of a container), not our own workers,
    which the event loop waits for."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in own:
            return
        os.waitpid(found.si_pid, 0)

"""One worker process: builds the app from the payload, serves it, drains and leaves.

It leaves when the supervisor says so, when it gets SIGTERM itself, or when the supervisor is gone,
which it sees by the end of the control channel. However it leaves, and be it before anybody heard
that it is ready: once it accepts, it drains. It never prints an error of the start: it reports it,
and the supervisor says it once for all.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import uvloop
from starlette.types import ASGIApp

from proxy.errors import ConfigurationError, StartError
from proxy.observability.fleet import Operation
from proxy.observability.flow import Crowd
from proxy.server.asking import Answering, Order
from proxy.server.control import Channel, Message
from proxy.server.descriptors import raise_limit
from proxy.server.hot import HotPath
from proxy.server.serving import Limits, Serving
from proxy.server.tls import TLSFiles, make_context

logger = logging.getLogger(__name__)

# Seconds an app may take to give back what it holds, once no request is left.
_CLOSE_TIMEOUT = 3.0
# So many collections of what is young before one of all that lives, which stops everybody for tens
# of milliseconds where there are thousands of streams; Python's own number is 10. Connections leave
# nothing for it: whatever knew each other in one forgets that at its end.
_COLLECTED_ALL = 100
# Seconds for a report to be taken by the kernel; its buffer is full only if nobody reads.
_TELL_TIMEOUT = 2.0


class WorkerApp(Protocol):
    """What a worker serves."""

    @property
    def app(self) -> ASGIApp:
        """The ASGI application. It gets no lifespan events: `start` and `aclose` are those."""
        ...

    @property
    def hot(self) -> HotPath | None:
        """What answers at once, in place of the application."""
        ...

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What the operator may ask of it, by name. "metrics" is asked once more at its end."""
        ...

    def watch(self, crowd: Callable[[], Crowd]) -> None:
        """Takes what tells of the clients, for its metrics."""
        ...

    async def start(self) -> None:
        """Makes ready; raises `StartError` in one clear line."""
        ...

    async def aclose(self) -> None:
        """Gives back what it holds, after the last request."""
        ...


def run_worker(control: int, build: Callable[[bytes], WorkerApp]) -> int:
    """Serves until told to leave; returns the exit code.

    `control` is the inherited descriptor of the control channel. `build` makes the app from the
    plan's payload; it and the app's `start` may raise `StartError` or `ConfigurationError`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor's business
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_limit()
    end = socket.socket(fileno=control)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Worker(build).run(end))


class _Worker:
    def __init__(self, build: Callable[[bytes], WorkerApp]) -> None:
        self._build = build
        self._leave = asyncio.Event()
        self._by_itself = False
        self._grace = 0.0
        self._serving: Serving | None = None

    async def run(self, end: socket.socket) -> int:
        """The worker's whole life."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leave_by_itself)
        channel = await Channel.over(end)
        try:
            received = await channel.receive()
            return 0 if received is None else await self._serve(channel, *received)
        finally:
            await channel.aclose()

    def _leave_by_itself(self) -> None:
        self._by_itself = True
        self._leave.set()

    async def _serve(self, channel: Channel, plan: Message, payload: bytes) -> int:
        self._grace = plan["graceful_timeout"]
        try:
            made = self._build(payload)
            await made.start()
            await _obey(made, plan.get("orders", ()))
            serving = await self._open(made, plan)
        except (StartError, ConfigurationError) as error:
            await _tell(channel, {"is": "failed", "why": str(error)})
            return 1
        except Exception as error:
            logger.exception("the worker failed to start")
            why = f"The worker failed to start: {type(error).__name__}: {error}"
            await _tell(channel, {"is": "failed", "why": why})
            return 1
        gc.collect()
        gc.freeze()  # what start-up made lives for ever: no collection need look at it again
        gc.set_threshold(*gc.get_threshold()[:2], _COLLECTED_ALL)
        await _tell(channel, {"is": "ready"})
        answering = Answering(channel, made.operations)
        listening = asyncio.create_task(self._listen(channel, answering))
        await self._leave.wait()
        if self._by_itself:
            await _tell(channel, {"is": "draining"})
        drained = await serving.drain(self._grace)
        listening.cancel()
        await answering.aclose()
        counts = {"finished": drained.finished, "cut": drained.cut}
        last = {"is": "drained", **counts, "metrics": await _last_metrics(made)}
        await _tell(channel, last)
        await _close(made)
        return 0

    async def _open(self, made: WorkerApp, plan: Message) -> Serving:
        serving = self._serving = Serving(made.app, Limits(**plan["limits"]), made.hot)
        made.watch(serving.crowd)
        clear = [socket.socket(fileno=one) for one in plan["clear"]]
        secure = [socket.socket(fileno=one) for one in plan["secure"]]
        quic = [socket.socket(fileno=one) for one in plan.get("quic", ())]
        if secure:
            files = TLSFiles((), plan["certificate"], plan["key"])
            await serving.open(secure, make_context(files))
            if quic:
                serving.open_http3(quic, files)
        await serving.open(clear, None)
        return serving

    async def _listen(self, channel: Channel, answering: Answering) -> None:
        """Waits for orders; the end of the channel is one too. A second one means: hurry."""
        while received := await channel.receive():
            message, _ = received
            if message["is"] in ("ask", "forget"):
                answering.take(message)
            elif message["is"] == "drain":
                if self._leave.is_set() and self._serving is not None:
                    self._serving.hurry()
                self._grace = message["grace"]
                self._leave.set()
        self._leave.set()


async def _tell(channel: Channel, report: Message) -> None:
    """Reports to the supervisor. It may be gone: then nobody needs the report, but there are still
    clients."""
    try:
        async with asyncio.timeout(_TELL_TIMEOUT):
            await channel.send(report)
    except (ConnectionError, TimeoutError):
        pass


async def _obey(made: WorkerApp, orders: Sequence[Order]) -> None:
    """Does what the other workers were asked while this one was started."""
    for order in orders:
        operation = made.operations.get(order["what"])
        if operation is not None:
            await operation(order["with"], _no_stream)


async def _last_metrics(made: WorkerApp) -> Any:  # noqa: ANN401  # JSON, for the supervisor
    operation = made.operations.get("metrics")
    try:
        return None if operation is None else await operation({}, _no_stream)
    except Exception:
        logger.exception("the last metrics could not be read")
        return None


async def _no_stream(_: object) -> None:
    """For an operation that gives one value."""


async def _close(made: WorkerApp) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await made.aclose()
    except Exception:
        logger.exception("the app could not be closed")

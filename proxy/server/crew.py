"""The workers of one plan: all started together, each replaced when it dies, all retired together.

A reload makes a second crew beside the first; they share sockets, and for a moment both accept.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from proxy.errors import StartError
from proxy.server.asking import Order
from proxy.server.processes import WorkerProcess
from proxy.server.serving import Drained, Limits
from proxy.server.sockets import Listeners
from proxy.server.tls import TLSFiles

logger = logging.getLogger(__name__)

# Importing and connecting to an origin takes about a second; a slow store is given time.
_START_TIMEOUT = 60.0
# Seconds: a crash is mended at once, a crash at every start does not fill the log and the CPU.
# Where workers do start, something kills them, and must not take the capacity with them.
_FIRST_DELAY, _LONGEST_DELAY, _LONGEST_AFTER_A_START = 0.1, 5.0, 0.4
# Seconds after which a worker that dies counts as one that had worked.
_WORKED = 10.0


def _nothing() -> None:
    """For a plan that has nothing to give back."""


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """What to serve, as plain values. Times in seconds, sizes in bytes.

    Attributes:
        bind: clear addresses (HTTP/1.1, HTTP/2 with prior knowledge): `host:port`,
            `[v6]:port` or `unix:/path`.
        payload: what the workers build their app from; not looked at here.
        tls: addresses with TLS, and its files; None without.
        http3: whether the addresses with TLS serve HTTP/3 too, over UDP.
        http3_port: the port that clients are told for it, 0 for the one they came to.
        http3_max_age: for how many seconds they are to remember it; 0 tells nobody.
        workers: how many processes.
        graceful_timeout: how long responses in flight may go on when it stops.
        keep_alive_timeout: how long a connection may be idle.
        max_header_size: the size of a request head, beyond which it is refused with 431.
        max_connections: of one worker, 0 for as many as its descriptors allow.
        max_connections_per_address: of one worker, 0 for no limit.
        admin_bind: where the operator's door is; None without.
        admin: what the operator's door is made from; not looked at here.
        release: called in a thread, once, when no worker of this plan is left.
    """

    bind: tuple[str, ...]
    payload: bytes
    tls: TLSFiles | None = None
    http3: bool = False
    http3_port: int = 0
    http3_max_age: int = 86400
    workers: int = 1
    graceful_timeout: float = 30.0
    keep_alive_timeout: float = 5.0
    max_header_size: int = 16 * 1024
    max_connections: int = 0
    max_connections_per_address: int = 0
    admin_bind: str | None = None
    admin: object = None
    release: Callable[[], None] = _nothing

    @property
    def tls_bind(self) -> tuple[str, ...]:
        """The addresses with TLS."""
        return self.tls.bind if self.tls is not None else ()

    @property
    def served(self) -> dict[str, str]:
        """The addresses the workers serve, by name; raises `StartError` for one given twice."""
        return _by_name({"clear": self.bind, "tls": self.tls_bind})

    @property
    def quic_bind(self) -> tuple[str, ...]:
        """The addresses with TLS that serve HTTP/3 too."""
        return tuple(one for one in self.tls_bind if self.http3 and not one.startswith("unix:"))

    @property
    def beside(self) -> dict[str, str]:
        """Names of the UDP sockets, and of the addresses they are beside."""
        return {quic_name_of(one): name_of("tls", one) for one in self.quic_bind}

    @property
    def addresses(self) -> dict[str, str]:
        """All addresses, by name; raises `StartError` for one given twice."""
        admin = (self.admin_bind,) if self.admin_bind is not None else ()
        return _by_name({"clear": self.bind, "tls": self.tls_bind, "admin": admin})


def name_of(use: str, address: str) -> str:
    """The name under which an address is known from one plan to the next: itself, so that it
    may change its use; with port 0 it is another one for each use."""
    return f"{use} {address}" if address.endswith(":0") else address


def quic_name_of(address: str) -> str:
    """The name of the UDP sockets beside an address with TLS."""
    return f"quic {name_of('tls', address)}"


def _by_name(uses: Mapping[str, Sequence[str]]) -> dict[str, str]:
    named: dict[str, str] = {}
    for use, addresses in uses.items():
        for address in addresses:
            name = name_of(use, address)
            if name in named:
                raise StartError(f"{address} is given twice; each address can have one use")
            named[name] = address
    return named


def next_delay(last: float, lived: float, *, served: bool) -> float:
    """Seconds to wait before a worker is replaced that lived so long, and was ready or not; `last`
    is the wait before it was started, 0 for the first."""
    if last == 0 or lived >= _WORKED:
        return _FIRST_DELAY
    return min(last * 2, _LONGEST_AFTER_A_START if served else _LONGEST_DELAY)


class Crew:
    """The workers of `plan` on `listeners`. `start`, then `retire` once, or `kill`.

    `orders` gives what a worker that starts now has to do before it serves.
    """

    def __init__(
        self,
        plan: ServingPlan,
        listeners: Listeners,
        command: Sequence[str],
        orders: Callable[[], list[Order]] = list,
    ) -> None:
        self.plan = plan
        self._orders = orders
        self._listeners = listeners
        self._command = command
        self._workers: dict[int, WorkerProcess] = {}
        self._leaving: set[WorkerProcess] = set()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def workers(self) -> list[WorkerProcess]:
        """All processes, those too that are only leaving."""
        return [*self._workers.values(), *self._leaving]

    async def start(self) -> None:
        """Starts all workers and waits until all are ready.

        Raises `StartError` with the words of the first that can't, and leaves none behind.
        """
        try:
            await self._spawn_all()
        except BaseException:
            await self.kill()
            raise
        numbers = range(self.plan.workers)
        self._keepers = [asyncio.create_task(self._keep(index)) for index in numbers]

    async def _spawn_all(self) -> None:
        numbers = range(self.plan.workers)
        ends = await asyncio.gather(*map(self._spawn, numbers), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end

    async def _spawn(self, index: int) -> None:
        clear = self._share("clear", self.plan.bind, index)
        secure = self._share("tls", self.plan.tls_bind, index)
        names, count = map(quic_name_of, self.plan.quic_bind), self.plan.workers
        quic = [one for name in names for one in self._listeners.share(name, index, count)]
        message = self._message(clear, secure, quic)
        sockets = [*clear, *secure, *quic]
        meet = partial(self._meet, index)
        worker = await WorkerProcess.start(self._command, message, self.plan.payload, sockets, meet)
        await worker.wait_ready(_START_TIMEOUT)

    def _meet(self, index: int, worker: WorkerProcess) -> dict[str, Any]:
        """A worker is there. From now on it is asked as the others are; what they were asked just
        before, it is told as an order."""
        worker.name = f"worker-{index}"
        self._workers[index] = worker
        return {"orders": self._orders()}

    def _share(self, use: str, addresses: Sequence[str], index: int) -> list[socket.socket]:
        count, names = self.plan.workers, [name_of(use, one) for one in addresses]
        return [one for name in names for one in self._listeners.share(name, index, count)]

    def _message(
        self,
        clear: Sequence[socket.socket],
        secure: Sequence[socket.socket],
        quic: Sequence[socket.socket],
    ) -> dict[str, Any]:
        plan, tls = self.plan, self.plan.tls
        limits = Limits(
            keep_alive_timeout=plan.keep_alive_timeout,
            max_header_size=plan.max_header_size,
            max_connections=plan.max_connections,
            max_connections_per_address=plan.max_connections_per_address,
            http3_port=plan.http3_port,
            http3_max_age=plan.http3_max_age if quic else 0,
        )
        return {
            "clear": [one.fileno() for one in clear],
            "secure": [one.fileno() for one in secure],
            "quic": [one.fileno() for one in quic],
            "certificate": tls.certificate if tls else None,
            "key": tls.key if tls else None,
            "graceful_timeout": plan.graceful_timeout,
            "limits": asdict(limits),
        }

    async def _keep(self, index: int) -> None:
        """Replaces the worker of one place whenever it takes no more requests."""
        delay = 0.0
        while True:
            worker = self._workers[index]
            await worker.vacated.wait()
            if worker.state == "gone":
                lived = time.monotonic() - worker.since
                delay = next_delay(delay, lived, served=worker.served)
                logger.error(
                    "worker %d %s; starting another in %g s", worker.pid, worker.ending, delay
                )
                await asyncio.sleep(delay)
            else:
                logger.info("worker %d was told to leave; starting another", worker.pid)
                self._leaving.add(worker)
                delay = 0.0
            self._leaving = {one for one in self._leaving if one.state != "gone"}
            try:
                await self._spawn(index)
            except StartError as error:
                logger.warning("no worker in the place of %d: %s", worker.pid, error)
                await self._workers[index].kill()

    async def retire(self, grace: float) -> tuple[Drained, int]:
        """Drains all workers and waits until they are gone.

        Returns the sum of their counts, and how many could not say theirs.
        """
        await self._stop_keeping()
        present = [one for one in self.workers if one.state != "gone"]
        counts = await asyncio.gather(*(one.drain(grace) for one in present))
        known = [one for one in counts if one is not None]
        total = Drained(sum(one.finished for one in known), sum(one.cut for one in known))
        return total, len(counts) - len(known)

    async def hurry(self) -> None:
        """Ends a drain that is under way."""
        for worker in self.workers:
            await worker.hurry()

    async def kill(self) -> None:
        """Kills all workers and waits until they are gone."""
        await self._stop_keeping()
        await asyncio.gather(*(one.kill() for one in self.workers))

    async def _stop_keeping(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []

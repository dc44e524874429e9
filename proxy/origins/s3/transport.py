"""Signed requests over kept connections: every wait bounded, foreign errors translated here.

Redirects are never followed, cookies never kept, bodies never decoded, no proxy is taken from the
environment. A body is retried by nobody here: whoever reads it knows where it stopped.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from proxy.errors import (
    OriginBroke,
    OriginFault,
    OriginTimeout,
    OriginUnavailable,
    OriginUnreachable,
)
from proxy.origins.carried import CARRIED
from proxy.origins.s3.connector import ATTEMPT, Attempt, OneRetryConnector
from proxy.origins.s3.receiving import READ_BUFFER, Handler
from proxy.origins.s3.signing import Keys, Signer
from proxy.origins.waiting import Waiting

# Added after signing, since intermediaries may rewrite them. "identity": bytes as they are stored.
_UNSIGNED_HEADERS = {"accept-encoding": "identity", "user-agent": "headgate"}
_AUTOMATIC = ("Accept", "Accept-Encoding", "User-Agent")
# Requests that may wait for each connection: more than that would hardly get it in time.
_WAITERS_PER_SLOT = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on waiting, in seconds, and on connections. As in `S3Options`."""

    connect: float
    first_byte: float
    stall: float
    slot: float
    connections: int


class Slots:
    """As many permits as there may be connections, and a bounded queue for them."""

    def __init__(self, count: int, timeout: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._timeout = timeout
        self._count, self._used = count, 0
        self._waiting = 0
        self._most_waiting = count * _WAITERS_PER_SLOT
        self._waits = self._full = self._late = 0
        self._seconds = 0.0

    def statistics(self) -> Waiting:
        """How full it is."""
        return Waiting(
            used=self._used,
            most=self._count,
            queued=self._waiting,
            waits=self._waits,
            seconds=self._seconds,
            full=self._full,
            late=self._late,
        )

    async def take(self) -> None:
        """Takes a permit; raises OriginUnavailable when none comes free in time."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()  # does not wait
        self._used += 1

    async def _wait(self) -> None:
        if self._waiting >= self._most_waiting:
            self._full += 1
            raise OriginUnavailable("too many requests wait for a connection to the store")
        begun = time.monotonic()
        self._waiting += 1
        self._waits += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            self._late += 1
            raise OriginUnavailable(f"no connection came free in {self._timeout:g} s") from None
        finally:
            self._waiting -= 1
            self._seconds += time.monotonic() - begun

    def give_back(self) -> None:
        """Gives one permit back."""
        self._used -= 1
        self._free.release()


class Answer:
    """One answer: its head, and a body to read. Whoever asked for it calls `close`, always.

    Attributes:
        status: its status code.
        headers: names in lower case, values in ISO 8859-1, repeated ones joined by commas.
    """

    __slots__ = (
        "_closed", "_free", "_response", "_stall", "_timer", "_waits_since", "headers", "status",
    )  # fmt: skip

    def __init__(
        self, response: aiohttp.ClientResponse, free: Callable[[], None], stall: float
    ) -> None:
        self.status = response.status
        self.headers = _headers(response)
        self._response = response
        self._free = free
        self._stall = stall
        self._closed = False
        self._waits_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def _handler(self) -> Handler | None:
        """That of its connection; None if all of it is here."""
        connection = self._response.connection
        protocol = connection.protocol if connection is not None else None
        return protocol if isinstance(protocol, Handler) else None

    def hurry(self) -> None:
        """Whoever reads it takes each piece as soon as it comes."""
        if (handler := self._handler) is not None:
            handler.hurry()

    def _go_on(self) -> None:
        if (handler := self._handler) is not None:
            handler.go_on()

    async def read(self) -> bytes:
        """The next piece of the body as it came, b"" at its end.

        Raises OriginBroke if it ends early and OriginTimeout if nothing comes for too long; the
        time runs only in here, so a slow reader is no stalled store.
        """
        self._go_on()
        content = self._response.content
        try:
            piece = content.read_nowait()
            return piece or await self._wait_for_more()
        except TimeoutError:
            raise OriginTimeout(f"the store sent nothing for {self._stall:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise OriginBroke(f"the body broke off: {type(error).__name__}") from None

    async def _wait_for_more(self) -> bytes:
        loop = asyncio.get_running_loop()
        self._waits_since = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._stall, self._look)
        try:
            return await self._response.content.readany()
        finally:
            self._waits_since = None

    def _look(self) -> None:
        """Gives the store up, if it has been waited for all the time. One timer does for all the
        waits of an answer."""
        self._timer = None
        if self._waits_since is None:
            return
        loop = asyncio.get_running_loop()
        left = self._waits_since + self._stall - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
        else:
            self._response.content.set_exception(TimeoutError())

    async def read_up_to(self, limit: int) -> bytes:
        """The first `limit` bytes of the body, or all of it; faults as of `read`.

        All of it must come within the time that `read` gives a piece.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._stall):
                while size < limit and (piece := await self.read()):
                    pieces.append(piece)
                    size += len(piece)
        except TimeoutError:
            raise OriginTimeout(f"the answer was not complete in {self._stall:g} s") from None
        return b"".join(pieces)[:limit]

    def close(self) -> None:
        """Gives the connection back if the whole body has arrived, else closes it. Safe twice."""
        if not self._closed:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._go_on()  # to its end, if that is all there is to come
            self._response.close()
            self._free()


class Transport:
    """Asks one bucket. Made within a running event loop; its owner calls `aclose`."""

    def __init__(
        self, base: str, signer: Signer, limits: Limits, tls: ssl.SSLContext | bool = True
    ) -> None:
        url = URL(base, encoded=True)
        self._server = str(url.origin())
        # Without the port where it is the scheme's own, as it stands in the Host field.
        self._host = url.host_port_subcomponent or ""
        self._path = url.raw_path.rstrip("/")
        self._signer = signer
        self._limits = limits
        self._slots = Slots(limits.connections, limits.slot)
        self._session = aiohttp.ClientSession(
            connector=OneRetryConnector(limit=limits.connections, tls=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            trust_env=False,
            skip_auto_headers=_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=limits.connect, sock_connect=limits.connect
            ),
        )

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], keys: Keys | None
    ) -> Answer:
        """Sends GET or HEAD for `target`, encoded, below the bucket ("key", "?query").

        `headers` in lower case and ASCII, all of them signed. Without keys the request goes
        unsigned. Raises OriginUnavailable, OriginUnreachable, OriginTimeout or OriginFault.
        """
        path = f"{self._path}/{target}"
        to_send = {"host": self._host, **headers}
        await self._slots.take()
        try:
            if keys is not None:
                to_send = self._signer.sign(keys, method, path, to_send, time.time())
            url = URL(self._server + path, encoded=True)
            unsigned = {**_UNSIGNED_HEADERS, **CARRIED.get()}
            response = await self._send(method, url, to_send | unsigned)
        except BaseException:
            self._slots.give_back()
            raise
        return Answer(response, self._slots.give_back, self._limits.stall)

    def waiting(self) -> Waiting:
        """How many requests are under way, and how many wait."""
        return self._slots.statistics()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def _send(
        self, method: str, url: URL, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        ATTEMPT.set(Attempt())
        limit = self._limits.connect + self._limits.first_byte
        try:
            async with asyncio.timeout(limit):
                return await self._session.request(
                    method, url, headers=headers, allow_redirects=False
                )
        except aiohttp.ConnectionTimeoutError:
            text = f"no connection to {self._host} in {self._limits.connect:g} s"
            raise OriginTimeout(text) from None
        except TimeoutError:
            raise OriginTimeout(f"{self._host} did not answer in {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            # "from None": an aiohttp error may hold the request, and that our signature.
            raise _translated(error, self._host) from None


def _translated(error: Exception, host: str) -> OriginFault:
    """The fault for an error before the head of an answer was there."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OriginUnreachable(f"the name {host} can't be resolved")
    if isinstance(error, aiohttp.ClientSSLError):
        return OriginUnreachable(f"TLS with {host} failed: {_reason(error)}")
    if isinstance(error, (aiohttp.ClientConnectorError, OSError)):
        return OriginUnreachable(f"no connection to {host}: {_reason(error)}")
    if isinstance(error, aiohttp.ClientConnectionError):
        return OriginUnreachable(f"{host} closed the connection before it answered")
    return OriginFault(f"{host} sent no HTTP: {type(error).__name__}")


def _reason(error: Exception) -> str:
    """Why a connection failed, in the operating system's or OpenSSL's words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        errno = error.os_error.errno
        tls = isinstance(error, aiohttp.ClientSSLError) or not errno or errno < 0
        # By number: asyncio puts the address into the text, which is said already.
        return str(error.os_error) if tls or errno is None else os.strerror(errno)
    return getattr(error, "strerror", None) or type(error).__name__


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers

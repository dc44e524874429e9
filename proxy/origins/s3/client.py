"""One bucket's client: signs with the keys of the moment, and makes faults of refusals."""

from __future__ import annotations

import time
from collections.abc import Mapping

from proxy.errors import Fault
from proxy.origins.s3.credentials import Credentials
from proxy.origins.s3.faults import MAX_ERROR_BODY, STALE, Refusal, fault_of, refusal_of
from proxy.origins.s3.transport import Answer, Transport
from proxy.origins.waiting import Waiting


class Client:
    """A transport and the credentials it uses; its owner calls `aclose`."""

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials

    async def ask(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """As `Transport.ask`; also raises OriginRefused when the credentials have expired."""
        return await self._transport.ask(method, target, headers, self._credentials.current())

    def waiting(self) -> Waiting:
        """As `Transport.waiting`."""
        return self._transport.waiting()

    async def refusal(self, answer: Answer) -> Refusal:
        """Reads an answer that is not what was asked for, and closes it."""
        body = b""
        try:
            body = await answer.read_up_to(MAX_ERROR_BODY)
        except Fault:
            pass  # the status alone must do
        finally:
            answer.close()
        refusal = refusal_of(answer.status, answer.headers, body, time.time())
        if refusal.code in STALE:
            self._credentials.doubt()
        return refusal

    async def fault(self, answer: Answer) -> Fault:
        """The fault that such an answer means; closes it."""
        return fault_of(await self.refusal(answer), signed=self._credentials.current() is not None)

    async def aclose(self) -> None:
        """Ends the refresh of credentials and closes all connections."""
        try:
            await self._credentials.aclose()
        finally:
            await self._transport.aclose()

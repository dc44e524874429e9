"""What a server may ask an application before it starts a task for a request.

The application answers at once, from memory, or says that it has to be called. Protocols know no
more of it than this file says, and an application needs none of it: one that is called by another
server gives the same answer by way of ASGI.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from proxy.semantics.fields import Field

# The fields whose value is another one in each answer; they go before all others.
REQUEST_ID = b"x-request-id"
AGE = b"age"


class Written:
    """The head of an answer as each protocol writes it, before and behind the id; it is theirs."""

    __slots__ = ("http1", "http2", "http3")

    def __init__(self) -> None:
        self.http1: tuple[bytes, bytes] | None = None
        self.http2: tuple[bytes, bytes] | None = None
        self.http3: tuple[bytes, bytes] | None = None


class Prepared:
    """A whole answer whose head may be given many times.

    Attributes:
        status, fields, body: what is sent; without Date, Age and the request's id. `bodyless`
            where the fields speak of a body that is not sent.
        age: gives the value of Age; None where there is none.
        patience: seconds within which a client must have taken it.
        written: the head, for the protocols.
    """

    __slots__ = ("age", "body", "bodyless", "fields", "patience", "status", "written")

    def __init__(
        self,
        status: int,
        fields: tuple[Field, ...],
        body: bytes = b"",
        *,
        bodyless: bool = False,
        patience: float = 60.0,
    ) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.bodyless = bodyless
        self.patience = patience
        self.age: Callable[[], int] | None = None
        self.written = Written()


class HotPath(Protocol):
    """An application that may answer at once."""

    def hot(
        self, method: bytes, target: bytes, fields: Sequence[tuple[bytes, bytes]]
    ) -> Prepared | None:
        """The answer to a request without a body; None: call the application.

        `target` is as it was sent, `fields` have lower-case names. Whoever can't send what it is
        given calls the application as well: what had to be read for it is read twice then.
        """
        ...

    def answered(
        self,
        prepared: Prepared,
        request_id: bytes,
        client: str,
        protocol: str,
        begun: float,
        *,
        gone: str = "",
    ) -> None:
        """Tells that such an answer was sent, so that it is counted and logged as any other.

        Args:
            prepared: what `hot` gave.
            request_id: what was put into it.
            client: who got it, see `client_of`.
            protocol: the version of HTTP, as in an ASGI scope.
            begun: when `hot` was asked, by `time.monotonic`.
            gone: why the client has not taken it.
        """
        ...


def client_of(address: tuple[str, int] | None) -> str:
    """How a client is named in the log: by its address, or "unix"."""
    return address[0] if address else "unix"


def _request_ids() -> Iterator[bytes]:
    # One call of the system for 256 of them: alone each would take as long as all that is hot.
    while True:
        drawn = os.urandom(2048).hex().encode("ascii")
        for at in range(0, len(drawn), 16):
            yield drawn[at : at + 16]


new_request_id = _request_ids().__next__
"""An id for a request: 16 hexadecimal digits that nobody can guess. For one event loop."""

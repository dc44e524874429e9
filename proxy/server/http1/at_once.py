"""Answers of a connection that take no task: given at once, by whoever answers hot requests.

One of them may wait for its reader, like any response; then the connection looks at nothing else,
and it counts as running until it is taken or given up.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from proxy.server.hot import Prepared, client_of, new_request_id
from proxy.server.http1.heads import write_prepared
from proxy.server.http1.parser import RequestHead
from proxy.server.state import Peer, ServerState

# An answer that was written, its request's id, and when it was begun (`time.monotonic`).
Given = tuple[Prepared, bytes, float]


class AtOnce:
    """What one connection answers without a task."""

    __slots__ = ("_also", "_client", "_state", "_waiting")

    def __init__(self, state: ServerState, peer: Peer, also: bytes) -> None:
        """`also`: lines that every answer of the connection has."""
        self._state = state
        self._also = b"\r\n" + also.removesuffix(b"\r\n") if also else b""
        self._client = client_of(peer.client)
        self._waiting: Given | None = None

    def write(self, head: RequestHead, transport: asyncio.Transport) -> Given | None:
        """Writes the answer to a request without a body, if there is one; then `taken` or `wait`
        has to be called. The connection must go on after it."""
        hot = self._state.hot
        if hot is None or head.version != "1.1":
            return None
        begun = monotonic()
        prepared = hot.hot(head.method, head.target, head.headers)
        if prepared is None:
            return None
        request_id = new_request_id()
        pieces = write_prepared(prepared, request_id + self._also)
        if pieces[1]:
            transport.writelines(pieces)
        else:
            transport.write(pieces[0])
        return prepared, request_id, begun

    def taken(self, given: Given) -> None:
        """The client has it."""
        hot = self._state.hot
        if hot is not None:
            prepared, request_id, begun = given
            hot.answered(prepared, request_id, self._client, "1.1", begun)
        self._state.tally.finished += 1

    def wait(self, given: Given) -> float:
        """The client has not taken all of it yet; returns for how many seconds it may wait."""
        self._waiting = given
        self._state.tally.running += 1
        return given[0].patience

    @property
    def waits(self) -> bool:
        """Whether an answer waits for its reader."""
        return self._waiting is not None

    def end(self, *, given_up: bool = False) -> None:
        """The answer that waits, if one does, was taken, or the client is gone: as with any
        response, what it has not read by then it will not read. Or it was too slow."""
        given, self._waiting, hot = self._waiting, None, self._state.hot
        if given is None or hot is None:
            return
        tally = self._state.tally
        tally.running -= 1
        if given_up:
            tally.failed += 1
        else:
            tally.finished += 1
        prepared, request_id, begun = given
        gone = f"read too slowly for {prepared.patience:g} s" if given_up else ""
        hot.answered(prepared, request_id, self._client, "1.1", begun, gone=gone)

"""One bound UDP socket: to which connection a datagram belongs, and whether it begins one.

A new connection counts in the same admission as those over TCP. While many handshakes are under
way, clients have to show first that they are where they say (Retry, RFC 9000 §8.1.2); until then
aioquic sends nobody more than three times what came.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from time import monotonic

from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.retry import QuicRetryTokenHandler

from proxy.server.admission import party_of
from proxy.server.http3.datagrams import Datagram, connect, listen, receive
from proxy.server.http3.link import Link, Opening
from proxy.server.http3.protocol import Http3
from proxy.server.state import Peer, ServerState

logger = logging.getLogger(__name__)

# Datagrams read in one turn of the loop: a new connection costs a handshake, some milliseconds.
_AT_ONCE = 8
# Handshakes under way from which on clients have to show where they are.
_MANY_HANDSHAKES = 32
# Seconds between two lines of log about refused connections.
_LOG_EVERY = 60.0


class Connections:
    """The connections of one worker by their ids, whatever socket they came in on."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, Http3] = {}
        self._ids: dict[Http3, set[bytes]] = {}
        self.handshakes = 0

    def find(self, id_: bytes) -> Http3 | None:
        """The connection with this id."""
        return self._by_id.get(id_)

    def add(self, connection: Http3, id_: bytes) -> None:
        """The connection has one more id."""
        self._by_id[id_] = connection
        self._ids.setdefault(connection, set()).add(id_)

    def retire(self, id_: bytes) -> None:
        """No connection has this id any more."""
        connection = self._by_id.pop(id_, None)
        if connection is not None:
            self._ids[connection].discard(id_)

    def remove(self, connection: Http3) -> None:
        """The connection is over."""
        for id_ in self._ids.pop(connection, ()):
            self._by_id.pop(id_, None)


class Endpoint:
    """Takes datagrams from `listener`, which it owns, until `close`."""

    def __init__(
        self,
        state: ServerState,
        listener: socket.socket,
        configuration: QuicConfiguration,
        connections: Connections,
    ) -> None:
        self._state = state
        self._listener = listener
        self._configuration = configuration
        self._connections = connections
        self._tokens = QuicRetryTokenHandler()
        self._refused, self._logged = 0, -math.inf
        self._loop = asyncio.get_running_loop()
        listen(listener)
        self._loop.add_reader(listener, self._receive_some)

    def close(self) -> None:
        """Takes no more connections; those there are have sockets of their own. Safe twice."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def _receive_some(self) -> None:
        for _ in range(_AT_ONCE):
            datagram = receive(self._listener)
            if datagram is None:
                return
            self.take(datagram)

    def take(self, datagram: Datagram) -> None:
        """Gives a datagram to its connection, or begins one with it, or drops it."""
        try:
            header = pull_quic_header(
                Buffer(data=datagram.data),
                host_cid_length=self._configuration.connection_id_length,
            )
        except ValueError:
            return
        connection = self._connections.find(header.destination_cid)
        if connection is not None:
            connection.receive(datagram)
        elif self._may_begin(header, datagram):
            self._begin(header, datagram)

    def _may_begin(self, header: QuicHeader, datagram: Datagram) -> bool:
        large = len(datagram.data) >= SMALLEST_MAX_DATAGRAM_SIZE  # RFC 9000 §14.1
        if not large or self._listener.fileno() < 0 or header.version is None:
            return False
        if header.packet_type == QuicPacketType.VERSION_NEGOTIATION:
            return False  # never answered, or two servers would talk for ever
        versions = self._configuration.supported_versions
        if header.version not in versions:
            answer = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=versions,
            )
            self._send(answer, datagram)
            return False
        return header.packet_type == QuicPacketType.INITIAL

    def _begin(self, header: QuicHeader, datagram: Datagram) -> None:
        original, retried = header.destination_cid, None
        if header.token:
            found = self._original_id(header, datagram)
            if found is not None:
                original, retried = found, header.destination_cid
        if retried is None and self._connections.handshakes >= _MANY_HANDSHAKES:
            self._ask_again(header, datagram)
            return
        party = party_of(str(datagram.client[0]))
        if not self._state.admission.admit(party):
            self._note_refusal("the limit of connections is reached")
            return
        try:
            own = connect(self._listener, datagram)
        except OSError as error:
            self._state.admission.dismiss(party)
            self._note_refusal(f"there is no socket for it: {error}")
            return
        link = Link(own, datagram.client, self._send_elsewhere)
        client = str(datagram.client[0]), int(str(datagram.client[1]))
        peer = Peer(client, link.host, tls=True)
        opening = Opening(link, original, retried, self._configuration)
        connection = Http3(self._state, peer, self, self._connections, opening)
        connection.party = party
        self._connections.add(connection, header.destination_cid)
        connection.receive(datagram)

    def _original_id(self, header: QuicHeader, datagram: Datagram) -> bytes | None:
        """What the client called us before it was asked to show itself; None for a bad token."""
        try:
            return self._tokens.validate_token(
                address=datagram.client,
                destination_cid=header.destination_cid,
                token=header.token,
                now=monotonic(),
            )
        except ValueError:
            return None

    def _ask_again(self, header: QuicHeader, datagram: Datagram) -> None:
        assert header.version is not None  # noqa: S101  # an Initial has one
        id_ = os.urandom(8)
        token = self._tokens.create_token(
            address=datagram.client,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=id_,
            now=monotonic(),
        )
        answer = encode_quic_retry(
            version=header.version,
            source_cid=id_,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        self._send(answer, datagram)

    def _send(self, answer: bytes, datagram: Datagram) -> None:
        try:
            self._listener.sendto(answer, datagram.client)
        except OSError:
            pass  # as if it were lost on its way

    def _send_elsewhere(self, data: bytes, client: tuple[object, ...]) -> None:
        """Sends to another address than the connection's socket does: its client is moving."""
        try:
            self._listener.sendto(data, client)
        except OSError:
            pass  # closed, or lost

    def _note_refusal(self, why: str) -> None:
        self._refused += 1
        now = self._loop.time()
        if now - self._logged >= _LOG_EVERY:
            logger.warning("%d connections over QUIC refused: %s", self._refused, why)
            self._refused, self._logged = 0, now

"""Where HTTP/3 begins: TLS as QUIC has it, and an endpoint for each UDP socket."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

from aioquic.quic.configuration import QuicConfiguration

from proxy.errors import StartError
from proxy.server.http3.endpoint import Connections, Endpoint
from proxy.server.http3.quic import CONNECTION_WINDOW, STREAM_WINDOW
from proxy.server.state import ServerState
from proxy.server.tls import TLSFiles

# What aioquic logs, any client can make it log: what of that matters, we log ourselves.
logging.getLogger("quic").setLevel(logging.CRITICAL)

# Seconds without a packet after which a client counts as gone.
_IDLE_TIMEOUT = 30.0


def configure(files: TLSFiles) -> QuicConfiguration:
    """A configuration for aioquic: TLS 1.3 only, as QUIC has no other. Datagrams have the size
    that passes everywhere (RFC 9000 §14), 1,200 bytes: it does not look for a larger one.

    Raises `StartError` in one line when the files can't be used.
    """
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=["h3"],
        congestion_control_algorithm="cubic",
        idle_timeout=_IDLE_TIMEOUT,
        max_data=CONNECTION_WINDOW,
        max_stream_data=STREAM_WINDOW,
    )
    try:
        configuration.load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise StartError(
            f"The TLS certificate {files.certificate} and key {files.key} can't be used"
            f" for HTTP/3: {error}"
        ) from None
    return configuration


def open_endpoints(
    state: ServerState, sockets: Sequence[socket.socket], files: TLSFiles
) -> list[Endpoint]:
    """Takes datagrams from bound sockets; raises `StartError` when the files can't be used."""
    configuration, connections = configure(files), Connections()
    return [Endpoint(state, one, configuration, connections) for one in sockets]

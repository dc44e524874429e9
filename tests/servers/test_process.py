"""Free ports: none twice, and none that an outgoing connection may take meanwhile."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.servers.process import free_ports


def test_free_ports_are_free_different_and_not_for_outgoing_connections() -> None:
    found = [port for count in (1, 10, 300) for port in free_ports(count)]
    assert len(set(found)) == 311
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in found if first <= port <= last]
    assert min(found) >= 10_000
    for port in found[:11]:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port not in free_ports(100)

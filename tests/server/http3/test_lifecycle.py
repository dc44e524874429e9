"""How connections begin and end: limits, drains, reloads, silence."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from proxy.server.http3 import endpoint
from proxy.server.http3.faults import ErrorCode
from proxy.server.serving import Drained, Limits, Serving
from proxy.server.tls import TLSFiles
from tests.server import rig, talk
from tests.server.http3.client import Client, stop_reading, talking
from tests.server.http3.conftest import certificate, plan
from tests.server.toy import ToyApp, slow_body


def bound() -> tuple[socket.socket, int]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", 0))
    return one, one.getsockname()[1]


def serving(directory: Path, limits: Limits | None = None) -> tuple[Serving, int]:
    """An app on a UDP socket, in this process."""
    made = Serving(ToyApp(b""), limits or Limits())
    one, port = bound()
    made.open_http3([one], TLSFiles((), *certificate(directory)))
    return made, port


async def refused(port: int) -> bool:
    """Whether nobody answers who would begin a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.connect(("127.0.0.1", port))
        one.send(_first_datagram())
        try:
            async with asyncio.timeout(1):
                return not await asyncio.get_running_loop().sock_recv(one, 2000)
        except (TimeoutError, ConnectionError):
            return True


async def test_a_drain_lets_responses_end_and_takes_no_more(tmp_path: Path) -> None:
    made, port = serving(tmp_path)
    async with talking(port) as client:
        streams = [client.request("/slow?30,20"), client.request("/slow?10000,20")]
        await client.until(lambda: all(client.answers[one].size for one in streams))
        draining = asyncio.create_task(made.drain(4))
        assert await refused(port)
        await client.over(streams[0])
        assert bytes(client.answers[streams[0]].body) == slow_body(30)
        await client.over(streams[1])
        assert client.answers[streams[1]].reset == ErrorCode.INTERNAL_ERROR
        assert await draining == Drained(finished=1, cut=1)
        assert await client.until_closed() == ErrorCode.NO_ERROR
        assert client.control.count(b"\x07") >= 2  # GOAWAY, at first for the highest stream
        assert made.connections == 0


async def test_requests_behind_the_last_goaway_are_rejected(tmp_path: Path) -> None:
    made, port = serving(tmp_path)
    async with talking(port) as client:
        long = client.request("/slow?200,20")
        await client.until(lambda: client.answers[long].size > 0)
        draining = asyncio.create_task(made.drain(10))
        crossed = await client.get("/x")  # within the last call
        assert crossed.body == b"hello"
        await client.until(lambda: client.control.count(b"\x07") >= 2)
        late = await client.get("/x")
        assert late.reset == ErrorCode.REQUEST_REJECTED
        await client.over(long)
        assert bytes(client.answers[long].body) == slow_body(200)
        assert (await draining).cut == 0


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    made, port = serving(tmp_path, Limits(keep_alive_timeout=0.5))
    async with talking(port) as client:
        assert (await client.get("/slow?100,10")).size == 100 * 8192  # longer than that
        assert await client.until_closed() == ErrorCode.NO_ERROR
    assert made.connections == 0
    await made.drain(0)


async def test_connections_count_with_all_others(tmp_path: Path) -> None:
    made, port = serving(tmp_path, Limits(max_connections_per_address=2))
    async with talking(port) as one, talking(port):
        assert (await one.get("/x")).body == b"hello"
        assert await refused(port)
        assert made.connections == 2
    async with asyncio.timeout(30):
        while made.connections:
            await asyncio.sleep(0.01)
    async with talking(port) as one:
        assert (await one.get("/x")).body == b"hello"
    await made.drain(0)


async def test_with_many_handshakes_clients_show_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_MANY_HANDSHAKES", 0)
    made, port = serving(tmp_path)
    async with talking(port) as client:
        assert client.quic._retry_count == 1
        assert (await client.get("/x")).body == b"hello"
    await made.drain(0)


async def test_a_handshake_that_stops_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.http3.protocol._HANDSHAKE_TIMEOUT", 0.5)
    made, port = serving(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(_first_datagram(), ("127.0.0.1", port))
        async with asyncio.timeout(30):
            while not made.connections:
                await asyncio.sleep(0.01)
            while made.connections:
                await asyncio.sleep(0.01)
    assert (await made.drain(0)).cut == 0


def _first_datagram() -> bytes:
    """What a client begins with."""
    configuration = QuicConfiguration(alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    connection = QuicConnection(configuration=configuration)
    connection.connect(("127.0.0.1", 1), now=0.0)
    return connection.datagrams_to_send(now=0.0)[0][0]


async def test_a_head_that_does_not_come_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.http3.protocol._HEAD_TIMEOUT", 1.0)
    made, port = serving(tmp_path, Limits(keep_alive_timeout=60))
    async with talking(port) as client:
        stream = client.raw_stream(b"\x01\x20half")
        await client.over(stream)
        assert client.answers[stream].reset == ErrorCode.REQUEST_CANCELLED
        assert (await client.get("/x")).body == b"hello"
    await made.drain(0)


async def test_what_is_not_taken_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.http3.protocol._STALL_TIMEOUT", 1.0)
    made, port = serving(tmp_path)
    async with talking(port, window=1000) as client:
        stop_reading(client)
        stream = client.request("/trickle?1000000")
        await client.until_closed()
        assert 900 < client.answers[stream].size <= 1000
    await made.drain(0)


async def test_a_client_that_moves_is_followed(tmp_path: Path) -> None:
    made, port = serving(tmp_path)
    async with talking(port) as client:
        stream = client.request("/slow?60,20")
        await client.until(lambda: client.answers[stream].size > 0)
        elsewhere = await _move(client)
        await client.over(stream)
        assert bytes(client.answers[stream].body) == slow_body(60)
        assert (await client.get("/x")).body == b"hello"
        elsewhere.close()
    await made.drain(0)


async def _move(client: Client) -> asyncio.DatagramTransport:
    """Goes on from another port."""
    before = client._transport
    assert before is not None
    to = client.quic.get_peer_address()

    class Elsewhere(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            client.datagram_received(data, to)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Elsewhere, family=socket.AF_INET6)
    client._transport = transport
    client.change_connection_id()
    client.quic.send_ping(5)
    client.transmit()
    return transport


async def test_workers_replaced_under_load_lose_nothing(tmp_path: Path) -> None:
    async with rig.running(tmp_path, workers=2, **plan(tmp_path)) as toy:
        async with talking(toy.tls_port) as client:
            stream = client.request("/slow?100,20")
            await client.until(lambda: client.answers[stream].size > 0)
            before = (await client.get("/pid")).body
            toy.signal(signal.SIGHUP)
            await toy.said_in_log("the new configuration is in effect")
            await client.over(stream)
            assert bytes(client.answers[stream].body) == slow_body(100)
        for _ in range(4):
            async with talking(toy.tls_port) as client:
                assert (await client.get("/pid")).body != before
        toy.signal(signal.SIGTERM)
        assert await toy.ended() == 0
        assert ", 0 cut" in toy.log


async def test_it_is_switched_on_and_off_by_a_reload(tmp_path: Path) -> None:
    made = plan(tmp_path)
    async with rig.running(tmp_path, tls=made["tls"]) as toy:
        assert await refused(toy.tls_port)
        for times, on in ((1, True), (2, False), (3, True)):
            toy.write(**{**made, "http3": on})
            toy.signal(signal.SIGHUP)
            await toy.said_in_log("the new configuration is in effect", times)
            await toy.said_in_log("replaced: ", times)  # nothing holds the port any more
            async with asyncio.timeout(60):
                while await refused(toy.tls_port) == on:
                    await asyncio.sleep(0.1)


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        toy = await rig.start(
            tmp_path, **{**plan(tmp_path), "tls": [address, *certificate(tmp_path)]}
        )
        assert await toy.ended() == 1
        assert toy.log.splitlines()[-1] == (
            f"Can't listen on {address} for HTTP/3 (UDP): it is in use by another program;"
            " stop that one or choose another address"
        )


async def test_any_address_answers_from_the_one_it_was_asked_at(tmp_path: Path) -> None:
    made = plan(tmp_path)
    files = made["tls"]
    assert isinstance(files, list)
    for address, host in (("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")):
        async with rig.running(tmp_path, tls=[address, *files[1:]], http3=True) as toy:
            async with talking(toy.tls_port, host=host) as client:
                assert (await client.get("/x")).body == b"hello"
            assert await talk.get(toy.port, "/x") == b"hello"

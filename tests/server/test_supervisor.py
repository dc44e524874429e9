"""The supervisor and its workers as real processes: start, stop, reload, crash, and faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trustme

from tests.server import rig, talk
from tests.server.toy import slow_body


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, directory: Path, name: str = "one") -> list[str]:
    """Writes a certificate for localhost: its path and its key's."""
    directory.mkdir(exist_ok=True)
    made = authority.issue_cert("localhost", common_name=name)
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    made.cert_chain_pems[0].write_to_path(paths[0])
    made.private_key_pem.write_to_path(paths[1])
    return [str(one) for one in paths]


def client_context(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(list(protocols))
    return context


async def refuses(port: int) -> bool:
    try:
        async with talk.connected(port):
            return False
    except ConnectionRefusedError:
        return True


async def until_refused(port: int) -> None:
    async with asyncio.timeout(30):
        while not await refuses(port):
            await asyncio.sleep(0.01)


# --- starting ---------------------------------------------------------------------------------


async def failing(tmp_path: Path, **plan: object) -> str:
    """Starts with a plan that can't work: the one line it says."""
    toy = await rig.start(tmp_path, **plan)
    assert not toy.said
    assert toy.process.returncode == 1
    assert "Traceback" not in toy.log
    (line,) = toy.log.strip().splitlines()
    return line


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = await failing(tmp_path, bind=[address])
    assert line.startswith(f"Can't listen on {address}: it is in use")


async def test_a_port_of_another_such_server_is_in_use_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    async with rig.running(tmp_path / "a") as toy:
        line = await failing(tmp_path, bind=[f"127.0.0.1:{toy.port}"])
    assert "it is in use" in line


async def test_an_app_that_cant_start_is_one_clear_line(tmp_path: Path) -> None:
    assert await failing(tmp_path, greeting="unstartable", workers=2) == "The toy can't start."


async def test_a_worker_that_dies_at_once_is_one_clear_line(tmp_path: Path) -> None:
    line = await failing(tmp_path, greeting="crash")
    assert line.startswith("A worker ended with status 3 before it was ready")


async def test_a_missing_certificate_is_one_clear_line(tmp_path: Path) -> None:
    line = await failing(tmp_path, tls=["127.0.0.1:0", "/nowhere.crt", "/nowhere.key"])
    assert line == "The TLS certificate /nowhere.crt can't be read: no such file or directory"


async def test_unix_socket_whose_last_server_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    async with rig.running(tmp_path, bind=[f"unix:{path}"], workers=2) as toy:
        assert toy.said["clear"] == [f"unix:{path}"]
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        writer.close()
        (tmp_path / "b").mkdir()
        assert "it is in use" in await failing(tmp_path / "b", bind=[f"unix:{path}"])
    assert not path.exists()


async def test_tls_speaks_both_protocols(tmp_path: Path, authority: trustme.CA) -> None:
    files = certificate(authority, tmp_path)
    async with rig.running(tmp_path, tls=["127.0.0.1:0", *files]) as toy:
        port = toy.tls_port
        async with talk.http2(port, client_context(authority, "h2")) as client:
            tls = client.writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "h2"
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}
            stream = client.request("/slow?30,1")
            await client.over(stream)
            assert client.answers[stream].body == slow_body(30)
        async with talk.connected(port, client_context(authority, "http/1.1")) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"hello")


# --- stopping ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def downloads(port: int, path: str, count: int) -> AsyncGenerator[list[asyncio.Task[bytes]]]:
    """So many downloads, each of which has begun."""
    tasks = await talk.begun(port, path, count=count)
    yield tasks
    await asyncio.gather(*tasks, return_exceptions=True)


async def begun(client: talk.H2, path: str) -> int:
    """One more over HTTP/2, its stream."""
    stream = client.request(path)
    async with asyncio.timeout(30):
        while not client.answers[stream].body:
            await client.read_some()
    return stream


async def test_downloads_end_whole_before_it_stops(tmp_path: Path) -> None:
    async with rig.running(tmp_path, workers=2, admin_bind="127.0.0.1:0") as toy:
        assert b'"ready":true' in await talk.get(toy.admin_port, "/readyz")
        async with downloads(toy.port, "/slow?120,25", 20) as tasks, talk.http2(toy.port) as client:
            stream = await begun(client, "/slow?120,25")
            toy.signal(signal.SIGTERM)
            await until_refused(toy.port)
            request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            state = await talk.http1(toy.admin_port, request)
            assert state.startswith(b"HTTP/1.1 503")
            assert b'"draining":true' in state
            await client.over(stream)
            assert client.answers[stream].body == slow_body(120)
            assert set(await asyncio.gather(*tasks)) == {slow_body(120)}
        assert await toy.ended() == 0
        assert "stopped: 21 responses finished while draining, 0 cut" in toy.log


async def test_what_takes_too_long_is_cut_and_counted(tmp_path: Path) -> None:
    async with rig.running(tmp_path, graceful_timeout=0.5) as toy:
        async with downloads(toy.port, "/slow?1000,25", 3) as tasks, talk.http2(toy.port) as client:
            stream = await begun(client, "/slow?1000,25")
            toy.signal(signal.SIGTERM)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, AssertionError) for one in ends)
            await client.over(stream)
            assert not client.answers[stream].ended
        assert await toy.ended() == 0
        assert "stopped: 0 responses finished while draining, 4 cut" in toy.log


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    async with rig.running(tmp_path) as toy, downloads(toy.port, "/slow?1000,25", 1):
        toy.signal(signal.SIGINT)
        await until_refused(toy.port)
        toy.signal(signal.SIGINT)
        assert await toy.ended(15) == 0
        assert "1 cut" in toy.log


async def test_signals_in_its_last_moments_change_nothing(tmp_path: Path) -> None:
    async with rig.running(tmp_path) as toy:
        ended = asyncio.create_task(toy.ended())
        while not ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(toy.process.pid, signal.SIGTERM)  # its own way would take the exit code
            await asyncio.sleep(0.001)
        assert await ended == 0


async def test_idle_connections_do_not_hold_it_up(tmp_path: Path) -> None:
    async with rig.running(tmp_path, keep_alive_timeout=60) as toy:
        async with talk.connected(toy.port) as (reader, writer), talk.http2(toy.port) as client:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"hello")
            stream = client.request("/x")
            await client.over(stream)
            toy.signal(signal.SIGTERM)
            await client.until_closed()
            assert client.goaways[-1] == 0
            assert await reader.read() == b""
        assert await toy.ended(20) == 0


async def test_a_request_that_crosses_the_drain_is_answered(tmp_path: Path) -> None:
    """On a connection just used, whose client could not know that it would be closed."""
    async with rig.running(tmp_path) as toy, talk.connected(toy.port) as (reader, writer):
        writer.write(b"GET /slow?20,25 HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" not in head
        toy.signal(signal.SIGTERM)
        await reader.readexactly(20 * 8192)
        await asyncio.sleep(0.2)  # the server has long seen that the connection is idle
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"hello")
        assert b"connection: close" in answer


async def test_a_handshake_that_crosses_the_drain_is_served(
    tmp_path: Path, authority: trustme.CA
) -> None:
    files = certificate(authority, tmp_path)
    async with rig.running(tmp_path, tls=["127.0.0.1:0", *files]) as toy:
        with socket.create_connection(("127.0.0.1", toy.tls_port)) as early:
            await asyncio.sleep(0.2)  # it is accepted
            toy.signal(signal.SIGTERM)
            await until_refused(toy.tls_port)
            early.setblocking(False)
            tls = client_context(authority, "http/1.1")
            reader, writer = await asyncio.open_connection(
                sock=early, ssl=tls, server_hostname="localhost"
            )
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.read()).endswith(b"hello")
            writer.close()


async def test_workers_leave_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    async with rig.running(tmp_path, workers=2) as toy:
        async with downloads(toy.port, "/slow?40,25", 4) as tasks:
            toy.signal(signal.SIGKILL)
            assert set(await asyncio.gather(*tasks)) == {slow_body(40)}
        await until_refused(toy.port)
        async with asyncio.timeout(30):
            for pid in toy.said["workers"]:
                while _alive(pid):
                    await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether it runs: a process that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- a worker dies ----------------------------------------------------------------------------


async def test_a_killed_worker_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    async with rig.running(tmp_path, workers=2) as toy:
        first, second = toy.said["workers"]
        pids = {int(await talk.get(toy.port, "/pid")) for _ in range(40)}
        assert pids == {first, second}
        async with talk.connected(toy.port) as (reader, writer):
            writer.write(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            served_by = int(await reader.readexactly(int(head.split(b"length: ")[1].split()[0])))
            writer.write(b"GET /slow?60,25 HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            os.kill(first if served_by == second else second, signal.SIGKILL)
            # what the kernel gave the dead one's socket waits there for its successor
            answers = [talk.get(toy.port, "/x") for _ in range(40)]
            assert set(await asyncio.gather(*answers)) == {b"hello"}
            assert await reader.readexactly(60 * 8192) == slow_body(60)
        assert "was ended by SIGKILL; starting another in 0.1 s" in toy.log
        assert toy.process.returncode is None


async def test_a_worker_told_to_leave_is_replaced_without_a_gap(tmp_path: Path) -> None:
    async with rig.running(tmp_path) as toy:
        (pid,) = toy.said["workers"]
        async with downloads(toy.port, "/slow?60,25", 2) as tasks:
            os.kill(pid, signal.SIGTERM)
            while int(await talk.get(toy.port, "/pid")) == pid:
                pass
            assert set(await asyncio.gather(*tasks)) == {slow_body(60)}


# --- reloading --------------------------------------------------------------------------------


async def hammer(port: int, tls: ssl.SSLContext | None, stop: asyncio.Event) -> set[bytes]:
    """New connections one after the other: what they were answered. Raises if one fails."""
    said = set()
    while not stop.is_set():
        async with talk.connected(port, tls) as (reader, writer):
            writer.write(b"GET /greeting HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200"), answer
            said.add(answer.rpartition(b"\r\n")[2])
    return said


async def hammer_kept(port: int, stop: asyncio.Event) -> int:
    """Requests on connections that are kept until the server says close, or says goodbye."""
    count = 0
    while not stop.is_set():
        async with talk.connected(port) as (reader, writer):
            head = b""
            while b"connection: close" not in head and not stop.is_set():
                writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(5) == b"hello"
                count += 1
    return count


async def test_a_reload_takes_effect_and_loses_nothing(
    tmp_path: Path, authority: trustme.CA
) -> None:
    files = certificate(authority, tmp_path)
    plan = {"bind": ["127.0.0.1:0"], "tls": ["127.0.0.1:0", *files]}
    async with rig.running(tmp_path, workers=2, greeting="old", **plan) as toy:
        stop, tls = asyncio.Event(), client_context(authority, "http/1.1")
        hammers = [asyncio.create_task(hammer(toy.port, None, stop)) for _ in range(4)]
        hammers += [asyncio.create_task(hammer(toy.tls_port, tls, stop)) for _ in range(2)]
        kept = [asyncio.create_task(hammer_kept(toy.port, stop)) for _ in range(2)]
        async with downloads(toy.port, "/slow?150,25", 10) as tasks:
            for turn, count in enumerate([3, 1, 2], start=1):
                toy.write(workers=count, greeting=f"new {turn}", **plan)
                toy.signal(signal.SIGHUP)
                await toy.said_in_log("the new configuration is in effect", turn)
            assert set(await asyncio.gather(*tasks)) == {slow_body(150)}
        async with asyncio.timeout(30):
            while await talk.get(toy.port, "/greeting") != b"new 3":
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        stop.set()
        said = set[bytes]().union(*await asyncio.gather(*hammers))
        assert {b"old", b"new 3"} <= said <= {b"old", b"new 1", b"new 2", b"new 3"}
        assert all(await asyncio.gather(*kept))
        assert await talk.get(toy.port, "/greeting") == b"new 3"


async def test_an_invalid_configuration_is_refused(tmp_path: Path) -> None:
    async with rig.running(tmp_path, greeting="old") as toy:
        pid = await talk.get(toy.port, "/pid")
        toy.config.write_text("{")
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("the new configuration is refused")
        assert "not JSON" in toy.log
        for number, bad in enumerate(["unstartable", "crash"], start=2):
            toy.write(greeting=bad)
            toy.signal(signal.SIGHUP)
            await toy.said_in_log("the new configuration is refused", number)
        assert "The toy can't start." in toy.log
        assert await talk.get(toy.port, "/greeting") == b"old"
        assert await talk.get(toy.port, "/pid") == pid


async def test_addresses_come_and_go_with_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with rig.running(tmp_path, bind=["127.0.0.1:0", f"unix:{path}"]) as toy:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            new = f"127.0.0.1:{taken.getsockname()[1]}"
            toy.write(bind=["127.0.0.1:0", new])
            toy.signal(signal.SIGHUP)
            await toy.said_in_log(f"refused, the old one stays: Can't listen on {new}")
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("the new configuration is in effect")
        assert await talk.get(toy.port, "/x") == b"hello"
        assert await talk.get(int(new.rpartition(":")[2]), "/x") == b"hello"
        assert not path.exists()


async def test_a_new_certificate_takes_effect_with_a_reload(
    tmp_path: Path, authority: trustme.CA
) -> None:
    async def presented(port: int) -> str:
        async with talk.connected(port, client_context(authority, "http/1.1")) as (_, writer):
            subject = writer.get_extra_info("ssl_object").getpeercert()["subject"]
            return str(dict(one for part in subject for one in part)["commonName"])

    old, new = certificate(authority, tmp_path), certificate(authority, tmp_path, "two")
    async with rig.running(tmp_path, tls=["127.0.0.1:0", *old]) as toy:
        assert await presented(toy.tls_port) == "one"
        toy.write(tls=["127.0.0.1:0", old[0], new[1]])
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("does not belong to the certificate")
        toy.write(tls=["127.0.0.1:0", *new])
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("the new configuration is in effect")
        assert await presented(toy.tls_port) == "two"


async def test_the_operators_door_moves_with_a_reload(tmp_path: Path) -> None:
    async with rig.running(tmp_path, admin_bind="127.0.0.1:0") as toy:
        assert await talk.get(toy.admin_port, "/healthz") == b"ok\n"
        toy.write(admin_bind=f"unix:{tmp_path / 'a'}")
        toy.signal(signal.SIGHUP)
        await toy.said_in_log("the new configuration is in effect")
        await until_refused(toy.admin_port)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "a"))
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_an_address_with_two_uses_is_one_clear_line(tmp_path: Path) -> None:
    line = await failing(tmp_path, bind=["127.0.0.1:1"], admin_bind="127.0.0.1:1")
    assert line == "127.0.0.1:1 is given twice; each address can have one use"

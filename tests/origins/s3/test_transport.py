"""The way to the store: what can't be reached, what is reused, and what is tried twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from proxy.errors import (
    OriginFault,
    OriginTimeout,
    OriginUnreachable,
    StartError,
)
from proxy.origins.base import NO_BODY, WHOLE, Want
from proxy.origins.carried import carrying
from proxy.origins.s3.signing import Signer
from proxy.origins.s3.transport import Limits, Transport
from tests.origins.s3.fault_origin import (
    CLOSE,
    HANG,
    RESET,
    FaultOrigin,
    Request,
    Step,
    fault_origin,
    good,
    s3_origin,
)

LIMITS = Limits(connect=2, first_byte=2, stall=2, slot=2, connections=4)


@asynccontextmanager
async def transport(base: str, limits: Limits = LIMITS) -> AsyncIterator[Transport]:
    made = Transport(base, Signer("us-east-1"), limits)
    try:
        yield made
    finally:
        await made.aclose()


@pytest.mark.parametrize(
    ("base", "text"),
    [
        ("http://127.0.0.1:1/media/", "Connection refused"),
        ("http://no-such-host.invalid/media/", "can't be resolved"),
    ],
)
async def test_nobody_there(base: str, text: str) -> None:
    async with transport(base) as asking:
        with pytest.raises(OriginUnreachable, match=text):
            await asking.ask("GET", "k", {}, None)


async def test_no_answer_in_time() -> None:
    limits = Limits(connect=0.1, first_byte=0.1, stall=2, slot=2, connections=1)
    async with (
        fault_origin(lambda _: [HANG]) as store,
        transport(f"{store.endpoint}/media/", limits) as asking,
    ):
        for _ in range(2):
            with pytest.raises(OriginTimeout):
                await asking.ask("GET", "k", {}, None)


async def test_no_connection_in_time() -> None:
    # A listener that accepts nothing, its backlog full: a new connection hangs.
    limits = Limits(connect=0.2, first_byte=30, stall=2, slot=2, connections=1)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, backlog=1)
    port = server.sockets[0].getsockname()[1]
    asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
    held = []
    try:
        for _ in range(8):
            opening = asyncio.open_connection("127.0.0.1", port)
            try:
                held.append(await asyncio.wait_for(opening, 0.2))
            except TimeoutError:
                break
        async with transport(f"http://127.0.0.1:{port}/media/", limits) as asking:
            with pytest.raises(OriginTimeout, match="no connection"):
                await asking.ask("GET", "k", {}, None)
    finally:
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        server.close()


@pytest.mark.parametrize("ending", [RESET, CLOSE])
@pytest.mark.parametrize("want", [WHOLE, NO_BODY])
async def test_a_dead_idle_connection_is_replaced_once(ending: Step, want: Want) -> None:
    """Also when every other idle connection is as dead (a store that was restarted)."""
    seen: set[int] = set()

    def respond(request: Request) -> list[Step]:
        if request.connection in seen:
            return [ending]
        seen.add(request.connection)
        return [good(request)]

    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        opened = await asyncio.gather(*(origin.open("a", want) for _ in range(5)))
        for one in opened:
            await one.aclose()
        before = len(store.requests)
        await (await origin.open("a", want)).aclose()
        assert len(store.requests) == before + 2


@pytest.mark.parametrize("ending", [RESET, CLOSE])
async def test_a_new_connection_that_breaks_is_not_replaced(ending: Step) -> None:
    async with (
        fault_origin(lambda _: [ending]) as store,
        transport(f"{store.endpoint}/media/") as asking,
    ):
        with pytest.raises(OriginUnreachable):
            await asking.ask("GET", "k", {}, None)
        assert len(store.requests) == 1


async def test_a_second_break_in_a_row_is_told() -> None:
    def respond(request: Request) -> list[Step]:
        return [good(request)] if len(store.requests) == 1 else [RESET]

    async with fault_origin(respond) as store, s3_origin(store.endpoint) as origin:
        await (await origin.open("a")).aclose()
        with pytest.raises(OriginUnreachable):
            await origin.open("a")
        assert len(store.requests) == 3


@asynccontextmanager
async def tls_origin(authority: trustme.CA, *names: str) -> AsyncIterator[FaultOrigin]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    store = FaultOrigin()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0, ssl=context)
    store.port = server.sockets[0].getsockname()[1]
    try:
        yield store
    finally:
        server.close()
        while store.open_connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("names", "trusted", "text"),
    [
        (["127.0.0.1"], True, None),
        (["127.0.0.1"], False, "certificate verify failed"),
        (["other.example"], True, "IP address mismatch"),
    ],
)
async def test_certificates_are_always_verified(
    names: list[str], trusted: bool, text: str | None, tmp_path: Path
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    bundle = tmp_path / "ca.pem"
    (authority if trusted else other).cert_pem.write_to_path(str(bundle))
    async with tls_origin(authority, *names) as store:
        endpoint = f"https://127.0.0.1:{store.port}"
        if text is None:
            async with s3_origin(endpoint, ca_bundle=str(bundle)) as origin:
                await (await origin.open("a")).aclose()
        else:
            with pytest.raises(StartError, match=text):
                async with s3_origin(endpoint, ca_bundle=str(bundle)):
                    pass


async def test_an_answer_that_trickles_is_not_read_for_ever() -> None:
    limits = Limits(connect=2, first_byte=2, stall=0.2, slot=2, connections=1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/media/"
    async with transport(base, limits) as asking:
        answered = await asking.ask("GET", "k", {}, None)
        with pytest.raises(OriginTimeout):
            await answered.read_up_to(100_000)
        answered.close()
    server.close()


async def test_what_is_no_http() -> None:
    async with (
        fault_origin(lambda _: [b"220 smtp ready\r\n\r\n"]) as store,
        transport(f"{store.endpoint}/media/") as asking,
    ):
        with pytest.raises(OriginFault):
            await asking.ask("GET", "k", {}, None)


async def test_what_is_carried_goes_along_unsigned() -> None:
    fields = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with fault_origin() as store, s3_origin(store.endpoint) as origin:
        with carrying(fields):
            opened = await origin.open("a")
        await opened.aclose()
        opened = await origin.open("a")
        await opened.aclose()
    first, second = store.requests
    assert first.headers["traceparent"] == fields["traceparent"]
    assert "traceparent" not in first.headers["authorization"]
    assert "traceparent" not in second.headers

"""What a connection owes the others on its loop. The protocols' tests show the rest."""

from __future__ import annotations

import asyncio
from typing import cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import RawData
from hypercorn.typing import ASGIFramework

from proxy.server.bridge import make_config
from proxy.server.connection import Connection
from proxy.server.exchange import Tally
from proxy.server.state import Limits
from tests.server import talk
from tests.server.toy import ToyApp


async def test_a_connection_that_never_has_to_wait_leaves_others_their_turn() -> None:
    turns = asyncio.get_running_loop().create_future()

    async def send_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=1 << 40)  # as if the client were that fast
        config = make_config(Limits())
        app = ASGIWrapper(cast("ASGIFramework", ToyApp(b"")))
        connection = Connection(app, config, WorkerContext(None), Tally(), reader, writer)
        count = 0

        async def tick() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        for _ in range(128):
            await connection.protocol_send(RawData(bytes(1 << 16)))
        ticking.cancel()
        turns.set_result(count)
        connection.abort()

    server = await asyncio.start_server(send_much, "127.0.0.1", 0)
    async with talk.connected(server.sockets[0].getsockname()[1]):
        assert 4 <= await turns <= 64
    server.close()

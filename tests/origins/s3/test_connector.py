"""Which connections to the store are used again, and which are left to age."""

from __future__ import annotations

import asyncio

from proxy.origins.s3.transport import Transport
from tests.origins.s3.fault_origin import fault_origin
from tests.origins.s3.test_transport import transport

MIB = 1024 * 1024


async def burst(asking: Transport, count: int) -> None:
    """So many requests at once, each answered to its end."""
    for answer in await asyncio.gather(*(asking.ask("GET", "k", {}, None) for _ in range(count))):
        await answer.read_up_to(MIB)
        answer.close()


async def test_what_a_burst_has_left_is_not_kept_alive_by_a_few_requests() -> None:
    """Each would else take another connection, and none would ever be idle for long enough."""
    async with fault_origin() as store, transport(f"{store.endpoint}/media/") as asking:
        await burst(asking, 4)
        assert store.connections == 4
        for _ in range(6):
            await burst(asking, 1)
        assert len({one.connection for one in store.requests[4:]}) == 1
        assert store.connections == 4


async def test_all_of_them_are_there_for_the_next_burst() -> None:
    async with fault_origin() as store, transport(f"{store.endpoint}/media/") as asking:
        for _ in range(3):
            await burst(asking, 3)
        assert store.connections == 3

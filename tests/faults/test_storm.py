"""A store that refuses everything for a while gets hardly more requests than clients make."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from proxy.origins.retrying import MOST_TOKENS, TOKENS_PER_SECOND
from tests.faults.acts import Act
from tests.faults.control import Faults
from tests.faults.drawing import slow_down
from tests.faults.objects import Thing, put_thing
from tests.faults.servers import headgate

pytestmark = pytest.mark.servers

THING = Thing("storm/a", 0, 5000, "crc64nvme")
REQUESTS = 1000
USERS = 20


async def ask(url: str, requests: int) -> list[int]:
    """The statuses of so many requests, some at a time."""
    numbers, statuses = iter(range(requests)), []

    async def user() -> None:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            for _ in numbers:
                answer = await client.get(f"/{THING.key}")
                statuses.append(answer.status_code)
                assert answer.status_code != 200 or answer.content == THING.body

    await asyncio.gather(*(user() for _ in range(USERS)))
    return statuses


async def test_a_brown_out_is_no_storm(faults: Faults) -> None:
    """A thousand requests that go well earn a hundred retries, of which half are saved up."""
    put_thing(faults.store.uploads, faults.store.bucket, THING)
    with headgate(faults) as program:
        assert await ask(program.url, 100) == [200] * 100
        faults.take(THING.key)

        faults.plan(THING.key, rest=Act(canned=slow_down()))
        begun = time.monotonic()
        assert await ask(program.url, REQUESTS) == [503] * REQUESTS
        seconds = time.monotonic() - begun
        asked = faults.take(THING.key)["requests"]
        extra = MOST_TOKENS + TOKENS_PER_SECOND * (seconds + 1)
        assert REQUESTS < asked <= REQUESTS + extra
        assert seconds > 6 or asked <= 1.1 * REQUESTS

        # What failed is gone with its cause: the next ones are right, every one at first ask.
        assert await ask(program.url, 100) == [200] * 100
        assert faults.take(THING.key)["requests"] == 100

"""What comes from a store: in small pieces for whoever is slow, and little of it is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, closing

import pytest
import uvloop

from proxy.origins.base import Want
from proxy.origins.s3.receiving import LARGE, READ_BUFFER, SMALL, Handler
from proxy.origins.s3.signing import Signer
from proxy.origins.s3.transport import Answer, Limits, Transport
from proxy.semantics.representation import Span
from tests.origins.s3.fault_origin import fault_origin, good, s3_origin

MIB = 1024 * 1024
BODY = bytes(range(256)) * (16 * MIB // 256)
# One piece, behind what may be unread when it is asked for.
MOST_SMALL = SMALL + 2 * READ_BUFFER
LIMITS = Limits(connect=5, first_byte=5, stall=5, slot=5, connections=1)


def on_both_loops(
    test: Callable[[], Coroutine[None, None, None]],
) -> Callable[[Callable[[], asyncio.AbstractEventLoop]], None]:
    """The test on asyncio's loop and on that which serves: they treat buffers differently."""

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


@asynccontextmanager
async def asking() -> AsyncIterator[Transport]:
    async with fault_origin(lambda one: [good(one, body=BODY)]) as store:
        made = Transport(f"{store.endpoint}/media/", Signer("us-east-1"), LIMITS)
        try:
            yield made
        finally:
            await made.aclose()


async def all_of(answer: Answer, size: int) -> list[bytes]:
    """Its pieces, until so much has come, taken as soon as they come."""
    pieces, had = [], 0
    while had < size:
        pieces.append(await answer.read())
        had += len(pieces[-1])
    return pieces


async def handler_of(answer: Answer) -> Handler:
    """That of its connection, after what is underway has come."""
    await asyncio.sleep(0.05)
    connection = answer._response.connection
    assert connection is not None
    assert isinstance(connection.protocol, Handler)
    return connection.protocol


@on_both_loops
async def test_small_pieces_until_the_reader_was_quick() -> None:
    async with asking() as store:
        with closing(await store.ask("GET", "k", {}, None)) as answer:
            first = await all_of(answer, MIB // 2)
            assert max(map(len, first)) <= MOST_SMALL
            rest = await all_of(answer, len(BODY) - sum(map(len, first)))
    assert b"".join(first + rest) == BODY
    assert max(map(len, rest)) > MOST_SMALL


@on_both_loops
async def test_who_stops_has_little_read_for_it() -> None:
    async with asking() as store:
        with closing(await store.ask("GET", "k", {}, None)) as answer:
            assert len(await answer.read()) <= MOST_SMALL
            handler = await handler_of(answer)
            assert handler._payload is not None
            assert handler._payload._size == 0


@on_both_loops
async def test_who_was_quick_and_becomes_slow_has_small_pieces_again() -> None:
    async with asking() as store:
        with closing(await store.ask("GET", "k", {}, None)) as answer:
            await all_of(answer, 4 * MIB)
            assert (await handler_of(answer)).room == LARGE
            for _ in range(2):  # the one that has come meanwhile, and that after it
                await answer.read()
                await asyncio.sleep(0.1)
            assert (await handler_of(answer)).room == SMALL
            assert len(await answer.read()) <= MOST_SMALL


@on_both_loops
async def test_the_next_answer_on_a_connection_begins_small() -> None:
    async with asking() as store:
        with closing(await store.ask("GET", "k", {}, None)) as answer:
            assert b"".join(await all_of(answer, len(BODY))) == BODY
        with closing(await store.ask("GET", "k", {}, None)) as answer:
            assert len(await answer.read()) <= MOST_SMALL
            assert (await handler_of(answer)).room == SMALL


@on_both_loops
async def test_what_is_taken_at_once_comes_in_large_pieces() -> None:
    async with (
        fault_origin(lambda one: [good(one, body=BODY)]) as store,
        s3_origin(store.endpoint) as origin,
    ):
        opened = await origin.open("k", Want(at_once=True))
        try:
            async with aclosing(opened.read(Span(0, len(BODY)))) as pieces:
                sizes, began = [], time.monotonic()
                async for piece in pieces:
                    sizes.append(len(piece))
                    if sum(sizes) > MIB // 2 or time.monotonic() - began > 10:
                        break
        finally:
            await opened.aclose()
    assert max(sizes) > MOST_SMALL

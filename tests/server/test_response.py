"""Sending a plan: what a client that leaves or stalls, and an origin that lies, lead to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

import pytest
from starlette.types import Message, Receive, Scope, Send

from proxy.errors import ClientGone, Fault, OriginBroke
from proxy.origins.lending import Piece, Stretch
from proxy.semantics.fields import Field
from proxy.semantics.plan import Plan
from proxy.semantics.representation import Representation, Span
from proxy.server.patience import Progress
from proxy.server.response import BYTES_PER_TURN, Extra, send_plan
from proxy.server.zero_copy import FEWEST_LENT, LENT, TAKEN, taken_since, takes_files
from tests.server.asgi import Client

KIB = 1024


class Bytes:
    """An object of zeros that gives buffers as it is told, and knows what became of its reads."""

    representation = Representation(0)

    def __init__(self, *buffers: int, wait: bool = False) -> None:
        self.buffers, self.wait = buffers, wait
        self.given, self.ended = 0, False

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        try:
            for length in self.buffers:
                if self.wait:
                    await asyncio.sleep(0)
                self.given += 1
                yield bytes(length)
            if self.wait:
                await asyncio.Event().wait()
        finally:
            self.ended = True

    async def aclose(self) -> None: ...


def plan_of(length: int) -> Plan:
    return Plan(200, ((b"content-length", b"%d" % length),), (Span(0, length),))


class Exchange:
    """A plan, sent to a client in this process."""

    def __init__(
        self, plan: Plan, opened: Bytes, stall_timeout: float = 5, extra: Extra = ()
    ) -> None:
        self.plan, self.opened, self.stall_timeout = plan, opened, stall_timeout
        self.extra = extra
        self.progress = Progress()
        self.client = Client(self._app)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel = (receive, send)
        await send_plan(
            self.plan, self.opened, self.extra, channel, self.progress, self.stall_timeout
        )

    async def run(self) -> None:
        await self.client.get("/")


async def test_a_body_in_pieces() -> None:
    parts = (b"--a", Span(0, 5), b"--b", Span(7, 12), b"--")
    plan = Plan(206, ((b"content-length", b"18"),), parts)
    exchange = Exchange(plan, Bytes(2, 3))
    await exchange.run()
    assert exchange.client.reply.body == b"--a" + bytes(5) + b"--b" + bytes(5) + b"--"
    assert exchange.client.reply.complete
    assert exchange.progress == replace(exchange.progress, status=206, sent=18, complete=True)


async def test_the_last_buffer_ends_the_message() -> None:
    """No empty message after it: one write less for every response."""
    seen: list[tuple[int, bool]] = []
    exchange = Exchange(plan_of(5), Bytes(2, 3))

    async def note(message: Message) -> None:
        if message["type"] == "http.response.body":
            seen.append((len(message["body"]), message["more_body"]))

    exchange.client.on_send = note
    await exchange.run()
    assert seen == [(2, True), (3, False)]


async def test_fields_may_be_made_when_the_head_is_sent() -> None:
    """Then they can tell what was done before it."""
    opened, asked = Bytes(2, 3), list[int]()

    def extra() -> tuple[Field, ...]:
        asked.append(opened.given)
        return ((b"x-given", b"%d" % opened.given),)

    exchange = Exchange(plan_of(5), opened, extra=extra)
    await exchange.run()
    assert asked == [1]
    assert exchange.client.reply["x-given"] == "1"


@pytest.mark.parametrize("buffers", [(4,), (2, 2), ()])
async def test_a_short_body_is_never_ended(buffers: tuple[int, ...]) -> None:
    exchange = Exchange(plan_of(5), Bytes(*buffers))
    with pytest.raises(OriginBroke):
        await exchange.run()
    assert not exchange.client.reply.complete
    assert exchange.progress.started is bool(buffers)


@pytest.mark.parametrize("buffers", [(6,), (2, 3, 1)])
async def test_a_long_body_is_never_passed_on(buffers: tuple[int, ...]) -> None:
    exchange = Exchange(plan_of(5), Bytes(*buffers))
    with pytest.raises(OriginBroke):
        await exchange.run()
    assert len(exchange.client.reply.body) <= 5


async def test_a_client_that_leaves_stops_a_read_that_waits() -> None:
    opened = Bytes(10, wait=True)
    exchange = Exchange(plan_of(1000), opened)
    task = asyncio.create_task(exchange.run())
    while exchange.progress.sent == 0:
        await asyncio.sleep(0)
    exchange.client.leave.set()
    with pytest.raises(ClientGone):
        await task
    assert opened.ended
    assert len(asyncio.all_tasks()) == 1, "nobody is left waiting for the client"


async def test_a_client_that_leaves_stops_a_read_that_never_waits() -> None:
    """Hot files and memory give buffers without suspending: the loop must still be given up."""
    opened = Bytes(*[64 * KIB] * 4000)
    exchange = Exchange(plan_of(4000 * 64 * KIB), opened)
    task = asyncio.create_task(exchange.run())
    while exchange.progress.sent == 0:
        await asyncio.sleep(0)
    exchange.client.leave.set()
    with pytest.raises(ClientGone):
        await task
    assert exchange.progress.sent <= 3 * BYTES_PER_TURN
    assert opened.ended


async def test_a_client_that_leaves_with_everything_has_everything() -> None:
    """Servers say "disconnect" as soon as the last of a response was handed to them."""
    exchange = Exchange(plan_of(10), Bytes(5, 5))

    async def leave(message: Message) -> None:
        if not message.get("more_body", True):
            exchange.client.leave.set()
            for _ in range(5):
                await asyncio.sleep(0)

    exchange.client.on_send = leave
    await exchange.run()
    assert exchange.progress.complete
    assert exchange.client.reply.complete


async def test_a_send_that_raises_means_the_client_is_gone() -> None:
    exchange = Exchange(plan_of(10), Bytes(5, 5))

    async def reset(_: Message) -> None:
        raise ConnectionResetError

    exchange.client.on_send = reset
    with pytest.raises(ClientGone):
        await exchange.run()
    assert exchange.opened.ended


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    exchange = Exchange(plan_of(10), Bytes(5, 5), stall_timeout=0.02)

    async def stall(_: Message) -> None:
        await asyncio.Event().wait()

    exchange.client.on_send = stall
    with pytest.raises(ClientGone, match="read too slowly"):
        await exchange.run()
    assert exchange.opened.ended
    assert exchange.progress.waited >= 0.02


async def test_waits_for_the_client_are_added_up() -> None:
    exchange = Exchange(plan_of(15), Bytes(5, 5, 5))
    await exchange.run()
    assert exchange.progress.waited == 0.0, "it took all at once"
    slow = Exchange(plan_of(15), Bytes(5, 5, 5))

    async def take_slowly(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(0.02)

    slow.client.on_send = take_slowly
    await slow.run()
    assert slow.progress.waited > 0.05
    assert slow.progress.waiting_since == 0.0


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_every_await(turns: int) -> None:
    """A stop of the server at any point leaves no task and no open read."""
    opened = Bytes(*[5] * 6, wait=True)
    exchange = Exchange(plan_of(1000), opened)
    task = asyncio.create_task(exchange.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert opened.ended or opened.given == 0
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_leaving_and_being_cancelled_at_once_is_a_cancellation() -> None:
    exchange = Exchange(plan_of(1000), Bytes(5, wait=True))
    task = asyncio.create_task(exchange.run())
    while exchange.progress.sent == 0:
        await asyncio.sleep(0)
    exchange.client.leave.set()
    task.cancel()
    with pytest.raises((asyncio.CancelledError, ClientGone)):
        await task
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_fault_of_the_read_passes_through() -> None:
    class Failing(Bytes):
        async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
            yield b"x"
            raise Fault("broken")

    exchange = Exchange(plan_of(10), Failing())
    with pytest.raises(Fault, match="broken"):
        await exchange.run()
    assert exchange.progress.sent == 1


# --- lending ------------------------------------------------------------------------------------

SIZE = 1024 * KIB


class Lends(Bytes):
    """Lends all but the last KiB."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.stretch = Stretch(7, 0, SIZE - KIB, self.fetch)

    async def fetch(self, offset: int, count: int) -> None: ...

    async def lend(self, span: Span) -> AsyncGenerator[Piece, None]:
        yield self.stretch
        yield bytes(KIB)


async def send_lent(
    on_send: Callable[[Message], Awaitable[None]],
    plan: Plan,
    *,
    lends: bool = True,
    stall_timeout: float = 0.2,
) -> tuple[Lends, Progress]:
    opened, progress = Lends(), Progress()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with contextlib.suppress(ClientGone):
        await send_plan(plan, opened, (), (receive, on_send), progress, stall_timeout, lends=lends)
    return opened, progress


async def test_a_server_that_takes_files_is_lent_them() -> None:
    seen: list[Message] = []

    async def takes(message: Message) -> None:
        seen.append(message)
        if message["type"] == LENT:
            message["taken"](1000)

    opened, progress = await send_lent(takes, plan_of(SIZE))
    assert [one["type"] for one in seen[1:]] == [LENT, "http.response.body"]
    assert seen[1] == {**seen[1], "file": opened.stretch, "offset": 0, "count": SIZE - KIB}
    assert (seen[1]["more_body"], seen[2]["more_body"]) == (True, False)
    assert (progress.sent, progress.complete) == (SIZE, True)
    assert opened.stretch.taken == 1000


@pytest.mark.parametrize(
    ("plan", "lends"),
    [
        (plan_of(SIZE), False),
        (Plan(206, (), (Span(0, FEWEST_LENT - 1),)), True),
        (Plan(206, (), (b"--a", Span(0, SIZE), b"--")), True),
    ],
)
async def test_what_is_read_all_the_same(plan: Plan, lends: bool) -> None:
    seen: list[str] = []

    async def takes(message: Message) -> None:
        seen.append(message["type"])

    with contextlib.suppress(OriginBroke):
        await send_lent(takes, plan, lends=lends)
    assert LENT not in seen


async def test_a_slow_reader_of_a_lent_file_is_not_a_stalled_one() -> None:
    """64 KiB each time begin its time anew; after the last it takes nothing more."""

    async def takes(message: Message) -> None:
        if message["type"] == LENT:
            for _ in range(5):
                await asyncio.sleep(0.3)
                message["taken"](64 * KIB)
            await asyncio.Event().wait()

    opened, progress = await send_lent(takes, plan_of(SIZE), stall_timeout=1.0)
    assert progress.sent == opened.stretch.taken == 5 * 64 * KIB
    assert not progress.complete


async def test_a_reader_that_takes_too_little_is_stalled() -> None:
    async def takes(message: Message) -> None:
        while message["type"] == LENT:
            await asyncio.sleep(0.01)
            message["taken"](1)

    _, progress = await send_lent(takes, plan_of(SIZE))
    assert 0 < progress.sent < 1000


async def stalled(taken: Callable[[], int] | None, seconds: float, turns: int) -> Progress:
    """A buffer of 1 MiB for a client that says nothing of it for so long, and then takes it."""

    async def takes(message: Message) -> None:
        if message["type"] == "http.response.body":
            for _ in range(turns):
                await asyncio.sleep(seconds / turns)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    progress = Progress(taken_since=taken)
    with contextlib.suppress(ClientGone):
        await send_plan(plan_of(SIZE), Bytes(SIZE), (), (receive, takes), progress, 0.1)
    return progress


async def test_a_large_buffer_has_as_long_as_a_small_one_where_progress_is_told() -> None:
    assert (await stalled(None, 0.4, 1)).complete, "nobody knows what was taken"
    assert not (await stalled(lambda: 0, 0.4, 1)).complete
    assert not (await stalled(lambda: 100, 0.4, 1)).complete


async def test_what_was_taken_gives_more_time_and_is_counted_once() -> None:
    progress = await stalled(lambda: 32 * KIB, 0.4, 10)
    assert (progress.complete, progress.sent) == (True, SIZE)


async def test_what_was_taken_before_the_wait_is_no_progress_of_it() -> None:
    """The first answer goes back to when it was asked before."""
    answers = iter([SIZE])
    progress = await stalled(lambda: next(answers, 0), 0.4, 1)
    assert next(answers, None) is None, "it was asked"
    assert progress.waiting_since <= progress.first_byte


def test_who_tells_what_was_taken() -> None:
    def since() -> int:
        return 0

    assert taken_since({"extensions": {TAKEN: {"since": since}}}) is since
    assert taken_since({"extensions": {LENT: {}}}) is None
    assert taken_since({}) is None


def test_who_takes_files() -> None:
    assert takes_files({"extensions": {LENT: {}}})
    assert not takes_files({"extensions": {"http.response.zerocopysend": {}}})
    assert not takes_files({})


# --- at hand ------------------------------------------------------------------------------------


class AtHand(Bytes):
    """Has small spans at hand, and no more than `most` bytes of them."""

    def __init__(self, *buffers: int, most: int = 1 << 20) -> None:
        super().__init__(*buffers)
        self.most = most
        self.asked: list[Span] = []

    def at_hand(self, span: Span) -> bytes | None:
        self.asked.append(span)
        return bytes(span.length) if span.length <= self.most else None


async def test_what_is_at_hand_is_not_read() -> None:
    opened = AtHand()
    exchange = Exchange(plan_of(KIB), opened)
    await exchange.run()
    assert exchange.client.reply.body == bytes(KIB)
    assert exchange.client.reply.complete
    assert (opened.given, opened.asked) == (0, [Span(0, KIB)])
    assert exchange.progress == replace(exchange.progress, status=200, sent=KIB, complete=True)


@pytest.mark.parametrize(("length", "asked"), [(KIB, 1), (FEWEST_LENT - 1, 1), (FEWEST_LENT, 0)])
async def test_what_is_not_at_hand_or_large_is_read(length: int, asked: int) -> None:
    opened = AtHand(length, most=10)
    exchange = Exchange(plan_of(length), opened)
    await exchange.run()
    assert exchange.client.reply.complete
    assert (opened.given, len(opened.asked)) == (1, asked)

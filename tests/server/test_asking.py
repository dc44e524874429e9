"""Questions and answers over a real socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.observability.fleet import Arguments, Declined, Emit, Operation
from proxy.server.asking import MOST_OWED, Answering, Asking, Unanswered
from proxy.server.control import Channel


@asynccontextmanager
async def pair(operations: Mapping[str, Operation]) -> AsyncIterator[Asking]:
    """The supervisor's end; a worker with these operations is at the other."""
    ours, theirs = [await Channel.over(end) for end in socket.socketpair()]
    asking, answering = Asking(ours), Answering(theirs, operations)

    async def serve() -> None:
        while received := await theirs.receive():
            answering.take(received[0])

    async def listen() -> None:
        while received := await ours.receive():
            asking.took(*received)
        asking.lose()

    serving, listening = asyncio.create_task(serve()), asyncio.create_task(listen())
    try:
        yield asking
    finally:
        await answering.aclose()
        await theirs.aclose()
        await asyncio.gather(listening, return_exceptions=True)
        await ours.aclose()
        await asyncio.gather(serving, return_exceptions=True)


async def echo(arguments: Arguments, _: Emit) -> object:
    return {"said": dict(arguments)}


async def test_answers_come_to_their_questions() -> None:
    async def slow_echo(arguments: Arguments, emit: Emit) -> object:
        await asyncio.sleep(0.05 / (1 + arguments["n"]))
        return arguments["n"]

    async with pair({"echo": echo, "slow": slow_echo}) as asking:
        assert await asking.ask("echo", {"ä": [1]}, 5) == {"said": {"ä": [1]}}
        questions = (asking.ask("slow", {"n": number}, 5) for number in range(10))
        assert await asyncio.gather(*questions) == list(range(10))


async def test_large_answers_arrive_whole() -> None:
    async def much(_: Arguments, __: Emit) -> object:
        return "x" * 5_000_000

    async with pair({"much": much}) as asking:
        assert len(await asking.ask("much", {}, 20)) == 5_000_000


async def test_what_cant_be_answered_says_why() -> None:
    async def declines(_: Arguments, __: Emit) -> object:
        raise Declined("not today")

    async def breaks(_: Arguments, __: Emit) -> object:
        raise KeyError("secret")

    async with pair({"declines": declines, "breaks": breaks}) as asking:
        for what, why in (
            ("declines", "not today"),
            ("breaks", "it failed: KeyError"),
            ("nothing", "it knows no nothing"),
        ):
            with pytest.raises(Unanswered, match=why):
                await asking.ask(what, {}, 5)


async def test_a_late_answer_is_given_up_and_its_work_ended() -> None:
    ended = asyncio.Event()

    async def never(_: Arguments, __: Emit) -> object:
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    async with pair({"never": never, "echo": echo}) as asking:
        with pytest.raises(Unanswered, match=r"no answer in 0\.05 s"):
            await asking.ask("never", {}, 0.05)
        async with asyncio.timeout(30):
            await ended.wait()
        assert await asking.ask("echo", {}, 5) == {"said": {}}


async def test_who_leaves_the_question_ends_its_work_too() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never(_: Arguments, __: Emit) -> object:
        begun.set()
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    async with pair({"never": never}) as asking:
        question = asyncio.create_task(asking.ask("never", {}, 60))
        async with asyncio.timeout(30):
            await begun.wait()
            question.cancel()
            await ended.wait()


async def test_a_worker_that_hangs_is_not_asked_for_ever() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    asking = Asking(channel)
    for _ in range(MOST_OWED):
        with pytest.raises(Unanswered, match="no answer"):
            await asking.ask("anything", {}, 0.001)
    with pytest.raises(Unanswered, match="owes too many"):
        await asking.ask("anything", {}, 5)
    with pytest.raises(Unanswered, match="owes too many"):
        asking.stream("anything", {}, print)
    theirs.close()
    await channel.aclose()


async def test_streams_stream_until_they_are_ended() -> None:
    ended = asyncio.Event()

    async def count(arguments: Arguments, emit: Emit) -> object:
        number = arguments["from"]
        try:
            while True:
                await emit(number)
                number += 1
        finally:
            ended.set()

    got: list[Any] = []
    async with pair({"count": count}) as asking:
        stream = asking.stream("count", {"from": 5}, got.append)
        async with asyncio.timeout(30):
            while len(got) < 100:
                await asyncio.sleep(0.001)
            asking.end_stream(stream)
            await ended.wait()
        asking.end_stream(stream)
    assert got[:100] == list(range(5, 105))


async def test_when_the_worker_is_gone_nothing_is_waited_for() -> None:
    async def never(_: Arguments, __: Emit) -> object:
        return await asyncio.Event().wait()

    ours, theirs = [await Channel.over(end) for end in socket.socketpair()]
    asking = Asking(ours)
    question = asyncio.create_task(asking.ask("never", {}, 60))
    await asyncio.sleep(0)
    asking.lose()
    with pytest.raises(Unanswered, match="gone"):
        await question
    with pytest.raises(Unanswered, match="gone"):
        await asking.ask("never", {}, 60)
    await theirs.aclose()
    await ours.aclose()


async def test_what_is_told_before_an_answer_is_taken_too() -> None:
    async def counting(_: Arguments, emit: Emit) -> object:
        for number in range(5):
            await emit(number)
        return "done"

    async with pair({"counting": counting}) as asking:
        told: list[Any] = []
        assert await asking.ask("counting", {}, 5, told.append) == "done"
        assert told == list(range(5))
        assert await asking.ask("counting", {}, 5) == "done"
        assert told == list(range(5)), "nobody takes it any more"

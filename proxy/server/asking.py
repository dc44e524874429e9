"""Questions over the control channel: the supervisor's end asks, the worker's end answers.

    supervisor → worker   ask (id, what, arguments), forget (id)
    worker → supervisor   answer (id, and error or a payload), event (id, payload)

Payloads are JSON. A worker that is held up answers late or never: whoever asks has a time limit,
and a worker that owes too many answers is asked nothing more until it has given some.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from proxy.observability.fleet import Arguments, Declined, Operation
from proxy.server.control import Channel, Message

logger = logging.getLogger(__name__)

# What a worker does before it serves: {"what": an operation, "with": its arguments}.
Order = Mapping[str, Any]

# Answers a worker may owe. The operator's door asks a few at a time; more is a worker that hangs.
MOST_OWED = 64
# Seconds for a message to be taken by the kernel; its buffer is full only if nobody reads.
_SEND_TIMEOUT = 2.0


class Unanswered(Exception):
    """No answer: its text says why. `late` if there was no time left."""


class Asking:
    """The supervisor's end for one worker. `took` gets what the worker sends."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._next = 0
        self._owed: set[int] = set()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, Callable[[Any], None]] = {}
        self._gone = False

    async def ask(
        self,
        what: str,
        arguments: Arguments,
        seconds: float,
        take: Callable[[Any], None] | None = None,
    ) -> Any:  # noqa: ANN401  # JSON
        """The worker's answer; raises `Unanswered`. What it emits before that goes to `take`."""
        number = self._new()
        if take is not None:
            self._streams[number] = take
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._send({"is": "ask", "id": number, "what": what, "with": arguments})
                return await future
        except TimeoutError:
            raise Unanswered(f"no answer in {seconds:g} s") from None
        finally:
            del self._waiting[number]
            self._streams.pop(number, None)
            if number in self._owed and not self._gone:
                self._forget(number)

    def stream(self, what: str, arguments: Arguments, take: Callable[[Any], None]) -> int:
        """Has the worker's events given to `take` until `end_stream` with the number returned."""
        number = self._new()
        self._streams[number] = take
        self._channel.post({"is": "ask", "id": number, "what": what, "with": arguments})
        return number

    def end_stream(self, number: int) -> None:
        """Tells the worker to stop streaming."""
        if self._streams.pop(number, None) is not None and not self._gone:
            self._forget(number)

    def took(self, message: Message, payload: bytes) -> None:
        """Takes an answer or an event."""
        number = message["id"]
        if message["is"] == "event":
            if number in self._streams:
                self._streams[number](json.loads(payload))
            return
        self._owed.discard(number)
        self._streams.pop(number, None)
        future = self._waiting.get(number)
        if future is not None and not future.done():
            if "error" in message:
                future.set_exception(Unanswered(message["error"]))
            else:
                future.set_result(json.loads(payload))

    def lose(self) -> None:
        """The worker is gone: nothing will be answered."""
        self._gone = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unanswered("it is gone"))

    def _new(self) -> int:
        if self._gone:
            raise Unanswered("it is gone")
        if len(self._owed) >= MOST_OWED:
            raise Unanswered("it owes too many answers")
        self._next += 1
        self._owed.add(self._next)
        return self._next

    async def _send(self, message: Message) -> None:
        try:
            await self._channel.send(message)
        except ConnectionError:
            raise Unanswered("it is gone") from None

    def _forget(self, number: int) -> None:
        """It still counts as owed until the worker has said so."""
        self._channel.post({"is": "forget", "id": number})


class Answering:
    """The worker's end: does what it is asked, each in a task of its own. `aclose` ends them."""

    def __init__(self, channel: Channel, operations: Mapping[str, Operation]) -> None:
        self._channel = channel
        self._operations = operations
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, message: Message) -> None:
        """Takes an "ask" or a "forget"."""
        number = message["id"]
        if message["is"] == "forget":
            if number in self._tasks:
                self._tasks[number].cancel()
            return
        task = asyncio.create_task(self._answer(number, message["what"], message["with"]))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number))

    async def aclose(self) -> None:
        """Ends whatever is still being answered."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_SEND_TIMEOUT)

    async def _answer(self, number: int, what: str, arguments: Arguments) -> None:
        answer: dict[str, Any] = {"is": "answer", "id": number}
        payload = b""
        try:
            payload = await self._do(number, what, arguments)
        except Declined as declined:
            answer["error"] = str(declined)
        except asyncio.CancelledError:
            answer["error"] = "it was told to forget it"
        except Exception as error:
            logger.exception("the question %s could not be answered", what)
            answer["error"] = f"it failed: {type(error).__name__}"
        await self._say(answer, payload)

    async def _do(self, number: int, what: str, arguments: Arguments) -> bytes:
        operation = self._operations.get(what)
        if operation is None:
            raise Declined(f"it knows no {what}")

        async def emit(value: object) -> None:
            await self._channel.send({"is": "event", "id": number}, json.dumps(value).encode())

        return json.dumps(await operation(arguments, emit)).encode()

    async def _say(self, message: Message, payload: bytes) -> None:
        try:
            async with asyncio.timeout(_SEND_TIMEOUT):
                await self._channel.send(message, payload)
        except (ConnectionError, TimeoutError):
            pass  # the supervisor is gone, or doesn't read; it finds that out by itself

"""A coroutine that is run up to its first wait, to see whether it waits at all.

Mostly it does not: what is read is in memory, and a client takes what it is sent. Then whatever
bounds a wait (a timer, a watch for the client's leaving) need not be set up, which costs more than
the work itself. Who begins one either finds it `done`, or awaits it, or closes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """Runs as a part of the task that makes it; raises what the first step raises.

    Attributes:
        done: whether it has ended; `result` is what it gave then.
    """

    __slots__ = ("_steps", "_waits_for", "done", "result")

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self.result: T
        self.done = False
        self._steps = awaitable.__await__()
        try:
            self._waits_for = next(self._steps)
        except StopIteration as ended:
            self.done, self.result = True, ended.value

    def __await__(self) -> Generator[Any, Any, T]:
        """Goes on with it; to be awaited once, if it is not done."""
        steps, waits_for = self._steps, self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001  # theirs, not ours
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(sent)
        except StopIteration as ended:
            self.done, self.result = True, ended.value
        return self.result

    def close(self) -> None:
        """Gives it up."""
        if not self.done:
            self._steps.close()

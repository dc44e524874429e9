"""The handlers of one connection: started a few at a time, and told so of its end.

A request costs its client a few bytes and us a task, so that handlers are started when all frames
that came are handled: those of a client that floods never are. Each is charged to the turn of the
loop in which it begins or hears that its client is gone, since it takes its time afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from proxy.server.http2.exchange import Exchange
from proxy.server.http2.faults import ErrorCode, StreamFault
from proxy.server.http2.streams import Stream
from proxy.server.state import ServerState
from proxy.server.turns import HANDLER

# Started, or told that the connection is gone, before others have their turn.
_AT_ONCE = 4
# Seconds an app may go on whose client is gone: it hears of it at once, and is cancelled then.
_GRACE = 1.0
# Handlers in one process: beyond it streams are refused, which clients may try again.
_MOST_RUNNING = 4096


def _ignore() -> None:
    pass


class Handlers:
    """Exchanges, and the tasks that run them.

    Args:
        returned: called when a handler has returned.

    Attributes:
        exchanges: those whose stream is open, by its number.
    """

    def __init__(self, state: ServerState, returned: Callable[[], None]) -> None:
        self.exchanges: dict[int, Exchange] = {}
        self._state, self._returned = state, returned
        self._to_start: deque[tuple[Exchange, Stream]] = deque()
        self._to_tell: deque[Exchange] = deque()
        self._tasks: dict[Exchange, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether some run, or wait to be started."""
        return bool(self._tasks or self._to_start)

    @property
    def wait(self) -> bool:
        """Whether some wait to be started or told."""
        return bool(self._to_start or self._to_tell)

    def unstarted(self) -> Iterator[Stream]:
        """The streams of those that wait to be started."""
        return (stream for exchange, stream in self._to_start if not exchange.over)

    def add(self, stream: Stream, exchange: Exchange) -> None:
        """One more to start; raises `StreamFault` if there are too many, counting those whose
        stream is gone."""
        tally, own = self._state.tally, len(self._tasks) + len(self._to_start)
        if own >= self._state.limits.max_streams or tally.running + tally.waiting >= _MOST_RUNNING:
            self._state.refused["requests"] += 1
            raise StreamFault(ErrorCode.REFUSED_STREAM, "too many handlers")
        self.exchanges[stream.id] = exchange
        self._to_start.append((exchange, stream))
        tally.waiting += 1

    def start_some(self) -> None:
        """Starts a few; those whose streams are gone meanwhile cost nothing."""
        count = 0
        while count < _AT_ONCE and self._to_start:
            exchange, _ = self._to_start.popleft()
            self._state.tally.waiting -= 1
            if not exchange.over:
                count += 1
                self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        self._state.turns.charge(HANDLER)
        task = self._tasks[exchange] = self._state.spawn(exchange.run())
        task.add_done_callback(partial(self._left, exchange))

    def _left(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        del task
        self._tasks.pop(exchange, None)
        self._returned()

    def moved(self, streams: Iterable[Stream]) -> None:
        """Bytes of these were written."""
        for stream in streams:
            exchange = self.exchanges.get(stream.id)
            if exchange is not None:
                exchange.moved()

    def over(self, stream: Stream, *, later: bool) -> int:
        """The stream is over; returns how many bytes of its request were left unread.

        Its handler hears of it at once, or `later` by `wind_up`.
        """
        exchange = self.exchanges.pop(stream.id, None)
        if exchange is None:
            return 0
        if later:
            self._to_tell.append(exchange)
        unread = exchange.end(told=not later)
        if exchange.gone and not later:
            self._give_up(exchange)
        return unread

    def wind_up(self) -> None:
        """The connection is gone: tells a few, and starts no more."""
        self._state.tally.waiting -= len(self._to_start)
        self._to_start.clear()
        for _ in range(min(_AT_ONCE, len(self._to_tell))):
            exchange = self._to_tell.popleft()
            exchange.tell()
            self._give_up(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        task = self._tasks.get(exchange)
        if task is None:
            return
        self._state.turns.charge(HANDLER)
        if not exchange.started:
            task.cancel()
            return
        late = asyncio.get_running_loop().call_later(_GRACE, task.cancel)
        task.add_done_callback(lambda _: late.cancel())

    def forget(self) -> None:
        """Nobody wants to hear of those that return any more."""
        self._returned = _ignore

    def cancel(self) -> None:
        """Cancels all."""
        for task in list(self._tasks.values()):
            task.cancel()

"""What all connections together may do in one turn of the loop. The clock is the test's."""

from __future__ import annotations

import asyncio

from proxy.server import turns
from proxy.server.turns import Turns


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Busy:
    """A connection with so much to do, each piece of which takes so long."""

    def __init__(self, time: Time, log: list[str], name: str, pieces: int = 1) -> None:
        self.time, self.log, self.name, self.pieces = time, log, name, pieces
        self.party: str | None = name[0]
        self.seconds = turns._TURN / 4

    def work(self) -> bool:
        self.log.append(self.name)
        self.time.now += self.seconds
        self.pieces -= 1
        return self.pieces > 0


class Faulty(Busy):
    def work(self) -> bool:
        raise ZeroDivisionError


async def turn() -> None:
    """One turn of the loop, no more."""
    await asyncio.sleep(0)


async def test_what_there_is_time_for_is_done_at_once() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    one.take(Busy(time, log, "a"))
    one.take(Busy(time, log, "b", pieces=2))
    assert log == ["a", "b"]
    await turn()
    assert log == ["a", "b", "b"]


async def test_a_hundred_hold_the_loop_no_longer_than_one() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    for number in range(100):
        one.take(Busy(time, log, f"{number}", pieces=10))
    assert len(log) == 4
    for count in range(1, 10):
        await turn()
        assert len(log) == 4 + 4 * count


async def test_the_new_come_before_those_that_were_put_off() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    for name in ("a1", "b1", "c1", "d1"):
        one.take(Busy(time, log, name, pieces=5))
    for name in ("e1", "e2", "f1"):
        one.take(Busy(time, log, name))
    await turn()
    assert log[4:] == ["a1", "e1", "f1", "e2"]  # one of the old ones goes on all the same
    await turn()
    assert log[8:] == ["b1", "c1", "d1", "a1"]


async def test_who_waits_is_in_the_queue_once() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    busy = Busy(time, log, "a", pieces=3)
    assert [one.take(busy) for _ in range(3)] == [False, True, True]
    assert log == ["a"]
    await turn()
    assert log == ["a", "a", "a"]
    await turn()
    assert log == ["a", "a", "a"]


async def test_what_others_must_do_is_charged() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    one.take(Busy(time, log, "a"))
    one.charge(turns._TURN)
    one.take(Busy(time, log, "b"))
    assert log == ["a"]
    await turn()
    assert log == ["a", "b"]


class Asking(Busy):
    """Has another take something up while it works, as a connection that ends does."""

    def __init__(self, one: Turns, time: Time, log: list[str], name: str, other: Busy) -> None:
        super().__init__(time, log, name)
        self.one, self.other, self.waits = one, other, False

    def work(self) -> bool:
        super().work()
        self.waits = self.one.take(self.other)
        return False


async def test_what_is_taken_up_within_a_turn_has_no_time_of_its_own() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    for name in ("a", "b", "c", "d"):
        one.take(Busy(time, log, name))
    one.take(Busy(time, log, "e"))
    asking = Asking(one, time, log, "f", Busy(time, log, "g", pieces=10))
    assert one.take(asking)
    await turn()
    assert asking.waits
    assert log[4:] == ["e", "f", "g", "g"]


async def test_who_asks_while_it_works_is_done_first() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    asking = Asking(one, time, log, "a", Busy(time, log, "b"))
    assert not one.take(asking)
    assert asking.waits
    assert log == ["a"]
    await turn()
    assert log == ["a", "b"]


async def test_who_comes_when_the_time_is_spent_must_wait() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    took = [one.take(Busy(time, log, name)) for name in ("a", "b", "c", "d", "e")]
    assert took == [False] * 4 + [True]


async def test_a_fault_of_one_does_not_stop_the_others() -> None:
    time, log = Time(), list[str]()
    one = Turns(time)
    for name in ("a", "b", "c", "d", "e"):
        one.take(Busy(time, log, name))
    faulty = Faulty(time, log, "f")
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    one.take(faulty)
    one.take(Busy(time, log, "g"))
    for _ in range(3):
        await turn()
    assert log[4:] == ["e", "g"]
    assert len(told) == 1
    assert not one.take(Busy(time, log, "h"))

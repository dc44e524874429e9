"""Whether an origin answers."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import (
    Fault,
    Forbidden,
    OriginRefused,
    OriginTimeout,
    OriginUnavailable,
    OriginUnreachable,
)
from proxy.observability import metrics as names
from proxy.observability import origin_health
from proxy.observability.meters import Meters
from proxy.observability.origin_health import PROBE_KEY, OriginHealth, answers
from proxy.origins.base import WHOLE, Want
from proxy.origins.memory import MemoryObject, MemoryOrigin, StoredObject


class Moody(MemoryOrigin):
    """Answers as it is told; None is silence."""

    mood: Fault | str | None = ""
    looks = 0

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        self.looks += 1
        if self.mood is None:
            await asyncio.Event().wait()
        if isinstance(self.mood, Fault):
            raise self.mood
        if self.mood == "bug":
            raise RuntimeError("a bug")
        return await super().open(key, want)


@pytest.mark.parametrize(
    ("mood", "expected"),
    [
        ("", True),
        (Forbidden("f"), True),
        (OriginRefused("r"), True),
        (OriginUnavailable("busy"), True),
        (OriginUnreachable("u"), False),
        (OriginTimeout("t"), False),
    ],
)
async def test_any_answer_is_one(mood: Fault | str, expected: bool) -> None:
    origin = Moody()
    origin.mood = mood
    assert await answers(origin) is expected


async def test_an_object_that_is_there_is_closed_again() -> None:
    assert await answers(MemoryOrigin({PROBE_KEY: StoredObject(b"")}))


async def test_silence_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_health, "LOOK_TIMEOUT", 0.01)
    origin = Moody()
    origin.mood = None
    assert not await answers(origin)


async def test_one_failure_is_no_outage_and_two_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_health, "LOOK_AGAIN", 0.001)
    monkeypatch.setattr(origin_health, "LOOK_EVERY", 0.001)
    meters, origin = Meters(), Moody()
    health = OriginHealth({"a": origin}, meters)

    async def until(value: int) -> None:
        async with asyncio.timeout(30):
            while meters.read().get(names.ORIGIN_UP.name) != [(["a"], value)]:
                await asyncio.sleep(0.001)

    health.start()
    await until(1)
    origin.mood = OriginUnreachable("gone")
    await until(0)
    origin.mood = "bug"
    looks = origin.looks
    async with asyncio.timeout(30):
        while origin.looks < looks + 3:
            await asyncio.sleep(0.001)
    await until(0)
    origin.mood = ""
    await until(1)
    await health.aclose()
    looks = origin.looks
    await asyncio.sleep(0.02)
    assert origin.looks == looks


def test_a_single_failure_says_nothing() -> None:
    meters = Meters()
    health = OriginHealth({}, meters)
    health._note("a", 0)
    health._note("a", 1)
    assert meters.read()[names.ORIGIN_UP.name] == [(["a"], 1)]
    health._note("a", 2)
    assert meters.read()[names.ORIGIN_UP.name] == [(["a"], 0)]

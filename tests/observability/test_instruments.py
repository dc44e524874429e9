"""All that watches a worker, together."""

from __future__ import annotations

import asyncio
import json
import logging
import queue

import pytest

from proxy.observability import metrics as names
from proxy.observability import process_metrics
from proxy.observability.instruments import Instruments
from proxy.observability.logs import DroppingHandler
from proxy.origins.memory import MemoryOrigin

SLOW = {"profile", "memory", "trace"}


async def no_stream(_: object) -> None: ...


async def test_every_question_is_answered_in_json() -> None:
    log = DroppingHandler(queue.SimpleQueue(), 1)
    for _ in range(3):
        log.handle(logging.LogRecord("t", logging.INFO, "", 0, "m", None, None))
    instruments = Instruments(log)
    instruments.start({"a": MemoryOrigin()})
    await asyncio.sleep(0.01)
    answers = {
        what: await operation({"seconds": 0}, no_stream)
        for what, operation in instruments.operations.items()
        if what != "trace"
    }
    json.dumps(answers)
    await instruments.aclose()
    values = instruments.meters.read()
    assert values[process_metrics.LOG_LINES_DROPPED.name] == [([""], 2)]
    assert values[names.ORIGIN_UP.name] == [(["a"], 1)]
    known = {"metrics", "transfers", "tasks", "stalls", "faults", *SLOW}
    assert known == set(instruments.operations)


async def test_what_was_not_started_can_be_closed() -> None:
    instruments = Instruments()
    await instruments.aclose()
    assert instruments.meters.read()[names.IN_FLIGHT.name] == [([], 0)]


async def test_rates_are_taken_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.observability.instruments._MARK_EVERY", 0.01)
    instruments, marks = Instruments(), asyncio.Event()
    monkeypatch.setattr(instruments.responses, "mark", marks.set)
    instruments.start({})
    async with asyncio.timeout(30):
        await marks.wait()
    await instruments.aclose()

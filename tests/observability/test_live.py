"""The access log as it happens: filtered, and never in the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observability import process_metrics
from proxy.observability.access_log import AccessRecord
from proxy.observability.fleet import Declined
from proxy.observability.live import MOST_LOOKING, QUEUE_LENGTH, Live, make_filter
from proxy.observability.meters import Meters
from proxy.observability.responses import Responses
from tests.observability.test_responses import Sending, record_of


@pytest.mark.parametrize(
    ("text", "record", "expected"),
    [
        ({}, record_of(), True),
        ({"status": "404"}, record_of(status=404), True),
        ({"status": "404"}, record_of(status=403), False),
        ({"status": "4xx, 503"}, record_of(status=451), True),
        ({"status": "4XX,503"}, record_of(status=503), True),
        ({"status": "4xx,503"}, record_of(status=500), False),
        ({"path": "/videos/**"}, record_of(target=b"/videos/a/b.mp4"), True),
        ({"path": "/videos/**"}, record_of(target=b"/vide%6Fs/a"), True),
        ({"path": "/videos/**"}, record_of(target=b"/music/a"), False),
        ({"path": "/**"}, record_of(target=b"/\xff%ff%00"), True),
        ({"slower": "1s"}, record_of(seconds=1.0), True),
        ({"slower": "250ms"}, record_of(seconds=0.2), False),
        ({"slower": "1m"}, record_of(seconds=59.0), False),
        ({"slower": "0.5"}, record_of(seconds=0.6), True),
        ({"status": "2xx", "slower": "1s"}, record_of(status=200, seconds=0.5), False),
    ],
)
def test_filters(text: dict[str, str], record: AccessRecord, expected: bool) -> None:
    assert make_filter(**text).lets(record) is expected


@pytest.mark.parametrize(
    "text",
    [
        {"status": "6xx"}, {"status": "20"}, {"status": "2xx;3xx"},
        {"status": ",".join(["404"] * 101)}, {"path": "videos/**"}, {"path": "/" + "a" * 2000},
        {"slower": "fast"}, {"slower": "-1s"}, {"slower": "1h"}, {"slower": "1e9"},
        {"slower": "٣s"},
    ],
)  # fmt: skip
def test_filters_that_are_none(text: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_filter(**text)


@given(st.text(), st.text(), st.text())
def test_any_text_is_a_filter_or_a_clear_error(status: str, path: str, slower: str) -> None:
    said = ""
    try:
        make_filter(status, path, slower).lets(record_of())
    except ValueError as error:
        said = str(error)
    assert not said or "expected" in said


async def test_lines_are_streamed_until_nobody_looks() -> None:
    meters = Meters()
    responses = Responses(meters)
    got: asyncio.Queue[Any] = asyncio.Queue()
    looking = asyncio.create_task(Live(responses, meters).stream({"status": "5xx"}, got.put))
    await asyncio.sleep(0)
    for status in (200, 503):
        record = record_of(status=status, outcome="fault", target=b"/\x1b")
        responses.end(responses.begin(record, Sending()))
    async with asyncio.timeout(30):
        event = await got.get()
    assert [one["status"] for one in event["records"]] == [503]
    assert event["dropped"] == 0
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert responses.listeners == []


async def test_who_is_too_slow_misses_lines_and_is_told() -> None:
    meters = Meters()
    responses = Responses(meters)
    gate = asyncio.Event()
    got: list[Any] = []

    async def emit(event: object) -> None:
        got.append(event)
        await gate.wait()

    looking = asyncio.create_task(Live(responses, meters).stream({}, emit))
    await asyncio.sleep(0)
    for _ in range(QUEUE_LENGTH + 7):
        responses.end(responses.begin(record_of(), Sending()))
    gate.set()
    async with asyncio.timeout(30):
        while sum(len(one["records"]) for one in got) < QUEUE_LENGTH:
            await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert sum(len(one["records"]) for one in got) == QUEUE_LENGTH
    assert sum(one["dropped"] for one in got) == 7
    assert meters.read()[process_metrics.TRACE_LINES_DROPPED.name] == [([], 7)]


async def test_only_so_many_look() -> None:
    meters = Meters()
    live = Live(Responses(meters), meters)
    never = asyncio.Event()

    async def emit(_: object) -> None:
        await never.wait()

    looking = [asyncio.create_task(live.stream({}, emit)) for _ in range(MOST_LOOKING)]
    await asyncio.sleep(0)
    with pytest.raises(Declined):
        await live.stream({}, emit)
    for one in looking:
        one.cancel()
    await asyncio.gather(*looking, return_exceptions=True)

"""Spans: who draws, what is within what, and how long it took."""

from __future__ import annotations

import asyncio
import re

import pytest

from proxy.observability.spans import CURRENT, Sampler, Span, Tracer, new_span_id, new_trace_id


def test_ids_are_as_the_format_wants_them() -> None:
    assert all(re.fullmatch("[0-9a-f]{32}", new_trace_id()) for _ in range(100))
    assert all(re.fullmatch("[0-9a-f]{16}", new_span_id()) for _ in range(100))


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [(0, 0, 0), (1, 4000, 4000), (0.25, 800, 1200)]
)
def test_a_ratio_is_drawn(ratio: float, least: int, most: int) -> None:
    sampler = Sampler(ratio)
    assert least <= sum(bool(sampler.draw()) for _ in range(4000)) <= most
    assert least <= sum(sampler.draws_now() for _ in range(4000)) <= most


def test_the_id_alone_decides_so_that_others_decide_the_same() -> None:
    sampler = Sampler(0.3)
    drawn = list(filter(None, (sampler.draw() for _ in range(500))))
    assert drawn
    assert all(int(trace_id[16:], 16) < round(0.3 * (1 << 64)) for trace_id in drawn)


def test_what_was_drawn_before_is_not_drawn_again() -> None:
    sampler = Sampler(0.5)
    owed = sum(sampler.draws_now() for _ in range(200))
    drawn = [sampler.draw() for _ in range(owed)]
    assert all(int(trace_id[16:], 16) < 1 << 63 for trace_id in drawn)
    assert len(set(drawn)) == owed
    assert not all(sampler.draw() for _ in range(200)), "from here on it draws by itself"


def test_a_no_that_is_kept_to_is_not_drawn_again() -> None:
    sampler = Sampler(1)
    assert sampler.draws_now()
    sampler.keep_to_no()
    assert [bool(sampler.draw()) for _ in range(3)] == [True, False, True]


def test_a_span_within_another() -> None:
    ended: list[Span] = []
    tracer = Tracer(ended.append)
    outer = Span(new_trace_id(), "", "outer", "server")
    outer.state = "a=1"
    inner = tracer.begin("inner", "client", outer)
    tracer.end(inner)
    tracer.end(outer)
    assert ended == [inner, outer]
    assert (inner.trace_id, inner.parent_id, inner.state) == (outer.trace_id, outer.id, "a=1")
    assert inner.fields == {
        "traceparent": f"00-{outer.trace_id}-{inner.id}-01",
        "tracestate": "a=1",
    }
    assert outer.begun <= inner.begun <= inner.ended
    assert 0 <= inner.seconds <= outer.seconds


async def test_what_a_task_starts_is_within_the_same_span() -> None:
    async def seen() -> Span | None:
        return CURRENT.get()

    async def request(name: str) -> tuple[Span, Span | None]:
        span = Span(new_trace_id(), "", name, "server")
        CURRENT.set(span)
        await asyncio.sleep(0)
        return span, await asyncio.create_task(seen())

    for span, found in await asyncio.gather(request("a"), request("b")):
        assert found is span
    assert CURRENT.get() is None

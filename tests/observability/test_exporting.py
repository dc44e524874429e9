"""The queue and the thread between spans and a collector: bounded, whatever the collector does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from proxy.observability import exporting, process_metrics
from proxy.observability.exporting import QUEUE_LENGTH, Exporter, NotTaken
from proxy.observability.meters import Meters
from proxy.observability.spans import Span, new_trace_id


class Sink:
    """Takes what it is given, as a test says."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.closed = False
        self.hangs: threading.Event | None = None

    def post(self, body: bytes) -> int:
        if self.hangs is not None:
            self.hangs.wait(60)
        self.bodies.append(body)
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def span() -> Span:
    return Span(new_trace_id(), "", "GET /", "server")


def length_of(spans: list[Span]) -> bytes:
    return str(len(spans)).encode()


@contextmanager
def running(sink: Sink) -> Iterator[Exporter]:
    exporter = Exporter(sink, length_of, pause=0.01)
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop(30)


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def dropped(exporter: Exporter, count: int) -> bool:
    return exporter.dropped == count


def test_all_are_sent_and_those_left_at_the_end() -> None:
    sink = Sink()
    exporter = Exporter(sink, length_of, pause=60)
    exporter.start()
    for _ in range(600):
        exporter.put(span())
    exporter.stop(30)
    assert sink.bodies == [b"256", b"256", b"88"], "in messages of a bounded size"
    assert (exporter.sent, exporter.dropped, sink.closed) == (600, 0, True)


def test_a_collector_that_hangs_costs_spans_and_no_time() -> None:
    sink = Sink()
    sink.hangs = threading.Event()
    exporter = Exporter(sink, length_of, pause=0.01)
    exporter.start()
    exporter.put(span())
    until(lambda: not exporter._spans)
    begun = time.process_time()
    for _ in range(QUEUE_LENGTH + 100):
        exporter.put(span())
    assert len(exporter._spans) == QUEUE_LENGTH
    assert exporter.dropped == 100
    assert time.process_time() - begun < 10, "it never waits"
    begun = time.monotonic()
    exporter.stop(0.05)
    assert time.monotonic() - begun < 10
    sink.hangs.set()


def test_what_may_help_is_tried_again() -> None:
    sink = Sink(NotTaken("it answered 503", retryable=True), NotTaken("cut", retryable=True))
    with running(sink) as exporter:
        exporter.put(span())
        until(lambda: exporter.sent == 1)
    assert sink.bodies == [b"1"] * 3
    assert exporter.dropped == 0


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([NotTaken("it answered 400", retryable=False)], 1),
        ([NotTaken("it answered 503", retryable=True)] * 3, 3),
        ([RuntimeError("ours")], 1),
    ],
)
def test_what_is_not_taken_is_dropped_counted_and_told(
    answers: list[Exception], asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink(*answers)
    with caplog.at_level(logging.WARNING), running(sink) as exporter:
        exporter.put(span())
        until(lambda: exporter.dropped == 1)
        until(lambda: bool(caplog.records))
        exporter.put(span())
        until(lambda: exporter.sent == 1)
    assert len(sink.bodies) == asked + 1, "and the next is sent"
    [line] = caplog.messages
    assert line.startswith("telemetry: 1 spans were dropped: ")


def test_the_end_tries_once(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink(*[NotTaken("cut", retryable=True)] * 9)
    exporter = Exporter(sink, length_of, pause=60)
    exporter.start()
    exporter.put(span())
    exporter.stop(30)
    assert (len(sink.bodies), exporter.dropped) == (1, 1)
    exporter.stop()
    Exporter(Sink(), length_of).stop()


def test_it_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(exporting, "monotonic", lambda: now)
    sink = Sink(*[NotTaken("it answered 400", retryable=False)] * 9)
    with caplog.at_level(logging.WARNING), running(sink) as exporter:
        for count in range(1, 4):
            exporter.put(span())
            until(partial(dropped, exporter, count))
        now = 1061.0
        exporter.put(span())
        until(lambda: len(caplog.records) == 2)
    assert [line.split(" spans")[0] for line in caplog.messages] == [
        "telemetry: 1",
        "telemetry: 3",
    ]


def test_what_was_sent_and_dropped_is_a_metric() -> None:
    meters, sink = Meters(), Sink(1)
    with running(sink) as exporter:
        exporter.measure(meters)
        exporter.put(span())
        until(lambda: exporter.dropped == 1)
        exporter.put(span())
        until(lambda: exporter.sent == 1)
        rows = {labels[0]: value for labels, value in meters.read()[process_metrics.SPANS.name]}
    assert rows == {"sent": 1, "dropped": 1}

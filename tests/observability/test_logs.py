"""Logging: written by a thread, bounded, complete at the end, never blocking."""

from __future__ import annotations

import errno
import io
import json
import logging
import queue
import re
import threading
import time

import pytest

from proxy.observability import access_log
from proxy.observability.access_log import AccessRecord, log_access
from proxy.observability.logs import (
    Descriptor,
    DroppingHandler,
    Lines,
    LogFormat,
    TextFormatter,
    _write,
    logging_to_standard_error,
)

logger = logging.getLogger("headgate.test")


def test_lines_are_json_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_standard_error("info", "auto", access=True):
        logger.info("one\nline %s", "\x1b[2J")
        logger.debug("not this")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "one\nline \x1b[2J"
    assert line.isascii()
    assert line.isprintable()


def test_text_escapes_controls_too(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_standard_error("info", "text", access=True):
        logger.warning("a report\nof two lines \x1b[2J")
    written = capsys.readouterr().err
    assert "warning: a report\n" in written, "our own reports keep their lines"
    assert "\x1b" not in written


def test_tracebacks_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_standard_error("info", "json", access=True):
        try:
            raise ValueError("inner")
        except ValueError:
            logger.exception("outer")
    [line] = capsys.readouterr().err.splitlines()
    assert "ValueError: inner" in json.loads(line)["traceback"]


def test_the_access_log_can_be_off(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_standard_error("info", "json", access=False):
        logging.getLogger("headgate.access").warning("nothing")
    assert capsys.readouterr().err == ""


def messages(waiting: Lines) -> list[str]:
    lines = [waiting.get() for _ in range(waiting.qsize())]
    return [one.getMessage() for one in lines if isinstance(one, logging.LogRecord)]


def test_a_sink_that_hangs_costs_lines_and_is_told() -> None:
    waiting: Lines = queue.SimpleQueue()
    handler = DroppingHandler(waiting, 2)
    for number in range(5):
        handler.handle(logging.LogRecord("t", logging.INFO, "", 0, str(number), None, None))
    assert handler.dropped == 3
    assert messages(waiting) == ["0", "1"]
    handler.handle(logging.LogRecord("t", logging.INFO, "", 0, "5", None, None))
    assert messages(waiting) == ["3 log lines were dropped: the log can't be written", "5"]


def test_a_line_that_cant_be_made_costs_no_other() -> None:
    records: Lines = queue.SimpleQueue()
    for message, arguments in (("%d", ("no number",)), ("the next", ())):
        records.put(logging.LogRecord("t", logging.INFO, "", 0, message, arguments, None))
    records.put(None)
    out = io.StringIO()
    _write(records, TextFormatter(), Descriptor(out))
    first, second = out.getvalue().splitlines()
    assert first == "a log line could not be written: TypeError"
    assert second.endswith("the next")


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_stay_out_whoever_logs_them(
    form: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to_standard_error("info", form, access=True):
        logger.info("asked for %s", "https://store/x?X-Amz-Signature=5f1e2d")
        try:
            raise ValueError("Authorization: AWS4-HMAC-SHA256 Signature=5f1e2d")
        except ValueError:
            logger.exception("refused")
        record = AccessRecord("r", "c", "1.1", "GET", b"/a", detail="token=5f1e2d")
        log_access(record)
    written = capsys.readouterr().err
    assert "5f1e2d" not in written
    assert written.count("********") >= 3


def test_every_octet_in_every_field_is_one_printable_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    octets = [bytes([number]) for number in range(256)]
    with logging_to_standard_error("info", "json", access=True):
        for octet in octets:
            text = octet.decode("latin-1")
            log_access(AccessRecord("r", text, text, text, b"/" + octet, detail=f"d{text}"))
            logger.info("said %s", text)
    lines = capsys.readouterr().err.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 512
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
        json.loads(line)


def test_libraries_do_not_log_what_they_sign(capsys: pytest.CaptureFixture[str]) -> None:
    """At its debug level botocore writes canonical requests, with their tokens."""
    with logging_to_standard_error("debug", "json", access=True):
        logging.getLogger("botocore.auth").debug("x-amz-security-token:SECRET")
        logging.getLogger("aiobotocore.credentials").info("Found credentials")
        logging.getLogger("botocore").warning("worth a line")
        logger.debug("ours")
        logging.getLogger("proxy.server.worker").debug("ours too")
    said = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert said == ["worth a line", "ours", "ours too"]


def test_many_lines_are_written_in_order_and_none_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logging_to_standard_error("info", "json", access=True):
        for number in range(500):
            log_access(AccessRecord(str(number), "c", "1.1", "GET", b"/a", outcome="complete"))
            if number % 100 == 0:
                logger.info("%d", number)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [one["request_id"] for one in lines if "request_id" in one] == list(map(str, range(500)))
    assert [one["message"] for one in lines if "message" in one] == [
        "0",
        "100",
        "200",
        "300",
        "400",
    ]
    for one in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
        assert one["level"] == "info"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("outcome", ["complete", "fault"])
def test_the_shortcut_changes_no_line(
    form: LogFormat,
    outcome: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = AccessRecord("id", "192.0.2.1", "1.1", "GET", b"/a", 200, 5, 0.5, outcome=outcome)
    said = []
    for direct in (True, False):
        with logging_to_standard_error("info", form, access=True), monkeypatch.context() as patch:
            if not direct:
                patch.setattr(access_log.shortcut, "take", None)
            log_access(record)
        said.append(re.sub(r"\d\d:\d\d:\d\d(\.\d{3}Z)?", "(time)", capsys.readouterr().err))
    assert said[0] == said[1] != ""


def test_what_is_too_much_is_dropped_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    waiting: Lines = queue.SimpleQueue()
    handler = DroppingHandler(waiting, 1)
    for _ in range(3):
        handler.take_access(AccessRecord("r", "c", "1.1", "GET", b"/a"))
    assert (waiting.qsize(), handler.dropped, handler.dropped_total) == (1, 2, 2)


def test_lines_that_a_full_disk_refuses_are_counted_and_told_later() -> None:
    class Disk(Descriptor):
        full = True

        def write(self, text: str) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(text)

    out = io.StringIO()
    disk = Disk(out)
    lost: list[int] = []
    records: Lines = queue.SimpleQueue()

    def lose(count: int) -> None:
        lost.append(count)
        disk.full = False

    records.put(logging.LogRecord("t", logging.INFO, "", 0, "first", None, None))
    writing = threading.Thread(target=_write, args=(records, TextFormatter(), disk, lose))
    writing.start()
    while not lost:
        time.sleep(0.001)
    records.put(logging.LogRecord("t", logging.INFO, "", 0, "second", None, None))
    records.put(None)
    writing.join(30)
    told = out.getvalue().splitlines()
    assert lost == [1]
    assert "1 log lines were dropped" in told[-2]
    assert told[-1].endswith("second")


def test_what_was_lost_is_among_what_was_dropped() -> None:
    handler = DroppingHandler(queue.SimpleQueue(), 2)
    handler.lose(3)
    assert (handler.dropped, handler.dropped_total) == (0, 3)

"""Where log lines go: one line each on standard error, JSON or readable.

Lines are written by a thread behind a bounded queue. A sink that blocks (a full pipe, a slow
disk) costs lines, which are counted, and never holds the event loop.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from typing import Literal, TextIO

from proxy.observability.access_log import AccessRecord, as_json, as_text
from proxy.observability.masking import masked

# About 4 MiB of records; at 10,000 lines a second, the sink may hang for a second.
QUEUE_LENGTH = 10_000

# Seconds for what is queued to be written when the process ends.
_LAST_WORDS = 2.0

LogFormat = Literal["auto", "json", "text"]


# Our loggers: by name, and those of the modules.
_OURS = ("headgate", "proxy")


@contextmanager
def logging_to_standard_error(
    level: str, form: LogFormat, *, access: bool
) -> Iterator[DroppingHandler]:
    """Sets up all logging of this process while the block runs, and writes out what is queued.

    Gives the handler, which knows how many lines were dropped. A sink that blocks at the end is
    given up after two seconds.

    Args:
        level: the least level logged: "debug", "info", "warning" or "error".
        form: "auto" is readable on a terminal and JSON elsewhere.
        access: whether the access log is written.
    """
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    form_of = TextFormatter() if is_text else JSONFormatter()
    records: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUE_LENGTH)
    root, access_log = logging.getLogger(), logging.getLogger("headgate.access")
    ours = [logging.getLogger(name) for name in _OURS]
    before = [(one, one.level) for one in (root, access_log, *ours)]
    # Of libraries only warnings, whatever our level: below that botocore logs what it signs.
    root.setLevel(logging.WARNING)
    for one in ours:
        one.setLevel(level.upper())
    handler = DroppingHandler(records)
    root.addHandler(handler)
    access_log.setLevel(logging.INFO if access else logging.CRITICAL)
    writer = threading.Thread(
        target=_write, args=(records, form_of, Descriptor(sys.stderr)), name="log", daemon=True
    )
    writer.start()
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        for one, level_before in before:
            one.setLevel(level_before)
        _finish(records, writer)


def _write(
    records: queue.Queue[logging.LogRecord | None], form: logging.Formatter, sink: Descriptor
) -> None:
    """The writing thread, until it gets None.

    It uses no handler: the lock of one would be held while it hangs, and `logging` waits for the
    locks of all handlers when the process ends.
    """
    while (record := records.get()) is not None:
        try:
            sink.write(f"{form.format(record)}\n")
        except Exception as error:  # noqa: BLE001  # a line that can't be written costs no other
            sink.complain(error)


def _finish(records: queue.Queue[logging.LogRecord | None], writer: threading.Thread) -> None:
    try:
        records.put(None, timeout=_LAST_WORDS)
        writer.join(_LAST_WORDS)
    except queue.Full:
        pass  # it hangs, and as a daemon it ends with the process


class Descriptor:
    """Writes to a stream's descriptor. Python's own stream would hold a lock while it hangs, and
    the interpreter could not end then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            self._descriptor: int | None = stream.fileno()
        except (OSError, AttributeError):
            self._descriptor = None  # a test's, in memory

    def write(self, text: str) -> None:
        """Writes all of it, however long that takes."""
        if self._descriptor is None:
            self._stream.write(text)
            return
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        while left:
            left = left[os.write(self._descriptor, left) :]

    def complain(self, error: Exception) -> None:
        """Says that a line could not be written, if that can be."""
        try:
            self.write(f"a log line could not be written: {type(error).__name__}\n")
        except OSError:
            pass  # standard error is closed: there is nobody to tell


class DroppingHandler(QueueHandler):
    """Hands records to the writing thread; when the queue is full it counts what it drops."""

    def __init__(self, records: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(records)
        self._records = records
        self.dropped = 0
        self.dropped_total = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Keeps the record whole: it stays in this process, and its formatter is in the thread."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Puts a record, or drops it; the next one that fits says how many are missing."""
        try:
            if self.dropped:
                said = f"{self.dropped} log lines were dropped: the log can't be written"
                self._records.put_nowait(
                    logging.LogRecord("headgate", logging.WARNING, "", 0, said, None, None)
                )
                self.dropped = 0
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            self.dropped_total += 1


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _printable(text: str) -> str:
    """Text in which only line ends are left of all control characters."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class JSONFormatter(logging.Formatter):
    """One JSON object in ASCII, its time in UTC: no text in it can break the line."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        members: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
        }
        access = getattr(record, "access", None)
        if isinstance(access, AccessRecord):
            members |= as_json(access)
        else:
            members["message"] = masked(record.getMessage())
        if record.exc_info:
            members["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(members)


class TextFormatter(logging.Formatter):
    """A readable line; tracebacks follow it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        access = getattr(record, "access", None)
        if isinstance(access, AccessRecord):
            said = as_text(access)
        else:
            said = _printable(masked(record.getMessage()))
        mark = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        line = f"{self.formatTime(record, '%H:%M:%S')} {mark}{said}"
        if not record.exc_info:
            return line
        return f"{line}\n{_printable(masked(self.formatException(record.exc_info)))}"

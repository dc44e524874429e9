"""Where log lines go: one line each on standard error, JSON or readable.

Lines are written by a thread behind a bounded queue, many at once where many come. A sink that
blocks (a full pipe, a slow disk) costs lines, which are counted, and never holds the event loop.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from typing import Literal, NamedTuple, TextIO

from proxy.observability.access_log import (
    AccessRecord,
    as_json_members,
    as_text,
    shortcut,
)
from proxy.observability.masking import masked

# About 4 MiB of records; at 10,000 lines a second, the sink may hang for a second.
QUEUE_LENGTH = 10_000

# Seconds for what is queued to be written when the process ends.
_LAST_WORDS = 2.0
# Lines that are written in one go: their making holds the interpreter for half a millisecond.
_AT_ONCE = 64
# Seconds that the thread sleeps when it has written all there is. What comes meanwhile wakes
# nobody: a thread that is woken for each line costs several times what the line does.
_PAUSE = 0.01

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
    lines: Lines = queue.SimpleQueue()
    root, access_log = logging.getLogger(), logging.getLogger("headgate.access")
    ours = [logging.getLogger(name) for name in _OURS]
    before = [(one, one.level) for one in (root, access_log, *ours)]
    # Of libraries only warnings, whatever our level: below that botocore logs what it signs.
    root.setLevel(logging.WARNING)
    for one in ours:
        one.setLevel(level.upper())
    handler = DroppingHandler(lines, QUEUE_LENGTH)
    root.addHandler(handler)
    access_log.setLevel(logging.INFO if access else logging.CRITICAL)
    writer = threading.Thread(
        target=_write,
        args=(lines, form_of, Descriptor(sys.stderr), handler.lose),
        name="log",
        daemon=True,
    )
    writer.start()
    shortcut.take = handler.take_access
    try:
        yield handler
    finally:
        shortcut.take = None
        root.removeHandler(handler)
        for one, level_before in before:
            one.setLevel(level_before)
        lines.put(None)
        writer.join(_LAST_WORDS)  # one that hangs ends with the process, as a daemon


def _write(
    lines: Lines,
    form: TextFormatter | JSONFormatter,
    sink: Descriptor,
    lose: Callable[[int], object] = int,
) -> None:
    """The writing thread, until it gets None. `lose` is told how many lines the sink refused, as a
    full disk does; the next that it takes say how many are missing.

    It uses no handler: the lock of one would be held while it hangs, and `logging` waits for the
    locks of all handlers when the process ends.
    """
    goes_on, lost = True, 0
    while goes_on:
        some, goes_on = _some(lines)
        written = [form.format(_missing(lost))] if lost else []
        for line in some:
            try:
                written.append(
                    form.format_access(line) if isinstance(line, AccessLine) else form.format(line)
                )
            except Exception as error:  # noqa: BLE001  # a line that can't be made costs no other
                written.append(f"a log line could not be written: {type(error).__name__}")
        try:
            if written:
                sink.write("\n".join([*written, ""]))
                lost = 0
        except Exception as error:  # noqa: BLE001  # nor one that can't be written
            lost += len(some)
            lose(len(some))
            sink.complain(error)
        if goes_on and lines.empty():
            time.sleep(_PAUSE)


def _missing(count: int) -> logging.LogRecord:
    said = f"{count} log lines were dropped: the log can't be written"
    return logging.LogRecord("headgate", logging.WARNING, "", 0, said, None, None)


def _some(lines: Lines) -> tuple[list[Line], bool]:
    """Waits for a line and takes those behind it; with whether more may come."""
    some: list[Line] = []
    line = lines.get()
    while line is not None:
        some.append(line)
        if len(some) == _AT_ONCE or lines.empty():
            return some, True
        line = lines.get()
    return some, False


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

    def __init__(self, lines: Lines, most: int) -> None:
        super().__init__(lines)
        self._lines, self._most = lines, most
        self.dropped = 0
        self._dropped_total = self._lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Keeps the record whole: it stays in this process, and its formatter is in the thread."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Puts a record, or drops it; the next one that fits says how many are missing."""
        self._put(record)

    def take_access(self, record: AccessRecord) -> None:
        """Puts the line of a response that ended well, likewise."""
        self._put(AccessLine(record, time.time()))

    def lose(self, count: int) -> None:
        """So many lines were taken and could not be written. Called by the writing thread."""
        self._lost += count

    @property
    def dropped_total(self) -> int:
        """All lines that were dropped or lost."""
        return self._dropped_total + self._lost

    def _put(self, line: Line) -> None:
        left = self._most - self._lines.qsize()
        if self.dropped and left > 0:
            self._lines.put(_missing(self.dropped))
            self.dropped = 0
            left -= 1
        if left > 0:
            self._lines.put(line)
        else:
            self.dropped += 1
            self._dropped_total += 1


class AccessLine(NamedTuple):
    """A line of the access log, and when it was written (seconds since 1970)."""

    record: AccessRecord
    created: float


Line = logging.LogRecord | AccessLine
Lines = queue.SimpleQueue[Line | None]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _printable(text: str) -> str:
    """Text in which only line ends are left of all control characters."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class JSONFormatter(logging.Formatter):
    """One JSON object in ASCII, its time in UTC: no text in it can break the line."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._shown = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time_and_level = self._beginning(record.created, record.levelname.lower())
        access = getattr(record, "access", None)
        if isinstance(access, AccessRecord):
            return f"{{{time_and_level}, {as_json_members(access)}}}"
        members = {"message": masked(record.getMessage())}
        if record.exc_info:
            members["traceback"] = masked(self.formatException(record.exc_info))
        return f"{{{time_and_level}, {json.dumps(members)[1:]}"

    def format_access(self, line: AccessLine) -> str:
        """That of a response that ended well."""
        beginning = self._beginning(line.created, "info")
        return f"{{{beginning}, {as_json_members(line.record)}}}"

    def _beginning(self, created: float, level: str) -> str:
        second = int(created)
        if second != self._second:
            self._second = second
            self._shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        thousandths = int((created - second) * 1000)
        return f'"time": "{self._shown}.{thousandths:03}Z", "level": "{level}"'


class TextFormatter(logging.Formatter):
    """A readable line; tracebacks follow it."""

    def format_access(self, line: AccessLine) -> str:
        """That of a response that ended well."""
        record = logging.LogRecord("headgate.access", logging.INFO, "", 0, "", None, None)
        record.created, record.access = line.created, line.record
        return self.format(record)

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

"""Log lines: one for each response, and nothing in them that ends a line or reaches a terminal."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.access_log import (
    AccessRecord,
    as_json,
    as_json_members,
    as_text,
    log_access,
)
from proxy.observability.logs import JSONFormatter, TextFormatter

EVERY_OCTET = bytes(range(256))


def record_of(target: bytes = b"/a", **known: object) -> AccessRecord:
    record = AccessRecord("id", "192.0.2.1", "1.1", "GET", target)
    for name, value in known.items():
        setattr(record, name, value)
    return record


def line_of(formatter: logging.Formatter, record: AccessRecord) -> str:
    log = logging.LogRecord("headgate.access", logging.INFO, "", 0, "%s", (record,), None)
    log.access = record
    return formatter.format(log)


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_no_octet_breaks_a_line(formatter: logging.Formatter) -> None:
    text = EVERY_OCTET.decode("latin-1")
    line = line_of(formatter, record_of(EVERY_OCTET, method=text, detail=text))
    assert line.isascii()
    assert line.isprintable()


def test_json_holds_what_was_sent_and_can_be_read_back() -> None:
    line = line_of(JSONFormatter(), record_of(EVERY_OCTET, sent=5, status=200, outcome="complete"))
    members = json.loads(line)
    assert members["target"].encode("latin-1") == EVERY_OCTET
    assert members["time"].endswith("Z")
    assert (members["sent"], members["status"], members["level"]) == (5, 200, "info")
    assert "detail" not in members


def test_long_text_is_cut() -> None:
    members = as_json(record_of(b"/" + b"a" * 9000, detail="d" * 9000, method="M" * 9000))
    assert len(json.dumps(members)) < 3000
    assert len(as_text(record_of(b"/" + b"a" * 9000, detail="d" * 9000))) < 3000


def test_faults_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headgate.access")
    for outcome in ("complete", "refused", "fault"):
        log_access(record_of(outcome=outcome))
    assert [one.levelname for one in caplog.records] == ["INFO", "INFO", "WARNING"]


_TEXT = st.text(st.characters(max_codepoint=0x2FFFF), max_size=20)


@given(_TEXT, st.binary(max_size=20), st.floats(0, 1e9), st.integers(0, 2**60), _TEXT)
def test_a_line_is_what_json_would_make_of_it(
    text: str, target: bytes, seconds: float, length: int, detail: str
) -> None:
    record = AccessRecord("id", text, "1.1", text, target, 200, length, seconds, length=length)
    more = replace(record, detail=detail, seconds_to_first_byte=seconds, origin=text)
    for one in (record, more):
        assert "{" + as_json_members(one) + "}" == json.dumps(as_json(one))

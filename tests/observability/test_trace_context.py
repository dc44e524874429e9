"""traceparent, by the rules of W3C Trace Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.trace_context import (
    TraceContext,
    parse_traceparent,
    read_trace_context,
)

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("version", ["00", "01", "cc"])
def test_a_valid_one(version: str) -> None:
    found = parse_traceparent(f"{version}-{TRACE}-{PARENT}-01")
    assert found == TraceContext(TRACE, PARENT, sampled=True)


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)]
)
def test_one_flag_says_whether_it_is_kept(flags: str, sampled: bool) -> None:
    found = parse_traceparent(f"00-{TRACE}-{PARENT}-{flags}")
    assert found is not None
    assert found.sampled is sampled
    assert found.fields == {"traceparent": f"00-{TRACE}-{PARENT}-{'01' if sampled else '00'}"}


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (None, ""),
        ("", ""),
        ("a=1", "a=1"),
        ("a=1, ,b@c=x y ,", "a=1,b@c=x y"),
        ("0t@v=1", "0t@v=1"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a=", ""),
        ("a=b=c", ""),
        ("a=\r\nx: y", ""),
        ("a=\u00e4", ""),
        (f"a={'x' * 600}", ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
    ],
)
def test_a_state_that_is_not_valid_is_left_out(state: str | None, kept: str) -> None:
    fields = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    found = read_trace_context(fields if state is None else {**fields, "tracestate": state})
    assert found is not None
    assert found.state == kept
    assert found.fields.get("tracestate", "") == kept


def test_a_state_alone_is_nothing() -> None:
    assert read_trace_context({"tracestate": "a=1"}) is None


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent(f"cc-{TRACE}-{PARENT}-01-what-the-future-brings") is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-{'x' * 300}",
    ],
)
def test_what_is_not_valid_is_none(value: str | None) -> None:
    assert parse_traceparent(value) is None


@given(st.text(), st.text())
def test_what_is_passed_on_is_always_a_plain_line(value: str, state: str) -> None:
    for one in (value, f"00-{TRACE}-{PARENT}-01"):
        found = parse_traceparent(one, state)
        for said in found.fields.values() if found is not None else ():
            assert said.isascii()
            assert said.isprintable()

"""traceparent, by the rules of W3C Trace Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observability.trace_context import TraceContext, parse_traceparent

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("version", ["00", "01", "cc"])
def test_a_valid_one(version: str) -> None:
    assert parse_traceparent(f"{version}-{TRACE}-{PARENT}-01") == TraceContext(TRACE, PARENT)


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
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-{'x' * 300}",
    ],
)
def test_what_is_not_valid_is_none(value: str | None) -> None:
    assert parse_traceparent(value) is None


@given(st.text())
def test_anything_may_come(value: str) -> None:
    parse_traceparent(value)

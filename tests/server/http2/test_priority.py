"""What a client says of priority (RFC 9218 §4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.priority import UNSAID, Priority, read_priority


@pytest.mark.parametrize(
    ("value", "urgency", "incremental"),
    [
        (b"", 3, False),
        (b"u=0", 0, False),
        (b"u=7, i", 7, True),
        (b"i", 3, True),
        (b"i=?1,u=5", 5, True),
        (b"i=?0", 3, False),
        (b"i;x=1, u=2;y", 2, True),
        (b"u=8", 3, False),
        (b"u=-1", 3, False),
        (b"u=1.5", 3, False),
        (b"u", 3, False),
        (b"i=1", 3, False),
        (b"U=1", 3, False),
        (b"us=1, x=2", 3, False),
        (b"x=1;u=1", 3, False),
        (b"u=1, u=4", 4, False),
        (b"\xff\0", 3, False),
    ],
)
def test_members(value: bytes, urgency: int, incremental: bool) -> None:
    assert read_priority(value) == Priority(urgency, incremental)


def test_who_says_nothing_or_too_much_wants_streams_side_by_side() -> None:
    assert read_priority(b"u=1" + b" " * 100) == UNSAID == Priority(3, True)


@given(st.binary(max_size=80))
def test_nothing_raises(value: bytes) -> None:
    assert 0 <= read_priority(value).urgency <= 7

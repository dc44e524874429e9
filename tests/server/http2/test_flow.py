"""Windows: their limits, and when they are told again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.http2.flow import DEFAULT, MOST, Inflow, Outflow, WindowOverflow


def test_a_window_has_a_limit_above_and_none_below() -> None:
    window = Outflow(0)
    window.widen(MOST)
    with pytest.raises(WindowOverflow):
        window.widen(1)
    window.widen(-2 * MOST)
    assert window.size == -MOST


@given(st.lists(st.integers(0, DEFAULT)))
def test_what_is_read_may_be_sent_again(sizes: list[int]) -> None:
    """The client never has a larger window than the first, and at least half of it back."""
    window, left = Inflow(), DEFAULT
    for size in sizes:
        left -= size
        if left < 0:
            assert not window.take(size)
            return
        assert window.take(size)
        left += window.give_back(size)
        assert DEFAULT // 2 <= left <= DEFAULT


def test_what_is_unread_may_not() -> None:
    window = Inflow(10)
    assert window.take(10)
    assert not window.take(1)
    assert (window.give_back(4), window.give_back(1)) == (0, 5)

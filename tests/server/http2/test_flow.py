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


@pytest.mark.parametrize(
    ("full", "size", "portion"),
    [
        (DEFAULT, DEFAULT, 32767),  # the first half, and then the other
        (DEFAULT, 32768, 32768),
        (DEFAULT, 49151, 16383),  # up to the half of which the client has a part already
        (DEFAULT, 40_000, 7232),
        (DEFAULT, 34_000, 34_000),  # else little would be sent at once
        (DEFAULT, 20_000, 20_000),
        (DEFAULT, 1, 1),
        (1, 1, 1),
        (4000, 4000, 4000),  # a small window is not divided
        (MOST, MOST, MOST // 2),
    ],
)
def test_what_is_sent_ends_where_the_client_widens_its_window(
    full: int, size: int, portion: int
) -> None:
    window = Outflow(full)
    window.size = size
    assert window.portion() == portion


@given(st.integers(1, MOST), st.integers(1, MOST))
def test_all_that_a_window_allows_is_sent_in_the_end(full: int, size: int) -> None:
    window = Outflow(full)
    window.size = min(full, size)
    for _ in range(2):
        assert window.size == 0 or 0 < window.portion() <= window.size
        window.size -= window.portion() if window.size else 0
    assert window.size == 0


def test_a_window_is_as_large_as_it_ever_was() -> None:
    window = Outflow(10)
    for by in (5, -20, 8):
        window.widen(by)
    assert (window.size, window.full) == (3, 15)


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

"""How much a reader of what is on disk is given at once."""

from __future__ import annotations

from proxy.cache.rules.checking import BLOCK
from proxy.cache.rules.pace import Pace

MIB = 1024 * 1024


def taken(pace: Pace, size: int, seconds: float = 0.0) -> None:
    """Takes so many bytes in pieces of the size it is given, each so quickly."""
    while size > 0:
        size -= pace.size
        pace.took(pace.size, seconds)


def test_a_reader_begins_with_small_pieces() -> None:
    pace = Pace()
    assert pace.size == BLOCK
    taken(pace, MIB - BLOCK)
    assert pace.size == BLOCK


def test_one_that_was_quick_for_a_mebibyte_gets_large_ones() -> None:
    pace = Pace()
    taken(pace, MIB)
    assert pace.size == 2 * BLOCK
    taken(pace, MIB, 0.04)
    assert pace.size == 2 * BLOCK


def test_one_long_wait_and_it_begins_anew() -> None:
    pace = Pace()
    taken(pace, 2 * MIB)
    pace.took(pace.size, 0.06)
    assert pace.size == BLOCK
    taken(pace, MIB - BLOCK)
    assert pace.size == BLOCK
    taken(pace, BLOCK)
    assert pace.size == 2 * BLOCK

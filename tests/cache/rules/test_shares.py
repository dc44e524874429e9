"""How memory is divided among workers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.rules.shares import BESIDE, CannotShare, Shared, Shares, shared_of, shares_of

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("memory", "width", "workers", "shared", "own"),
    [
        (256, 8, 2, 127, 63.5),
        (258, 8, 8, 128, 16),
        (1024, 8, 16, 511, 511 / 16),
        (66, 8, 2, 32, 16),
    ],
)
def test_half_is_shared_and_half_is_divided(
    memory: int, width: int, workers: int, shared: int, own: float
) -> None:
    expected = Shares(int(shared * MIB), int(own * MIB))
    assert shares_of(memory * MIB, width * MIB, workers) == expected


@pytest.mark.parametrize(("memory", "width", "workers"), [(65, 8, 2), (256, 8, 8), (16, 8, 2)])
def test_a_worker_needs_room_for_two_slices(memory: int, width: int, workers: int) -> None:
    with pytest.raises(CannotShare, match=f"have to be {4 * width * workers + 2} MiB"):
        shares_of(memory * MIB, width * MIB, workers)


@given(st.integers(MIB, 2**40), st.integers(256 * 1024, 64 * MIB), st.integers(2, 256))
def test_all_together_stay_within_the_memory(memory: int, width: int, workers: int) -> None:
    try:
        shares = shares_of(memory, width, workers)
    except CannotShare:
        return
    assert shares.room + workers * shares.own == memory
    assert shares.room == shares.shared + BESIDE
    assert shares.own >= 2 * width
    assert shares.shared >= workers * shares.own


def test_a_worker_is_told_by_json() -> None:
    shared = Shared("/dev/shm/headgate-1-a", Shares(2, 1))
    assert shared_of(json.loads(json.dumps(asdict(shared)))) == shared
    assert shared_of(None) is None

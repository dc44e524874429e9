"""Hundreds of downloads through a lying store: none that looks complete may be wrong.

`python -m tests.faults.campaign` does ten thousand of them, and the same through nginx.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.faults.campaign import GOAL, put_all, through_headgate, through_the_cache
from tests.faults.control import Faults
from tests.faults.objects import MIB, draw_things
from tests.faults.servers import GENEROUS, REQUIRED
from tests.servers import SeaweedFS

pytestmark = pytest.mark.servers

DOWNLOADS = 500
SEED = 20


@pytest.mark.timeout(300)
def test_no_complete_body_is_wrong(seaweedfs: SeaweedFS) -> None:
    things = draw_things(random.Random(SEED), "campaign/", 60, largest=24 * MIB)
    with Faults(seaweedfs) as faults:
        put_all(faults, things)
        tally = through_headgate(faults, DOWNLOADS, SEED, things)
    assert tally.downloads == DOWNLOADS
    assert tally.wrong == 0, tally.notes
    assert tally.recovered >= GOAL, tally.notes
    assert tally.notes == []
    # It can fail: the faults did happen, and those that nobody could see came through.
    counted = {
        outcome: sum(c[outcome] for c in tally.by_fault.values())
        for outcome in ("right", "refused", "broken")
    }
    assert min(counted.values()) > 10, counted
    assert tally.hidden["wrong"] > 0
    assert sum(tally.recoverable.values()) > 100


@pytest.mark.timeout(300)
def test_where_checks_are_required_no_fault_is_hidden(seaweedfs: SeaweedFS) -> None:
    things = draw_things(random.Random(SEED), "required/", 40, largest=12 * MIB)
    with Faults(seaweedfs) as faults:
        put_all(faults, things)
        tally = through_headgate(faults, 250, SEED, things, more=GENEROUS + REQUIRED)
    wrong = {name: counts for name, counts in tally.by_fault.items() if counts["wrong"]}
    assert wrong == {}
    assert sum(tally.hidden.values()) > 3
    assert sum(counts["right"] for counts in tally.by_fault.values()) > 60


@pytest.mark.timeout(300)
@pytest.mark.parametrize("required", [False, True], ids=["when-available", "require"])
def test_no_complete_body_is_wrong_that_comes_through_the_cache(
    seaweedfs: SeaweedFS, required: bool
) -> None:
    more = GENEROUS + REQUIRED * required
    things = draw_things(random.Random(SEED), f"cached-{required}/", 40, largest=24 * MIB)
    with Faults(seaweedfs) as faults:
        put_all(faults, things)
        tally = through_the_cache(faults, 250, SEED, things, more=more)
    assert tally.downloads == 250
    assert tally.wrong == 0, tally.notes
    assert tally.recovered >= GOAL, tally.notes
    # It can fail: the store was asked, so that the faults did happen, and some were given up on.
    assert 150 < tally.asked < 250
    ended = sum(tally.by_fault.values(), Counter())
    assert min(ended[one] for one in ("right", "refused", "broken")) > 3, ended
    assert not (required and tally.hidden["wrong"])
